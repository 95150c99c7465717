"""Every page of the back office: what it shows, to whom, and that nothing can be changed there."""

import re
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.domain.events import AccountFrozen
from accounts.handlers import create_account
from eventstore.models import Event
from eventstore.records import CommandContext, CommandKey
from eventstore.store import event_store
from projections.engine import keep_alive
from projections.models import AccountStatement, AccountSummary, ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from tests.factories import CreateAccountFactory, NewEventFactory, StreamAppendFactory
from tests.integration.projections.account_log import (
    account_append,
    append,
    created,
    deposited,
    new_account_id,
    record,
    withdrawn,
)
from tests.keyed_account_commands import opened_with

MODELS = (
    "accountsummary",
    "accountstatement",
    "transferstatus",
    "projectioncheckpoint",
    "projectionfailure",
    "verificationdifference",
    "verificationcycle",
)
STORE_MODELS = ("event", "snapshot", "command")
PAGES = [f"projections_{model}" for model in MODELS] + [f"eventstore_{model}" for model in STORE_MODELS]


def browser_of(**user) -> Client:
    browser = Client()
    browser.force_login(User.objects.create_user(username=f"staff-{uuid4()}", is_staff=True, **user))
    return browser


@pytest.fixture
def staff() -> Client:
    return browser_of(is_superuser=True)


@pytest.fixture
def account_id() -> str:
    account_id = new_account_id()
    record(
        created(account_id, owner_id="user-<7>", currency="KWD"),
        deposited(account_id, 1_234_567, currency="KWD", transaction_id="txn-1", metadata={"purpose": "rent"}),
        withdrawn(account_id, 67, currency="KWD"),
        AccountFrozen(account_id=account_id, reason="compliance review"),
    )
    catch_up()
    return account_id


def shown(browser: Client, address: str, **query) -> str:
    response = browser.get(address, query)
    assert response.status_code == 200, (address, response.status_code, response.headers)
    return response.content.decode()


