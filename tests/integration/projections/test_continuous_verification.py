"""The continuous verification: it comes round, goes on where it stopped, and what it finds is seen by everybody."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from bank.health import ready
from bank.metrics import exposition
from projections.engine import keep_alive
from projections.models import AccountSummary, VerificationCycle, VerificationDifference, VerifiedStream
from projections.projectors import PROJECTORS
from projections.runner import catch_up
from projections.tasks import verify as verify_task
from projections.verification import sorted_rows, standing, whole_log
from projections.verification.consistent_view import consistent_view
from projections.verification.cycle import verify_next_slice
from projections.verification.measures import measure_verification
from tests.integration.projections.account_log import created, deposited, new_account_id, record
from tests.integration.projections.damage import DAMAGED_ROWS, TAMPERING
from tests.integration.projections.own_database import account_id as account_id
from tests.integration.projections.own_database import as_superuser, verify
from tests.integration.projections.own_database import empty_bank as empty_bank
from tests.integration.projections.own_database import own_database as own_database
from tests.integration.projections.own_database import run as sql
from tests.integration.projections.own_database import stream_id as stream_id
from tests.keyed_account_commands import deposit, keyed, opened_with
from tests.round_trips import round_trips


@pytest.fixture(autouse=True)
def one_stream_a_slice(settings) -> None:
    """Let each slice be over after its first stream."""
    settings.VERIFICATION_SLICE_SECONDS = 0.0
    settings.VERIFICATION_CYCLE_SECONDS = 0


def cycle() -> VerificationCycle:
    return VerificationCycle.objects.get()


def go_round() -> int:
    """Verify up to the end of a cycle; return how many slices it took."""
    before = list(VerificationCycle.objects.values_list("last_finished_at", flat=True))
    for slices in range(1, 100):
        verify_next_slice(projectors=PROJECTORS)
        if cycle().last_finished_at not in (None, *before):
            return slices
    raise AssertionError("the cycle does not come to its end")


def found() -> set[tuple[str, str]]:
    return set(VerificationDifference.objects.values_list("check_name", "stream_id"))


def verified(account_id: str) -> Any:
    answer = Client().get(f"/api/accounts/{account_id}")
    assert answer.status_code == 200
    return answer.json()["verified"]


def test_a_cycle_takes_a_slice_for_each_stream_and_begins_again(account_id):
    assert go_round() >= 4
    assert found() == set()
    assert (cycle().began_at, cycle().last_events, cycle().head) == (None, cycle().head, cycle().highest_head)
    streams = sql("SELECT stream_id, max(version) FROM events GROUP BY stream_id ORDER BY 1")
    assert list(VerifiedStream.objects.order_by("pk").values_list("stream_id", "version")) == streams
    first = set(VerifiedStream.objects.values_list("verified_at", flat=True))
    go_round()
    assert first.isdisjoint(VerifiedStream.objects.values_list("verified_at", flat=True))


def test_no_cycle_begins_too_soon(account_id, settings):
    settings.VERIFICATION_CYCLE_SECONDS = 3600
    go_round()
    before = cycle().last_began_at
    verify_next_slice(projectors=PROJECTORS)
    assert (cycle().began_at, cycle().last_began_at) == (None, before)


def test_it_goes_on_where_it_stopped_also_after_one_that_was_cut_short(account_id, monkeypatch):
    verify_next_slice(projectors=PROJECTORS)
    after = cycle().after_stream_id
    assert after
    with monkeypatch.context() as patch:
        patch.setattr(VerificationCycle, "save", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            verify_next_slice(projectors=PROJECTORS)
    assert cycle().after_stream_id == after
    assert not VerifiedStream.objects.filter(stream_id__gt=after).exists()
    verify_next_slice(projectors=PROJECTORS)
    assert cycle().after_stream_id > after


def test_positions_are_gone_over_a_page_at_a_time(account_id, monkeypatch):
    monkeypatch.setattr(whole_log, "PAGE_POSITIONS", 5)
    as_superuser("DELETE FROM events WHERE position IN (3, 7, 8)")
    verify_next_slice(projectors=PROJECTORS)
    go_round()
    keys = VerificationDifference.objects.filter(check_name="positions").values_list("key", flat=True)
    assert set(keys) == {"3", "7 to 8"}


@pytest.fixture
def other_at_it() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(lambda: connection.close()).result()


def test_who_finds_another_at_it_leaves_it_to_that_one(account_id, other_at_it):
    verify_next_slice(projectors=PROJECTORS)
    after = cycle().after_stream_id
    with consistent_view(projectors=PROJECTORS):
        VerificationCycle.objects.select_for_update().get()
        other_at_it.submit(verify_next_slice, projectors=PROJECTORS).result()
    assert cycle().after_stream_id == after


def test_who_is_overtaken_leaves_it_to_that_one(account_id, stream_id, other_at_it, monkeypatch):
    """As by an operator's verification of the same stream."""
    keep_slice = standing.keep_slice

    def keep_late(**made: Any) -> Any:
        assert other_at_it.submit(verify).result().exit_code == 0
        return keep_slice(**made)

    monkeypatch.setattr("projections.verification.cycle.keep_slice", keep_late)
    verify_next_slice(projectors=PROJECTORS)
    assert cycle().after_stream_id == ""
    assert VerifiedStream.objects.filter(stream_id=stream_id).exists()


