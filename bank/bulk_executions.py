"""From the commands of a bulk to what is asked of the event store."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import ErrorDetail, ValidationError

from accounts import handlers as accounts
from accounts.command_context import (
    IdempotencyKeyRequired,
    authenticated_client,
    client_key,
    command_key,
    event_metadata,
    fingerprint_at,
)
from accounts.domain.commands import CreateAccount
from accounts.permissions import reach_of
from accounts.repository import account_stream_id
from accounts.serializers import InvalidHeaders
from accounts.views import SURROUNDINGS
from bank.bulk_content import BulkItem
from eventstore.all_or_nothing import all_or_nothing
from eventstore.execution import Execution, Stream, StreamKind
from eventstore.records import CommandContext, Decision
from transfers import handlers as transfers
from transfers.domain.commands import InitiateTransfer

# A bulk is admitted on a stream that never holds an event: an append has to be about some stream.
_ADMISSIONS = StreamKind(
    snapshot_schema_version=1,
    initial=lambda: None,
    apply=lambda state, event_type, schema_version, data: state,
    to_snapshot=lambda state: {},
    from_snapshot=lambda state: None,
)


def bulk_context(*, request: HttpRequest, fields: Mapping[str, Any]) -> CommandContext:
    """Return what surrounds the whole, whose validated fields (by Python names) are `fields`. Raises InvalidHeaders."""
    if "HTTP_IF_MATCH" in request.META:
        detail = ErrorDetail("Is of one account; a command has its own expectedVersion.", code="not_applicable")
        raise InvalidHeaders({"If-Match": [detail]})
    key = command_key(request=request, fields=fields)
    commands = [[item.kind.name, item.fields] for item in fields["commands"]]
    asked = {"atomic": fields["atomic"], "actor": fields.get("actor"), "commands": commands}
    return CommandContext(
        key=client_key(request=request, key=key) if key else None,
        fingerprint=fingerprint_at(path=request.path, fields=asked, expected_version=None) if key else "",
        metadata=event_metadata(request=request, key=key, on_behalf_of=fields.get("actor")),
    )


def admission(*, whole: CommandContext, commands: int) -> Execution:
    """Return what keeps the key of the whole for these very commands, before the first of them is begun."""
    if whole.key is None:
        raise AssertionError("without a key there is nothing to keep")
    name = hashlib.sha256(f"{whole.key.scope} {whole.key.key}".encode()).hexdigest()
    decision = Decision(result={"status": "accepted", "commands": commands})
    return Execution(
        streams=[Stream(stream_id=f"bulk-{name}", kind=_ADMISSIONS, presumed_new=True)],
        command=None,
        decide=lambda states, command, now, new_id: decision,
        context=whole,
    )


def each_by_itself(*, request: HttpRequest, items: Sequence[BulkItem], whole: CommandContext) -> list[Execution]:
    """Return an execution for each command; under a key of the whole, one without its own has that and its index.

    Raises IdempotencyKeyRequired for a command that has none, where none may.
    """
    return [_execution(request, item, _own_context(request, item, index, whole)) for index, item in enumerate(items)]


def together(*, request: HttpRequest, items: Sequence[BulkItem], whole: CommandContext) -> Execution:
    """Return the one execution of all commands, in which a transfer is done in one step, however it is done alone.

    Raises IdempotencyKeyRequired if the whole has no key, where it may not.
    """
    if whole.key is None and settings.REQUIRE_IDEMPOTENCY_KEY:
        raise IdempotencyKeyRequired
    parts = [_execution(request, item, _expectation(item), in_one_step=True) for item in items]
    return all_or_nothing(parts=parts, context=whole)


def _execution(
    request: HttpRequest, item: BulkItem, context: CommandContext, *, in_one_step: bool = False
) -> Execution:
    asked = {name: value for name, value in item.fields.items() if name not in SURROUNDINGS}
    reach = reach_of(request)
    if item.kind.command_class is InitiateTransfer:
        asked.setdefault("transfer_id", str(uuid4()))
        transfer = InitiateTransfer(client_id=authenticated_client(request=request), **asked)
        return transfers.initiation(command=transfer, context=context, reach=reach, in_one_step=in_one_step)
    if item.kind.command_class is CreateAccount:
        asked["client_id"] = authenticated_client(request=request)
    return accounts.execution(command=item.kind.command_class(**asked), context=context, reach=reach)


def _own_context(request: HttpRequest, item: BulkItem, index: int, whole: CommandContext) -> CommandContext:
    """Return the context that the command would have alone: so its key is the same key, wherever it is sent again."""
    key = item.fields.get("command_id") or (f"{whole.key.key}#{index}" if whole.key else None)
    if key is None and settings.REQUIRE_IDEMPOTENCY_KEY:
        raise IdempotencyKeyRequired
    if whole.key and item.fields.get("command_id", "").startswith(f"{whole.key.key}#"):
        detail = ErrorDetail("Such keys belong to the commands that have none of their own.", code="reserved")
        raise ValidationError({"commands": {str(index): {"commandId": [detail]}}})
    on_behalf_of = item.fields.get("actor", whole.metadata.get("onBehalfOf"))
    return CommandContext(
        key=client_key(request=request, key=key) if key else None,
        fingerprint=_fingerprint_alone(item, on_behalf_of) if key else "",
        expected_versions=_expectation(item).expected_versions,
        metadata=event_metadata(request=request, key=key, on_behalf_of=on_behalf_of),
    )


def _fingerprint_alone(item: BulkItem, on_behalf_of: str | None) -> str:
    path = item.kind.path(item.fields)
    fields = {name: value for name, value in item.fields.items() if name not in item.kind.in_path}
    if on_behalf_of is not None:
        fields["actor"] = on_behalf_of
    return fingerprint_at(path=path, fields=fields, expected_version=item.fields.get("expected_version"))


def _expectation(item: BulkItem) -> CommandContext:
    """Return a context with nothing in it but the version that the command expects of its account, or of its source."""
    expected_version = item.fields.get("expected_version")
    if expected_version is None:
        return CommandContext()
    account_id = item.fields.get("account_id") or item.fields["source_account_id"]
    return CommandContext(expected_versions={account_stream_id(account_id): expected_version})