def changelist(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def page(name: str, key: object) -> str:
    return reverse(f"admin:{name}_change", args=(key,))


def links(html: str, beginning: str) -> list[str]:
    """Return the addresses of the rows' own pages."""
    addresses = map(unescape, re.findall(r'<a href="([^"]+)">', html))
    return [address for address in addresses if re.match(f"{beginning}[^?]+/change/", address)]


def result_rows(html: str) -> int:
    return html.count('<th class="field-')


def test_accounts(staff, account_id):
    html = shown(staff, changelist("projections_accountsummary"), q=account_id[:20])
    assert result_rows(html) == 1
    assert "KWD 1,234.500" in html
    assert "user-&lt;7&gt;" in html
    assert f"/admin/projections/accountstatement/?account_id={account_id}" in html


def test_accounts_by_status_and_currency(staff, account_id):
    address = changelist("projections_accountsummary")
    assert result_rows(shown(staff, address, q=account_id, status__exact="FROZEN")) == 1
    assert result_rows(shown(staff, address, q=account_id, status__exact="ACTIVE")) == 0
    html = shown(staff, address, q=account_id, currency="KWD")
    assert result_rows(html) == 1
    assert result_rows(shown(staff, address, q=account_id, currency="USD")) == 0


def test_accounts_by_owner(staff):
    owner_id = f"owner-{uuid4()}"
    for _ in range(2):
        record(created(new_account_id(), owner_id=owner_id))
    catch_up()
    assert result_rows(shown(staff, changelist("projections_accountsummary"), q=owner_id)) == 2


def test_an_account(staff, account_id):
    html = shown(staff, page("projections_accountsummary", account_id))
    assert "1,234.500" in html
    assert f"/admin/eventstore/event/?q=account-{account_id}" in html


def test_a_statement(staff, account_id):
    html = shown(staff, changelist("projections_accountstatement"), account_id=account_id)
    assert result_rows(html) == 4
    for text in ("1,234.567", "0.067", "1,234.500", "txn-1", "compliance review"):
        assert text in html
    # The latest line comes first.
    assert html.index("AccountFrozen") < html.index("AccountCreated")


def test_a_statement_line(staff, account_id):
    line = AccountStatement.objects.get(account_id=account_id, stream_version=2)
    html = shown(staff, page("projections_accountstatement", line.position))
    assert "1,234.567" in html
    assert "&quot;purpose&quot;: &quot;rent&quot;" in html
    assert page("eventstore_event", line.position) in html


def test_the_events_of_a_stream(staff, account_id):
    address = changelist("eventstore_event")
    html = shown(staff, address, q=f"account-{account_id}")
    assert result_rows(html) == 4
    assert html.index("AccountFrozen") < html.rindex("AccountCreated")
    assert result_rows(shown(staff, address, q=f"account-{account_id}", event_type="MoneyDeposited")) == 1
    assert result_rows(shown(staff, address, q=f"account-{account_id}"[:-1])) == 0


def test_events_of_one_type_among_the_latest(staff, account_id):
    event_type = f"Rare{uuid4().hex}"
    append(StreamAppendFactory.build(events=tuple(NewEventFactory.build_batch(2, event_type=event_type))))
    html = shown(staff, changelist("eventstore_event"), event_type=event_type)
    assert result_rows(html) == 2
    assert f"?event_type={event_type}" in html


def test_the_log_is_never_counted(staff, account_id, django_assert_max_num_queries):
    with django_assert_max_num_queries(20) as queries:
        shown(staff, changelist("eventstore_event"))
    counts = [query["sql"] for query in queries.captured_queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 10000" in count for count in counts)


def test_an_event(staff, account_id):
    event = Event.objects.get(stream_id=f"account-{account_id}", version=2)
    html = shown(staff, page("eventstore_event", event.position))
    assert "&quot;amount&quot;: 1234567" in html
    assert bytes(event.hash).hex() in html


def test_snapshots(staff, settings):
    settings.SNAPSHOT_EVERY_EVENTS = 2
    account_id = opened_with(5)
    stream_id = f"account-{account_id}"
    html = shown(staff, changelist("eventstore_snapshot"), q=stream_id)
    assert result_rows(html) == 1
    [address] = links(html, "/admin/eventstore/snapshot/")
    assert "&quot;balance&quot;: 5" in shown(staff, address)


def test_verdicts_of_clients_that_used_the_same_key(staff):
    key = f"key/{uuid4()}\"_'"
    for scope in ("client-1", "client-2"):
        context = CommandContext(key=CommandKey(scope=scope, key=key), fingerprint=f"fingerprint of {scope}")
        create_account(command=CreateAccountFactory.build(), context=context)

    html = shown(staff, changelist("eventstore_command"), q=key)
    assert result_rows(html) == 2
    for scope, address in zip(("client-1", "client-2"), links(html, "/admin/eventstore/command/"), strict=True):
        verdict = shown(staff, address)
        assert f"fingerprint of {scope}" in verdict
        assert "&quot;status&quot;: &quot;accepted&quot;" in verdict


@pytest.mark.parametrize(
    "key", ["nonsense", "1", "[1]", "[1, 2, 3]", "{}", '["a", "b\\u0000"]', '["a", "\\ud800"]', f'["a", {"[" * 5000}']
)
def test_a_verdict_that_is_not_there(staff, key):
    response = staff.get(page("eventstore_command", key))
    assert (response.status_code, response.headers["Location"]) == (302, reverse("admin:index"))


@pytest.mark.parametrize("version", ["Infinity", "1e400", "99999999999999999999", '"1"', '"one"', "null", "true"])
def test_a_snapshot_that_is_not_there(staff, version):
    assert staff.get(page("eventstore_snapshot", f'["account-{uuid4()}", {version}]')).status_code == 302


@pytest.mark.parametrize("name", PAGES)
def test_a_page_whose_key_holds_nul(staff, name):
    response = staff.get(page(name, "a\0b"))
    assert (response.status_code, response.headers["Location"]) == (302, reverse("admin:index"))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("projections_accountsummary", "currency"),
        ("projections_accountsummary", "status__exact"),
        ("projections_accountstatement", "account_id"),
        ("eventstore_event", "event_type"),
        ("eventstore_event", "q"),
    ],
)
def test_a_filter_for_nul(staff, account_id, name, parameter):
    response = staff.get(changelist(name), {parameter: "\0"}, follow=True)
    assert response.status_code == 200
    assert "back office" in response.content.decode()


def lag_cells(html: str, projection: str) -> dict[str, str]:
    """Return what the page says of one projection, by column."""
    [row] = [row for row in html.split("<tr>") if f">{projection}</a></th>" in row]
    return dict(re.findall(r'<td class="field-(\w+)">(?:<a [^>]*>)?([^<]*)<', row))


