"""The one table from what went wrong to what HTTP says about it: RFC 9457 problems."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import django.db
import orjson
import psycopg
from django.core import exceptions as django_exceptions
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions as drf
from rest_framework.request import Request

from accounts.command_context import IdempotencyKeyRequired
from accounts.domain.exceptions import AccountError
from eventstore import exceptions as eventstore
from projections.rebuilding.exceptions import NeedsPostgresql
from transfers.domain.exceptions import TransferError


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What all problems of one code share. `detail` is worded with the fields of the single case.

    `retryable` says that the same request, sent again unchanged, may succeed; `retry_after_seconds` when.
    """

    status: int
    title: str
    detail: str
    retryable: bool = False
    retry_after_seconds: int | None = None


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    "malformed_json": ProblemType(400, "Not a JSON document", "The request cannot be read as JSON."),
    "validation_error": ProblemType(400, "Invalid request", "Parts of the request are not valid."),
    "idempotency_key_required": ProblemType(
        400, "Idempotency key required", "Send a key, as Idempotency-Key or commandId: then a repetition is harmless."
    ),
    "unauthenticated": ProblemType(401, "Not authenticated", "Send a valid token: Authorization: Bearer <token>."),
    "forbidden": ProblemType(403, "Not allowed", "This client may not do that."),
    "not_found": ProblemType(404, "Not found", "There is nothing at this URL."),
    "account_not_found": ProblemType(404, "Account not found", "There is no account {accountId}."),
    "transfer_not_found": ProblemType(404, "Transfer not found", "There is no transfer {transferId}."),
    "method_not_allowed": ProblemType(405, "Method not allowed", "This URL takes no such request."),
    "account_exists": ProblemType(409, "Account exists", "The account {accountId} was opened before."),
    "transfer_exists": ProblemType(409, "Transfer exists", "{transferId} is the id of another transfer."),
    "version_conflict": ProblemType(
        409, "Version conflict", "Version {expectedVersion} was expected, but the stream is at {actualVersion}."
    ),
    "payload_too_large": ProblemType(413, "Request too large", "The content of the request is too large."),
    "unsupported_media_type": ProblemType(
        415, "Unsupported media type", "Send Content-Type: application/json, in UTF-8."
    ),
    "insufficient_funds": ProblemType(
        422,
        "Insufficient funds",
        "The balance of {balance} is below {amount} (minor units of {currency}).",
    ),
    "account_reserved": ProblemType(422, "Account reserved", "The account {accountId} is the bank's own."),
    "account_frozen": ProblemType(422, "Account frozen", "The account {accountId} is frozen."),
    "account_not_frozen": ProblemType(422, "Account not frozen", "The account {accountId} is not frozen."),
    "account_closed": ProblemType(422, "Account closed", "The account {accountId} is closed."),
    "currency_mismatch": ProblemType(
        422, "Currency mismatch", "The account {accountId} is in {accountCurrency}, not in {currency}."
    ),
    "balance_not_zero": ProblemType(
        422, "Balance not zero", "The balance is {balance} (minor units of {currency}); it must be 0."
    ),
    "balance_limit_exceeded": ProblemType(
        422, "Balance limit exceeded", "{amount} more would pass the limit of a balance (minor units of {currency})."
    ),
    "destination_not_found": ProblemType(
        422, "Destination not found", "There is no account {accountId} to send the money to."
    ),
    "idempotency_key_reused": ProblemType(
        422, "Idempotency key reused", "This key was used before, for another request: take a new one."
    ),
    "throttled": ProblemType(429, "Too many requests", "This client sent more requests than it may.", True),
    "internal_error": ProblemType(500, "Internal error", "The bank failed; quote the requestId when you report it."),
    "needs_postgresql": ProblemType(
        501, "Not in memory", "An in-memory bank keeps nothing that could be rebuilt; it takes PostgreSQL."
    ),
    "store_unavailable": ProblemType(
        503, "Store unavailable", "The store cannot be reached; nothing was written.", True, retry_after_seconds=1
    ),
    "contention": ProblemType(
        503,
        "Contention",
        "Too many write to the same account; nothing was written.",
        True,
        retry_after_seconds=1,
    ),
    "overloaded": ProblemType(
        503, "Overloaded", "Too many requests wait; nothing was written.", True, retry_after_seconds=1
    ),
    "not_ready": ProblemType(
        503, "Not ready", "Something that the bank needs does not work.", True, retry_after_seconds=1
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One case: a code of the table, and what is particular to it.

    `fields` word the detail and become extension members; `detail` takes the place of the table's wording; `errors`
    point at the parts of the request that are wrong.
    """

    code: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    detail: str | None = None
    errors: tuple[Mapping[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class _Wording(dict[str, Any]):
    """Fields for a detail; an old verdict may lack one that today's wording mentions."""

    def __missing__(self, name: str) -> str:
        return "(unknown)"


def problem_response(*, problem: Problem, request: HttpRequest | Request) -> HttpResponse:
    """Return the application/problem+json answer that tells `problem` to the sender of `request`."""
    kind = PROBLEM_TYPES[problem.code]
    headers = dict(problem.headers)
    if kind.retry_after_seconds is not None:
        headers["Retry-After"] = str(kind.retry_after_seconds)
    return HttpResponse(
        orjson.dumps(problem_document(problem=problem, request=request)),
        status=kind.status,
        content_type="application/problem+json",
        headers=headers,
    )


def problem_document(*, problem: Problem, request: HttpRequest | Request) -> dict[str, Any]:
    """Return what `problem` is to the sender of `request`, in the terms of RFC 9457."""
    kind = PROBLEM_TYPES[problem.code]
    document = {
        "type": f"/problems/{problem.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail or kind.detail.format_map(_Wording(problem.fields)),
        "code": problem.code,
        "requestId": request.META["HTTP_X_REQUEST_ID"],
        "retryable": kind.retryable,
    }
    # The fields follow the members that RFC 9457 and the API define, and never take their places.
    document = document | dict(problem.fields) | document
    if problem.errors:
        document["errors"] = problem.errors
    return document


@singledispatch
def problem_of(error: BaseException | None) -> Problem:
    """Return the problem that `error` is for the client; what the table does not foresee is a fault of the bank."""
    return Problem(code="internal_error")


@problem_of.register(AccountError)
@problem_of.register(TransferError)
def _(error: AccountError | TransferError) -> Problem:
    return Problem(code=error.code, fields=error.fields)


@problem_of.register
def _(error: eventstore.CommandRefused) -> Problem:
    result = error.outcome.result
    headers = {"Idempotent-Replayed": "true"} if error.outcome.replayed else {}
    return Problem(code=result["code"], fields=result["fields"], headers=headers)


@problem_of.register
def _(error: eventstore.VersionConflict) -> Problem:
    fields = {"expectedVersion": error.expected_version, "actualVersion": error.actual_version}
    return Problem(code=error.code, fields=fields if error.index is None else {**fields, "index": error.index})


@problem_of.register(IdempotencyKeyRequired)
@problem_of.register(NeedsPostgresql)
def _(error: IdempotencyKeyRequired | NeedsPostgresql) -> Problem:
    return Problem(code=error.code)


@problem_of.register(eventstore.IdempotencyKeyReused)
@problem_of.register(eventstore.Contention)
@problem_of.register(eventstore.Overloaded)
@problem_of.register(eventstore.StoreUnavailable)
def _(error: eventstore.EventStoreError) -> Problem:
    return Problem(code=error.code)


@problem_of.register
def _(error: eventstore.OutcomeUnknown) -> Problem:
    return Problem(
        code=error.code,
        detail="The connection to the store broke while it was writing, so the outcome is unknown. Send the request "
        "again with the same key (Idempotency-Key or commandId); without a key, look at the account first.",
    )


# psycopg's pool time-outs, lock and statement time-outs, and refused or broken connections are all of these.
@problem_of.register(django.db.OperationalError)
@problem_of.register(django.db.InterfaceError)
@problem_of.register(psycopg.OperationalError)
@problem_of.register(psycopg.InterfaceError)
def _(error: Exception) -> Problem:
    return Problem(code="store_unavailable")


@problem_of.register
def _(error: drf.ValidationError) -> Problem:
    errors = tuple(_located(error.detail, getattr(error, "located_in", "pointer"), ""))
    return Problem(code="validation_error", errors=errors)


def _located(detail: Any, located_in: str, location: str) -> Iterator[Mapping[str, str]]:
    """Yield every error in `detail` with its place: a JSON pointer (RFC 6901), or the name of a parameter or header."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = name if located_in != "pointer" else "/" + name.replace("~", "~0").replace("/", "~1")
            yield from _located(inner, located_in, location + step)
    else:
        for item in detail:
            yield {located_in: location, "code": item.code, "detail": str(item)}


@problem_of.register
def _(error: drf.ParseError) -> Problem:
    return Problem(code="malformed_json", detail=str(error.detail))


@problem_of.register(UnreadablePostError)
def _(error: Exception) -> Problem:
    return Problem(code="malformed_json", detail="The content of the request ended before its announced length.")


@problem_of.register(django_exceptions.RequestDataTooBig)
def _(error: Exception) -> Problem:
    return Problem(code="payload_too_large")


@problem_of.register(django_exceptions.SuspiciousOperation)
@problem_of.register(django_exceptions.BadRequest)
def _(error: Exception) -> Problem:
    return Problem(code="validation_error")


@problem_of.register
def _(error: django_exceptions.DisallowedHost) -> Problem:
    detail = "The bank does not answer to this name."
    return Problem(code="validation_error", errors=({"header": "Host", "code": "unknown_host", "detail": detail},))


@problem_of.register(drf.NotAuthenticated)
@problem_of.register(drf.AuthenticationFailed)
def _(error: drf.APIException) -> Problem:
    # DRF puts the challenge of the first authentication class here; without one there is nothing to answer with.
    return Problem(code="unauthenticated", headers={"WWW-Authenticate": getattr(error, "auth_header", "Bearer")})


@problem_of.register(drf.PermissionDenied)
@problem_of.register(django_exceptions.PermissionDenied)
def _(error: Exception) -> Problem:
    return Problem(code="forbidden")


@problem_of.register
def _(error: drf.Throttled) -> Problem:
    # As DRF rounded it up: who waits so long finds the door open.
    return Problem(code="throttled", headers={"Retry-After": str(error.wait)})  # type: ignore[attr-defined]


@problem_of.register(drf.NotFound)
@problem_of.register(Http404)
def _(error: Exception) -> Problem:
    return Problem(code="not_found")


@problem_of.register
def _(error: drf.MethodNotAllowed) -> Problem:
    return Problem(code="method_not_allowed", detail=str(error.detail))


@problem_of.register
def _(error: drf.UnsupportedMediaType) -> Problem:
    return Problem(code="unsupported_media_type")