def test_what_it_finds_stands_until_it_is_mended(account_id, stream_id, caplog):
    go_round()
    sql(DAMAGED_ROWS["balance"], {"a": account_id})
    go_round()
    assert found() == {("read_model", stream_id)}
    assert "verification found a difference: read_model: " + stream_id in caplog.text
    [first] = VerificationDifference.objects.all()
    caplog.clear()

    sql("UPDATE account_summary SET balance = balance + 1 WHERE account_id = %s", [account_id])
    go_round()
    [again] = VerificationDifference.objects.all()
    assert (again.pk, again.first_found_at, again.expected) == (first.pk, first.first_found_at, "1300")
    assert again.last_found_at > first.last_found_at
    assert (first.actual, again.actual) == ("1301", "1302")
    assert "found a difference" not in caplog.text

    assert verify("--repair", "--account", account_id).exit_code == 0
    assert found() == set()


def test_what_is_wrong_with_the_whole_log_stands_until_it_is_in_order(account_id):
    other = opened_with(5)
    deposit(other, 5, keyed())
    catch_up()
    [last] = sql("SELECT * FROM events ORDER BY position DESC LIMIT 1")
    go_round()
    as_superuser("DELETE FROM events WHERE position = %s", [last[0]])
    go_round()
    assert {check for check, _ in found()} == {"head", "read_model", "versions"}
    # A later cycle begins at the head that there is now, and does not forget how high it was.
    VerificationDifference.objects.filter(check_name="head").delete()
    go_round()
    places = VerificationDifference.objects.filter(check_name="head").values_list("place", flat=True)
    assert "verification_cycle" in places

    columns = ", ".join(["%s"] * len(last))
    as_superuser(f"INSERT INTO events VALUES ({columns})", last)
    go_round()
    assert found() == set()


def test_a_damaged_log_is_not_vouched_for(account_id, stream_id):
    go_round()
    before = VerifiedStream.objects.get(stream_id=stream_id)
    as_superuser(TAMPERING["reason"], {"s": stream_id})
    deposit(opened_with(1), 5)
    catch_up()
    go_round()
    after = VerifiedStream.objects.get(stream_id=stream_id)
    assert (after.version, after.verified_at) == (before.version, before.verified_at)
    assert ("chain", stream_id) in found()


def test_a_bucket_of_wrong_transfers_is_told_and_the_command_names_them(account_id):
    other = new_account_id()
    record(created(other), deposited(other, 5, contra="transit", transfer_id="trf-of-nobody"))
    catch_up()
    go_round()
    assert {check for check, _ in found()} == {"books", "transfers"}
    assert "trf-of-nobody" in verify().out


