"""The OpenAPI schema is whole and true: every URL, every problem, and examples that pass its own rules."""

import re
from typing import Any

import jsonschema
import orjson
import pytest
from django.test import RequestFactory
from django.urls import URLPattern, get_resolver
from drf_spectacular.settings import spectacular_settings
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError
from rest_framework.views import APIView

from accounts.openapi_fields import TEXT_PATTERN
from accounts.serializers import StrictCharField
from bank import api_docs
from bank.authentication import BearerTokenAuthentication
from bank.openapi_operations import OPERATIONS
from bank.problems import PROBLEM_TYPES

URLS = [pattern for pattern in get_resolver().url_patterns if isinstance(pattern, URLPattern)]


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema of a bank whose clients authenticate themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(APIView, "authentication_classes", [BearerTokenAuthentication])
        return spectacular_settings.DEFAULT_GENERATOR_CLASS().get_schema(public=True)


def operations(schema: Any) -> list[Any]:
    """Return every operation in `schema`."""
    return [operation for path in schema["paths"].values() for operation in path.values()]


def contents(operation: Any) -> list[Any]:
    """Return what an operation may read and answer, by media types."""
    parts = [operation.get("requestBody", {}), *operation["responses"].values()]
    return [content for part in parts for content in part.get("content", {}).values()]


@pytest.mark.parametrize("pattern", URLS, ids=lambda pattern: str(pattern.pattern))
def test_every_method_of_every_url_is_described(schema, pattern):
    request = RequestFactory().options("/", HTTP_X_REQUEST_ID="req-1")
    allowed = pattern.callback(request, **dict.fromkeys(pattern.pattern.converters, "acc-1")).headers["Allow"]
    without_names = re.sub(r"<[^>]*>", "{}", f"/{pattern.pattern}")
    described = {re.sub(r"{[^}]*}", "{}", path): set(methods) for path, methods in schema["paths"].items()}
    assert described[without_names] == set(allowed.lower().split(", ")) - {"head", "options"}


def test_every_operation_has_a_name_of_its_own(schema):
    names = [operation["operationId"] for operation in operations(schema)]
    assert len(names) == len(set(names))
    assert len(names) >= len(OPERATIONS) > 0


def test_every_problem_is_described_with_its_status(schema):
    described = {
        (code, int(status))
        for operation in operations(schema)
        for status, answer in operation["responses"].items()
        for media_type, content in answer.get("content", {}).items()
        if media_type == "application/problem+json"
        for code in content["schema"]["allOf"][1]["properties"]["code"]["enum"]
    }
    # A method that a path does not take is no operation of it.
    assert described == {(code, kind.status) for code, kind in PROBLEM_TYPES.items() if code != "method_not_allowed"}


@pytest.mark.parametrize(
    ("path", "codes"),
    [
        ("withdrawals", {"insufficient_funds", "account_frozen", "account_closed", "currency_mismatch"}),
        ("deposits", {"balance_limit_exceeded", "account_frozen", "account_closed", "currency_mismatch"}),
        ("freeze", {"account_frozen", "account_closed"}),
        ("unfreeze", {"account_not_frozen", "account_closed"}),
        ("close", {"balance_not_zero", "account_frozen", "account_closed"}),
    ],
)
def test_each_rule_is_described_where_it_refuses(schema, path, codes):
    answer = schema["paths"][f"/api/accounts/{{accountId}}/{path}"]["post"]["responses"]["422"]
    [content] = answer["content"].values()
    described = set(content["schema"]["allOf"][1]["properties"]["code"]["enum"])
    assert described == codes | {"idempotency_key_reused", "account_reserved"}


def test_clients_are_told_to_authenticate_themselves(schema):
    assert schema["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    for operation in operations(schema):
        is_protected = operation["tags"][0] in {"accounts", "transfers", "commands", "projections", "metrics"}
        assert ("401" in operation["responses"], "security" in operation) == (is_protected, is_protected)
        # Tokens are looked up in the database, whatever else the answer needs.
        assert not is_protected or {"403", "429", "503"} <= operation["responses"].keys()


def test_every_example_is_what_the_schema_says(schema):
    seen = 0
    for operation in operations(schema):
        for content in contents(operation):
            validator = jsonschema.Draft202012Validator({**content["schema"], "components": schema["components"]})
            for example in content.get("examples", {}).values():
                validator.validate(example["value"])
                seen += 1
    assert seen > len(PROBLEM_TYPES)


@given(st.text(st.characters() | st.sampled_from(" \xa0\u2003\u2028\x00\x1f\x7f\n"), max_size=12))
def test_text_is_described_as_strict_as_it_is(text):
    try:
        StrictCharField(max_length=10).run_validation(text)
    except ValidationError:
        taken = False
    else:
        taken = True
    assert taken is (1 <= len(text) <= 10 and re.search(TEXT_PATTERN.replace("$", r"\Z"), text) is not None)


def test_the_schema_is_served_as_it_is_made():
    response = api_docs.schema(RequestFactory().get("/api/schema"))
    assert response.headers["Content-Type"] == "application/vnd.oai.openapi+json"
    assert orjson.loads(response.content)["openapi"] == "3.1.0"


def test_the_page_asks_for_nothing_from_elsewhere_and_runs_nothing_inline():
    page = api_docs.page(RequestFactory().get("/api/docs")).content.decode()
    addresses = re.findall(r'(?:src|href|data-schema)="([^"]*)"', page)
    assert len(addresses) == 5
    assert all(re.match(r"/static/|/api/schema$", address) for address in addresses)
    assert not re.search(r"<style|style=|<script>|\son\w+=", page)
