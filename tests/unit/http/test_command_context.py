"""What surrounds a command: its key, its fingerprint, the version it expects, who asked."""

from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from rest_framework.request import Request

from accounts.command_context import IdempotencyKeyRequired, command_context, fingerprint
from accounts.serializers import InvalidHeaders
from eventstore.records import CommandKey

FIELDS = {"amount": 1000, "currency": "USD"}


def post(path: str = "/api/accounts/acc-1/deposits", client=None, **headers: str) -> Request:
    """Return a POST with `headers` (Idempotency_Key=…) from `client`, or from nobody in particular."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(RequestFactory().post(path, headers=named))
    request.user = client
    return request


def context(request: Request, **fields):
    return command_context(request=request, fields={**FIELDS, **fields}, stream_id="account-acc-1")


def refused_header(request: Request, **fields):
    with pytest.raises(InvalidHeaders) as refusal:
        context(request, **fields)
    return refusal.value.get_codes()


def test_without_a_key_nothing_is_kept_but_who_asked():
    made = context(post(X_Correlation_Id="corr-1"), actor="teller 7")
    assert made.key is None
    assert made.fingerprint == ""
    assert made.expected_versions == {}
    assert made.metadata == {"correlationId": "corr-1", "onBehalfOf": "teller 7"}


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e"', "8e03978e"),
        ('"with space"', "with space"),
        (r'"quote \" and \\"', r'quote " and \\'[:-1]),
        ("a" * 255, "a" * 255),
        ('"' + r"\"" * 255 + '"', '"' * 255),
    ],
)
def test_the_key_is_bare_or_a_quoted_string(header, key):
    made = context(post(Idempotency_Key=header))
    assert made.key == CommandKey("open", key)
    assert made.metadata["commandId"] == key


@pytest.mark.parametrize(
    "header",
    [
        "",
        '"',
        '""',
        '" "',
        '"a',
        'a"',
        '"a"b"',
        "a b",
        "a, b",
        '"a","b"',
        '"a";v=1',
        "ä",
        "a" * 256,
        '"' + "a" * 256 + '"',
        r'"\a"',
    ],
)
def test_a_header_that_holds_no_one_key_is_refused(header):
    assert refused_header(post(Idempotency_Key=header)) == {"Idempotency-Key": ["bad_key"]}


def test_the_key_in_the_content_is_the_key():
    assert context(post(), command_id="c-1").key == CommandKey("open", "c-1")
    assert context(post(Idempotency_Key='"c-1"'), command_id="c-1").key == CommandKey("open", "c-1")
    assert refused_header(post(Idempotency_Key='"c-2"'), command_id="c-1") == {"Idempotency-Key": ["contradiction"]}


def test_a_key_can_be_required(settings):
    settings.REQUIRE_IDEMPOTENCY_KEY = True
    with pytest.raises(IdempotencyKeyRequired):
        context(post())
    assert context(post(Idempotency_Key="in-header")).key == CommandKey("open", "in-header")
    assert context(post(), command_id="in-content").key == CommandKey("open", "in-content")


def test_keys_belong_to_the_client_that_authenticated_itself():
    client = SimpleNamespace(pk=7, get_username=lambda: "shop")
    made = context(post(client=client, Idempotency_Key="k"), actor="teller")
    assert made.key == CommandKey("client:7", "k")
    assert made.metadata == {"commandId": "k", "actor": "shop", "onBehalfOf": "teller"}


@pytest.mark.parametrize(("header", "version"), [('"7"', 7), ("7", 7), ('"0"', 0), (' "7" ', 7)])
def test_the_expected_version_is_the_etag(header, version):
    assert context(post(If_Match=header)).expected_versions == {"account-acc-1": version}


@pytest.mark.parametrize(
    "header", ["", "*", 'W/"7"', '"7", "8"', '"07"', "-1", '"x"', "7.0", '"9007199254740992"', "9" * 30]
)
def test_a_header_that_names_no_one_version_is_refused(header):
    assert refused_header(post(If_Match=header)) == {"If-Match": ["bad_version"]}


def test_the_expected_version_in_the_content_counts_as_well():
    assert context(post(), expected_version=0).expected_versions == {"account-acc-1": 0}
    assert context(post(If_Match='"3"'), expected_version=3).expected_versions == {"account-acc-1": 3}
    assert refused_header(post(If_Match='"3"'), expected_version=4) == {"If-Match": ["contradiction"]}


def seen(request: Request | None = None, expected_version: int | None = None, **fields) -> str:
    return fingerprint(request=request or post(), fields={**FIELDS, **fields}, expected_version=expected_version)


def test_the_fingerprint_knows_one_command_from_another():
    different = {
        seen(),
        seen(amount=1001),
        seen(currency="EUR"),
        seen(transaction_id="txn-1"),
        seen(description="rent"),
        seen(metadata={"a": "b"}),
        seen(actor="teller"),
        seen(expected_version=3),
        seen(post("/api/accounts/acc-2/deposits")),
        seen(post("/api/accounts/acc-1/withdrawals")),
    }
    assert len(different) == 10
    assert all(len(digest) == 64 for digest in different)


def test_the_fingerprint_is_blind_to_the_key_and_to_order():
    assert seen(command_id="c-1") == seen(command_id="c-2") == seen(post(Idempotency_Key="k"))
    reversed_fields = dict(reversed(FIELDS.items()))
    assert fingerprint(request=post(), fields=reversed_fields, expected_version=None) == seen()
    assert seen(metadata={"a": "1", "b": "2"}) == seen(metadata={"b": "2", "a": "1"})


def test_the_version_counts_the_same_wherever_it_was_given():
    in_header = context(post(If_Match='"3"', Idempotency_Key="k"))
    in_content = context(post(Idempotency_Key="k"), expected_version=3)
    assert in_header.fingerprint == in_content.fingerprint
