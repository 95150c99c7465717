"""Accounts that the program cannot go on with, until it is mended."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from accounts.domain.exceptions import UnknownEventType
from accounts.event_types import decode
from eventstore.records import StreamAppend
from projections.models import ProjectionFailure
from projections.runner import catch_up
from tests.integration.projections.account_log import append, busy_account

POISON = 6
"""The version at which they are parked."""


@contextmanager
def faulty_program(*stream_ids: str) -> Iterator[None]:
    """Let projectors choke on these accounts, at that version."""
    account_ids = {stream_id.removeprefix("account-") for stream_id in stream_ids}

    def faulty(*, event_type, schema_version, data):
        if data["accountId"] in account_ids and data.get("amount") == 5 + POISON - 2:
            raise UnknownEventType(event_type=event_type, schema_version=schema_version)
        return decode(event_type=event_type, schema_version=schema_version, data=data)

    with patch("projections.projectors.account_streams.decode", faulty):
        yield


def parked_accounts(number: int = 1, *, events: int = 10) -> list[StreamAppend]:
    """Append accounts and park them, by a fault of the program that is mended then."""
    made = [busy_account(events) for _ in range(number)]
    append(*made)
    with faulty_program(*[one.stream_id for one in made]):
        catch_up()
    for one in made:
        assert parked_versions(one) == {"account_summary": POISON, "account_statement": POISON}
    return made


def parked_versions(stream: StreamAppend) -> dict[str, int]:
    """Return by projection where the stream is parked."""
    failures = ProjectionFailure.objects.filter(stream_id=stream.stream_id)
    return dict(failures.values_list("projection", "version"))
