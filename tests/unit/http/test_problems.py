"""The table of problems is complete, and every error finds its place in it."""

import re
from string import Formatter

import django.db
import orjson
import psycopg
import pytest
from django.core.exceptions import BadRequest, DisallowedHost, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from django.test import RequestFactory
from rest_framework import exceptions as drf

from accounts.domain.exceptions import AccountError, InsufficientFunds
from accounts.serializers import InvalidHeaders, InvalidParameters
from bank.problems import PROBLEM_TYPES, problem_of, problem_response
from eventstore import exceptions as eventstore
from eventstore.records import Outcome

STATUSES = {
    400: {"malformed_json", "idempotency_key_required", "validation_error"},
    401: {"unauthenticated"},
    403: {"forbidden"},
    404: {"not_found", "account_not_found", "transfer_not_found"},
    405: {"method_not_allowed"},
    409: {"account_exists", "transfer_exists", "version_conflict"},
    413: {"payload_too_large"},
    415: {"unsupported_media_type"},
    422: {
        "insufficient_funds",
        "account_reserved",
        "account_frozen",
        "account_not_frozen",
        "account_closed",
        "currency_mismatch",
        "balance_not_zero",
        "balance_limit_exceeded",
        "destination_not_found",
        "idempotency_key_reused",
    },
    429: {"throttled"},
    500: {"internal_error"},
    501: {"needs_postgresql"},
    503: {"store_unavailable", "contention", "overloaded", "not_ready"},
}


def answer(error: BaseException):
    """Return the answer to `error`, and its content."""
    request = RequestFactory().get("/api/accounts", HTTP_X_REQUEST_ID="req-1")
    response = problem_response(problem=problem_of(error), request=request)
    assert response.headers["Content-Type"] == "application/problem+json"
    return response, orjson.loads(response.content)


def refusal(*, replayed: bool = False, **result) -> eventstore.CommandRefused:
    outcome = Outcome(result=result, refused=True, replayed=replayed, first_position=None, last_position=None)
    return eventstore.CommandRefused(outcome=outcome)


def refusals(base: type[AccountError] = AccountError) -> set[type[AccountError]]:
    return set(base.__subclasses__()).union(*(refusals(derived) for derived in base.__subclasses__()))


def test_every_code_has_its_status():
    statuses = {code: status for status, codes in STATUSES.items() for code in codes}
    assert {code: kind.status for code, kind in PROBLEM_TYPES.items()} == statuses


def test_codes_and_titles_tell_problems_apart():
    assert all(re.fullmatch("[a-z_]+", code) for code in PROBLEM_TYPES)
    assert len({kind.title for kind in PROBLEM_TYPES.values()}) == len(PROBLEM_TYPES)


def test_what_may_be_sent_again_says_when():
    for kind in PROBLEM_TYPES.values():
        assert kind.retryable == (kind.status in (429, 503))
        # How long a throttled client has to wait depends on when it asks.
        assert (kind.retry_after_seconds is not None) == (kind.status == 503)


def test_every_refusal_of_the_accounts_is_in_the_table():
    codes = {error.code for error in refusals()}
    assert codes
    assert codes <= PROBLEM_TYPES.keys()


def test_the_fields_of_a_detail_are_those_that_the_refusal_promises():
    for error in refusals():
        promised = set(re.findall(r"\w+", (error.__doc__ or "").partition("Fields:")[2]))
        worded = {name for _, name, _, _ in Formatter().parse(PROBLEM_TYPES[error.code].detail) if name}
        assert worded <= promised, error.code


def test_a_refusal_as_it_is_told():
    fields = {"accountId": "acc-1", "balance": 800, "amount": 900, "currency": "USD"}
    response, problem = answer(InsufficientFunds(**fields))
    assert response.status_code == 422
    assert problem == {
        "type": "/problems/insufficient_funds",
        "title": "Insufficient funds",
        "status": 422,
        "detail": "The balance of 800 is below 900 (minor units of USD).",
        "code": "insufficient_funds",
        "requestId": "req-1",
        "retryable": False,
        **fields,
    }


def test_a_stored_refusal_is_told_in_the_same_words_and_a_replay_says_so():
    fields = {"accountId": "acc-1"}
    first, told = answer(refusal(code="account_frozen", fields=fields))
    again, told_again = answer(refusal(code="account_frozen", fields=fields, replayed=True))
    assert told == told_again
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