def test_how_far_the_projections_are(staff, settings):
    catch_up()
    keep_alive(projectors=PROJECTORS)
    record(created(new_account_id()))
    head = event_store().head_position()
    html = shown(staff, changelist("projections_projectioncheckpoint"))
    cells = lag_cells(html, "account_summary")
    assert (cells["lag_events"], cells["position"], cells["head"]) == ("1", str(head - 1), str(head))
    assert float(cells["lag_seconds"]) >= 0
    assert float(cells["heartbeat"]) < settings.READY_MAX_AGE_SECONDS
    # Whether streams are parked is other tests' doing too.
    assert cells["status"] == ("ok" if cells["parked"] == "0" else "parked")


def test_a_projection_that_nobody_looks_after_does_not_look_healthy(staff, settings):
    catch_up()
    keep_alive(projectors=PROJECTORS)
    long_ago = timezone.now() - timedelta(seconds=settings.READY_MAX_AGE_SECONDS + 1)
    ProjectionCheckpoint.objects.filter(projection="account_summary").update(heartbeat_at=long_ago)
    ProjectionCheckpoint.objects.filter(projection="transfer_status").delete()
    html = shown(staff, changelist("projections_projectioncheckpoint"))
    dead, never = lag_cells(html, "account_summary"), lag_cells(html, "transfer_status")
    assert (dead["status"], dead["lag_events"]) == ("stopped", "0")
    assert (never["status"], never["heartbeat"], never["position"]) == ("stopped", "never", "0")
    catch_up()


def test_a_checkpoint_has_a_page(staff):
    catch_up()
    assert "account_summary" in shown(staff, page("projections_projectioncheckpoint", "account_summary"))


def test_parked_streams(staff):
    account_id = new_account_id()
    opening = account_append(created(account_id))
    poison = NewEventFactory.build(event_type="MoneyVanished", data={})
    append(opening, StreamAppendFactory.build(after=opening, events=(poison,)))
    catch_up()

    html = shown(staff, changelist("projections_projectionfailure"), q=opening.stream_id)
    assert result_rows(html) == 2
    assert "UnknownEventType: MoneyVanished, schema version 1" in html
    failure = ProjectionFailure.objects.filter(stream_id=opening.stream_id).first()
    html = shown(staff, page("projections_projectionfailure", failure.pk))
    assert "Traceback (most recent call last)" in html
    assert f"/admin/eventstore/event/?q={opening.stream_id}" in html
    ProjectionFailure.objects.filter(stream_id=opening.stream_id).delete()


@pytest.mark.parametrize("name", PAGES)
def test_every_list_opens(staff, account_id, name):
    assert "back office" in shown(staff, changelist(name))


@pytest.mark.parametrize("name", PAGES)
def test_nobody_adds(staff, name):
    address = reverse(f"admin:{name}_add")
    assert staff.get(address).status_code == 403
    assert staff.post(address, {}).status_code == 403
    assert address not in shown(staff, changelist(name))


def test_nobody_changes_or_deletes(staff, account_id):
    event = Event.objects.get(stream_id=f"account-{account_id}", version=1)
    keys = {
        "projections_accountsummary": account_id,
        "projections_accountstatement": event.position,
        "projections_projectioncheckpoint": "account_summary",
        "eventstore_event": event.position,
    }
    for name, key in keys.items():
        html = shown(staff, page(name, key))
        assert 'name="_save"' not in html
        assert "deletelink" not in html
        assert staff.post(page(name, key), {"balance": 1}).status_code == 403
        assert staff.post(reverse(f"admin:{name}_delete", args=(key,)), {"post": "yes"}).status_code == 403
        delete_selected = {"action": "delete_selected", "_selected_action": key, "post": "yes"}
        staff.post(changelist(name), delete_selected)
    assert AccountSummary.objects.get(account_id=account_id).balance == 1_234_500
    assert AccountStatement.objects.filter(account_id=account_id).count() == 4
    assert ProjectionCheckpoint.objects.filter(projection="account_summary").exists()


@pytest.mark.parametrize("name", PAGES)
def test_who_is_not_signed_in_is_asked_to(name):
    response = Client().get(changelist(name))
    assert response.status_code == 302
    assert response.headers["Location"].startswith(reverse("admin:login"))


def test_staff_see_what_they_have_the_permission_for():
    browser = browser_of()
    viewer = User.objects.get(pk=browser.session["_auth_user_id"])
    viewer.user_permissions.add(Permission.objects.get(codename="view_accountsummary"))
    assert browser.get(changelist("projections_accountsummary")).status_code == 200
    assert browser.get(changelist("projections_accountstatement")).status_code == 403
    assert browser.get(changelist("eventstore_event")).status_code == 403
