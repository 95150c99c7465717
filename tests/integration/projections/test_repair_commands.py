"""manage.py retry_streams and rebuild_stream: what they do, say and exit with."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from projections.models import AccountSummary, ProjectionFailure
from projections.runner import catch_up
from tests.integration.admin.test_repair import acts_on
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account, new_account_id
from tests.integration.projections.poisoned_accounts import faulty_program, parked_accounts, parked_versions
from tests.integration.projections.test_runner import outage


@pytest.fixture(autouse=True)
def nothing_parked_before(settings) -> None:
    settings.PROJECTION_RETRY_SECONDS = 3_600
    ProjectionFailure.objects.all().delete()


def said_by(*command: str, **options: Any) -> list[str]:
    out = StringIO()
    call_command(*command, **options, stdout=out)
    return out.getvalue().splitlines()


def test_one_stream_is_retried():
    first, second = parked_accounts(2)
    lines = said_by("retry_streams", "the program is mended", stream=first.stream_id)
    assert lines == [
        f"{name}: {first.stream_id}: mended, at version 10" for name in ("account_statement", "account_summary")
    ]
    assert parked_versions(first) == {}
    assert len(parked_versions(second)) == 2
    assert [(event, reason) for event, _, reason, _ in acts_on(first.stream_id)] == [
        ("StreamRetried", "the program is mended")
    ] * 2


def test_one_stream_in_one_projection():
    [stream] = parked_accounts()
    said_by("retry_streams", "mended", stream=stream.stream_id, projection="account_summary")
    assert parked_versions(stream).keys() == {"account_statement"}


def test_all_streams_and_those_that_are_due():
    first, second = parked_accounts(2)
    with pytest.raises(CommandError, match="No such stream is parked"):
        said_by("retry_streams", "mended", due=True)
    ProjectionFailure.objects.filter(stream_id=first.stream_id).update(next_attempt_at=timezone.now())
    assert len(said_by("retry_streams", "mended", due=True)) == 2
    assert (parked_versions(first), len(parked_versions(second))) == ({}, 2)
    assert len(said_by("retry_streams", "mended", all=True)) == 2
    assert_read_models_match([first.stream_id, second.stream_id])


def test_what_is_still_parked_is_said_and_is_an_error(capsys):
    [stream] = parked_accounts()
    with faulty_program(stream.stream_id), pytest.raises(CommandError, match="2 of 2 are still parked"):
        call_command("retry_streams", "perhaps", all=True)
    assert f"account_summary: {stream.stream_id}: parked after version 5: UnknownEventType" in capsys.readouterr().out


def test_a_long_stream_is_gone_on_with_to_its_end(settings):
    [stream] = parked_accounts(events=200)
    settings.PROJECTION_BATCH_EVENTS = 20
    said_by("retry_streams", "mended", all=True)
    assert_read_models_match([stream.stream_id])


def test_a_stream_is_rebuilt_however_long_it_is(settings):
    settings.PROJECTION_BATCH_EVENTS = 20
    stream = busy_account(100)
    append(stream)
    catch_up()
    AccountSummary.objects.filter(account_id=stream.stream_id.removeprefix("account-")).update(balance=1)
    assert said_by("rebuild_stream", stream.stream_id, "changed by hand") == [
        "account_summary: at version 100",
        "account_statement: at version 100",
    ]
    assert_read_models_match([stream.stream_id])
    with faulty_program(stream.stream_id), pytest.raises(CommandError, match="is parked"):
        said_by("rebuild_stream", stream.stream_id, "with a faulty program")
    said_by("rebuild_stream", stream.stream_id, "with the program mended")
    assert_read_models_match([stream.stream_id])


@pytest.mark.parametrize("stream_id", ["account-nobody", "nonsense", "", "account-\0", "account-\udcff", "x" * 10_000])
def test_a_stream_that_is_not_there(stream_id):
    with pytest.raises(CommandError, match="There is no stream"):
        said_by("rebuild_stream", stream_id, "why not")


def test_rows_of_an_account_that_the_log_knows_nothing_of_go():
    account_id = new_account_id()
    moment = timezone.now()
    AccountSummary.objects.create(
        account_id=account_id,
        owner_id="x",
        currency="USD",
        status="ACTIVE",
        balance=1,
        version=1,
        last_position=1,
        created_at=moment,
        updated_at=moment,
    )
    said_by("rebuild_stream", f"account-{account_id}", "it never was")
    assert not AccountSummary.objects.filter(account_id=account_id).exists()


def test_without_a_database_they_say_so():
    with outage():
        for command in (["retry_streams", "why not", "--all"], ["rebuild_stream", "account-1", "why not"]):
            with pytest.raises(CommandError, match="the database is away"):
                said_by(*command)


@pytest.mark.parametrize("reason", ["", "a\nb", "a\udcff", "x" * 501])
def test_a_reason_that_the_log_would_not_keep(reason):
    for command in (["retry_streams", reason, "--all"], ["rebuild_stream", "account-1", reason]):
        with pytest.raises(CommandError):
            said_by(*command)