def test_fields_never_take_the_place_of_a_member_of_the_problem():
    _, problem = answer(refusal(code="account_frozen", fields={"accountId": "acc-1", "status": "FROZEN", "code": "x"}))
    assert (problem["status"], problem["code"]) == (422, "account_frozen")


def test_a_verdict_from_before_a_field_was_known_is_still_told():
    _, problem = answer(refusal(code="insufficient_funds", fields={"balance": 5}))
    assert problem["detail"] == "The balance of 5 is below (unknown) (minor units of (unknown))."


def test_a_version_conflict_names_both_versions():
    response, problem = answer(eventstore.VersionConflict(stream_id="account-1", expected_version=3, actual_version=5))
    assert response.status_code == 409
    assert (problem["expectedVersion"], problem["actualVersion"]) == (3, 5)


@pytest.mark.parametrize(
    "error",
    [
        eventstore.StoreUnavailable("down"),
        eventstore.OutcomeUnknown("broke"),
        django.db.OperationalError("secret host"),
        django.db.InterfaceError("closed"),
        psycopg.OperationalError("secret host"),
        psycopg.errors.QueryCanceled("statement timeout"),
        psycopg.errors.LockNotAvailable("lock timeout"),
        psycopg.InterfaceError("closed"),
    ],
)
def test_an_unreachable_store_is_worth_another_try(error):
    response, problem = answer(error)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert problem["code"] == "store_unavailable"
    assert problem["retryable"] is True
    assert "secret" not in problem["detail"]


def test_an_unknown_outcome_is_called_that():
    _, unknown = answer(eventstore.OutcomeUnknown("broke"))
    _, unavailable = answer(eventstore.StoreUnavailable("down"))
    assert "unknown" in unknown["detail"]
    assert "same key" in unknown["detail"]
    assert "nothing was written" in unavailable["detail"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (eventstore.Contention("100 attempts"), "contention"),
        (eventstore.Overloaded("256 commands wait"), "overloaded"),
        (eventstore.IdempotencyKeyReused(key="k"), "idempotency_key_reused"),
        (drf.ParseError("no JSON"), "malformed_json"),
        (UnreadablePostError("gone"), "malformed_json"),
        (drf.NotAuthenticated(), "unauthenticated"),
        (drf.AuthenticationFailed(), "unauthenticated"),
        (drf.PermissionDenied(), "forbidden"),
        (PermissionDenied(), "forbidden"),
        (drf.NotFound(), "not_found"),
        (Http404(), "not_found"),
        (drf.MethodNotAllowed("PUT"), "method_not_allowed"),
        (drf.UnsupportedMediaType("text/plain"), "unsupported_media_type"),
        (RequestDataTooBig("too big"), "payload_too_large"),
        (SuspiciousOperation("odd"), "validation_error"),
        (BadRequest("odd"), "validation_error"),
    ],
)
def test_errors_of_the_frameworks_have_their_codes(error, code):
    response, problem = answer(error)
    assert problem["code"] == code
    assert response.status_code == PROBLEM_TYPES[code].status


def test_what_nobody_foresaw_tells_nothing_of_the_inside():
    response, problem = answer(ZeroDivisionError("secret"))
    assert (response.status_code, problem["code"]) == (500, "internal_error")
    assert "secret" not in response.content.decode()


@pytest.mark.parametrize("fault", [eventstore.InvalidAppend("x"), eventstore.AppendInsideTransaction("x")])
def test_a_fault_of_the_program_is_not_the_clients(fault):
    assert problem_of(fault).code == "internal_error"


def test_a_missing_token_is_answered_with_a_challenge():
    error = drf.NotAuthenticated()
    vars(error)["auth_header"] = 'Bearer realm="bank"'  # as DRF does
    response, _ = answer(error)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="bank"'


def test_errors_point_into_the_content():
    detail = {"metadata": {"a/b~c": [drf.ErrorDetail("Too long.", code="too_long")]}}
    _, problem = answer(drf.ValidationError(detail))
    assert problem["errors"] == [{"pointer": "/metadata/a~1b~0c", "code": "too_long", "detail": "Too long."}]


@pytest.mark.parametrize(
    ("error", "located_in", "name"),
    [
        (InvalidParameters, "parameter", "limit"),
        (InvalidHeaders, "header", "If-Match"),
        (DisallowedHost, "header", "Host"),
    ],
)
def test_errors_outside_the_content_are_named(error, located_in, name):
    _, problem = answer(error({name: [drf.ErrorDetail("Bad.", code="bad")]}))
    assert problem["code"] == "validation_error"
    assert [located[located_in] for located in problem["errors"]] == [name]
