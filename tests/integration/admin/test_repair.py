"""What operations can do in the back office about parked streams and wrong rows, and nobody else; each act is kept."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from eventstore.records import RecordedEvent
from eventstore.store import event_store
from projections.models import AccountSummary, ProjectionFailure
from projections.projectors import PROJECTORS
from projections.runner import catch_up, rebuild_all_suspects
from projections.streams import retry_due
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account
from tests.integration.projections.poisoned_accounts import POISON, faulty_program, parked_accounts, parked_versions


@pytest.fixture(autouse=True)
def no_retries_by_themselves(settings) -> None:
    settings.PROJECTION_RETRY_SECONDS = 3_600


@pytest.fixture
def operations() -> Client:
    return browser_of("operations")


def browser_of(role: str) -> Client:
    user = User.objects.create_user(username=f"{role}-{uuid4()}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    browser = Client()
    browser.force_login(user)
    return browser


def failure_of(stream_id: str, projection: str = "account_statement") -> ProjectionFailure:
    return ProjectionFailure.objects.get(stream_id=stream_id, projection=projection)


def failure_page(failure: ProjectionFailure) -> str:
    return reverse("admin:projections_projectionfailure_change", args=(failure.pk,))


def acts_on(stream_id: str) -> list[tuple[str, str, Any, Any]]:
    """Return what operators did about a stream: the act, who, why and where."""
    acts, position = [], 0
    while events := event_store().read_all(after_position=position, limit=1_000, stream_prefix="operations-"):
        position = events[-1].position
        acts += [_act(event) for event in events if event.data.get("streamId") == stream_id]
    return acts


def _act(event: RecordedEvent) -> tuple[str, str, Any, Any]:
    return event.event_type, event.metadata["actor"].split("-")[0], event.data["reason"], event.data.get("projection")


def told(browser: Client, address: str, **fields: Any) -> str:
    return browser.post(address, fields, follow=True).content.decode()


def test_operations_retry_a_parked_stream_with_a_reason(operations):
    [stream] = parked_accounts()
    failure = failure_of(stream.stream_id)
    address = reverse("admin:retry_stream", args=(failure.pk,))
    assert address in operations.get(failure_page(failure)).content.decode()

    assert "reason: This field is required" in told(operations, address, reason="")
    with faulty_program(stream.stream_id):
        answer = told(operations, address, reason="perhaps")
    assert f"still parked, after version {POISON - 1}: UnknownEventType" in answer
    assert failure_of(stream.stream_id).attempts == 2

    assert "It is mended" in told(operations, address, reason="the program is mended")
    assert parked_versions(stream) == {"account_summary": POISON}
    assert acts_on(stream.stream_id) == [
        ("StreamRetried", "operations", "perhaps", "account_statement"),
        ("StreamRetried", "operations", "the program is mended", "account_statement"),
    ]
    other = failure_of(stream.stream_id, "account_summary")
    assert "mended" in told(operations, reverse("admin:rebuild_stream", args=(other.pk,)), reason="to be sure")
    assert parked_versions(stream) == {}
    assert_read_models_match([stream.stream_id])


def test_operations_have_many_streams_retried_by_the_worker(operations):
    first, second, third = parked_accounts(3)
    chosen = ProjectionFailure.objects.filter(stream_id__in=[first.stream_id, second.stream_id])
    address = reverse("admin:projections_projectionfailure_changelist")
    act = {"action": "retry_selected", "_selected_action": list(chosen.values_list("pk", flat=True))}

    assert "reason: This field is required" in told(operations, address, **act)
    retry_due(projectors=PROJECTORS, until=float("inf"))
    assert chosen.count() == 4
    assert "4 are due" in told(operations, address, **act, reason="the program is mended")
    retry_due(projectors=PROJECTORS, until=float("inf"))
    assert chosen.count() == 0
    assert parked_versions(third).keys() == {"account_summary", "account_statement"}
    assert_read_models_match([first.stream_id, second.stream_id])
    assert len(acts_on(first.stream_id)) == 2
    ProjectionFailure.objects.filter(stream_id=third.stream_id).delete()


def test_operations_rebuild_an_account(operations):
    stream = busy_account(10)
    append(stream)
    catch_up()
    account_id = stream.stream_id.removeprefix("account-")
    AccountSummary.objects.filter(account_id=account_id).update(balance=1)
    page = reverse("admin:projections_accountsummary_change", args=(account_id,))
    address = reverse("admin:rebuild_account", args=(account_id,))
    assert address in operations.get(page).content.decode()

    assert "account_summary is CURRENT at version 10" in told(operations, address, reason="a row was changed by hand")
    assert_read_models_match([stream.stream_id])
    assert acts_on(stream.stream_id) == [("StreamRebuilt", "operations", "a row was changed by hand", None)]


def test_a_long_account_is_left_to_the_jobs_worker(operations, settings):
    settings.PROJECTION_BATCH_EVENTS = 4
    stream = busy_account(10)
    append(stream)
    catch_up()
    account_id = stream.stream_id.removeprefix("account-")
    AccountSummary.objects.filter(account_id=account_id).update(balance=1)
    address = reverse("admin:rebuild_account", args=(account_id,))
    assert "account_summary is REBUILDING at version 10" in told(operations, address, reason="by hand")
    failure = failure_of(stream.stream_id)
    assert "A worker projects it anew" in told(
        operations, reverse("admin:rebuild_stream", args=(failure.pk,)), reason="again"
    )
    rebuild_all_suspects(slice_seconds=30)
    assert parked_versions(stream) == {}
    assert_read_models_match([stream.stream_id])


@pytest.mark.parametrize("role", ["teller", "auditor", "client"])
def test_nobody_else_may(role):
    [stream] = parked_accounts()
    account_id, failure, browser = (
        stream.stream_id.removeprefix("account-"),
        failure_of(stream.stream_id),
        browser_of(role),
    )
    addresses = [
        reverse("admin:rebuild_account", args=(account_id,)),
        reverse("admin:retry_stream", args=(failure.pk,)),
        reverse("admin:rebuild_stream", args=(failure.pk,)),
    ]
    shown = browser.get(failure_page(failure)).content.decode()
    for address in addresses:
        assert browser.post(address, {"reason": "I want to"}).status_code == 403
        assert address not in shown
        assert browser.get(address).status_code == 405
    act = {"action": "retry_selected", "_selected_action": [failure.pk], "reason": "I want to"}
    due_before = failure.next_attempt_at
    browser.post(reverse("admin:projections_projectionfailure_changelist"), act)
    assert failure_of(stream.stream_id).next_attempt_at == due_before
    assert acts_on(stream.stream_id) == []
    ProjectionFailure.objects.filter(stream_id=stream.stream_id).delete()


def test_a_parked_stream_of_a_projection_that_is_gone(operations):
    [stream] = parked_accounts()
    failures = ProjectionFailure.objects.filter(stream_id=stream.stream_id, projection="account_statement")
    failures.update(projection="gone")
    failure = failure_of(stream.stream_id, "gone")
    for act in ("retry_stream", "rebuild_stream"):
        address = reverse(f"admin:{act}", args=(failure.pk,))
        assert "no such projection any more" in told(operations, address, reason="why not")
    ProjectionFailure.objects.filter(stream_id=stream.stream_id).delete()