def test_no_more_is_kept_than_there_is_room_for(account_id, monkeypatch):
    monkeypatch.setattr(standing, "MAX_KEPT_DIFFERENCES", 2)
    first: set[tuple[Any, ...]] = set()
    sql("UPDATE account_statement SET reason = 'x'")
    for _ in range(3):
        go_round()
        # Those that are kept stay, and are seen again.
        kept = set(VerificationDifference.objects.values_list("difference_id", "first_found_at"))
        first = first or kept
        assert kept == first
    assert 2 == len(first) < sql("SELECT count(*) FROM account_statement")[0][0]


def test_the_task_survives_what_goes_wrong(account_id, monkeypatch, caplog):
    verify_task()
    assert cycle().after_stream_id
    monkeypatch.setattr(sorted_rows, "PAGE_ROWS", -1)
    verify_task()
    assert "the verification was interrupted" in caplog.text
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    verify_task()
    assert "the verification waits for the database" in caplog.text


# --- who sees it ------------------------------------------------------------------------------------------------------


def test_each_account_shows_how_far_it_was_verified(account_id):
    assert verified(account_id) is None
    go_round()
    shown = verified(account_id)
    assert shown["version"] == 5
    at = datetime.fromisoformat(shown["at"])
    kept = VerifiedStream.objects.get(stream_id=f"account-{account_id}").verified_at
    assert 0 <= (kept - at).total_seconds() < 0.001

    other = opened_with(5)
    catch_up()
    go_round()
    deposit(other, 5)
    # Of what the read model has not seen yet only the log could be vouched for.
    go_round()
    assert verified(other)["version"] == 2
    behind = Client().get(f"/api/accounts/{other}?minVersion=3").json()
    assert (behind["version"], behind["verified"]["version"]) == (3, 2)
    assert "verified" not in Client().get(f"/api/accounts/{other}/balance").json()


def test_a_read_of_an_account_is_still_one_query(account_id):
    go_round()
    assert round_trips(lambda: verified(account_id)) == 1


def test_health_and_metrics_tell(account_id, rf):
    def told() -> tuple[str, dict[str, Any]]:
        content = json.loads(ready(rf.get("/health/ready")).content)
        return content["status"], content["verification"]

    keep_alive(projectors=PROJECTORS)
    assert told() == ("ok", {"status": "ok", "differences": 0, "ageSeconds": None})
    assert "verification_age_seconds" not in exposition().decode()
    go_round()
    AccountSummary.objects.filter(account_id=account_id).update(balance=1)
    go_round()
    status, told_of_it = told()
    assert (status, told_of_it["status"], told_of_it["differences"]) == ("degraded", "differs", 1)
    assert 0 <= told_of_it["ageSeconds"] < 60
    metrics = exposition().decode()
    assert "\nverification_differences 1.0\n" in metrics
    assert "\nverification_age_seconds " in metrics
    assert measure_verification().differences == 1


def test_the_back_office_tells(account_id, stream_id):
    browser = Client()
    browser.force_login(User.objects.create_user(username=f"staff-of-{account_id}", is_staff=True, is_superuser=True))
    address = reverse("admin:projections_accountsummary_change", args=(account_id,))
    assert "not yet" in browser.get(address).content.decode()
    go_round()
    assert "up to event 5 at " in browser.get(address).content.decode()
    AccountSummary.objects.filter(account_id=account_id).update(balance=1)
    go_round()
    assert "; 1 differences" in browser.get(address).content.decode()
    html = browser.get(
        reverse("admin:projections_verificationdifference_changelist"), {"q": stream_id}
    ).content.decode()
    assert "1300" in html
    [difference] = VerificationDifference.objects.all()
    one = reverse("admin:projections_verificationdifference_change", args=(difference.pk,))
    assert "account_summary" in browser.get(one).content.decode()
    assert browser.get(reverse("admin:projections_verificationcycle_changelist")).status_code == 200
