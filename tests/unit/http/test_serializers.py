"""Serializers take known fields and parameters only, and report everything that is wrong at once."""

from typing import Any

import pytest
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from accounts.serializers import (
    CreateAccountSerializer,
    IdentifierField,
    InvalidParameters,
    MovementSerializer,
    QueryIntegerField,
    StrictQuerySerializer,
    read_path_identifier,
)


class PageSerializer(StrictQuerySerializer):
    """A query like those of the read side."""

    limit = QueryIntegerField(min_value=1, max_value=500, default=100)
    ownerId = IdentifierField(required=False, source="owner_id")


def test_fields_are_known_by_their_python_names():
    fields = MovementSerializer.read(data={"amount": 5, "currency": "EUR", "transactionId": "t", "commandId": "c"})
    assert fields == {"amount": 5, "currency": "EUR", "transaction_id": "t", "command_id": "c"}


def test_everything_that_is_wrong_is_reported_at_once():
    with pytest.raises(ValidationError) as refusal:
        CreateAccountSerializer.read(data={"accountId": "a b", "currency": None, "color": "red"})
    assert refusal.value.get_codes() == {
        "accountId": ["bad_identifier"],
        "ownerId": ["required"],
        "currency": ["null"],
        "color": ["unknown_field"],
    }


def test_null_is_refused_for_an_optional_field_too():
    with pytest.raises(ValidationError) as refusal:
        MovementSerializer.read(data={"amount": 5, "currency": "EUR", "transactionId": None})
    assert refusal.value.get_codes() == {"transactionId": ["null"]}


@pytest.mark.parametrize("data", [[], "text", 7, None, True])
def test_only_an_object_has_fields(data):
    with pytest.raises(ValidationError):
        MovementSerializer.read(data=data)


def test_a_flood_of_unknown_fields_is_answered_shortly():
    with pytest.raises(ValidationError) as refusal:
        MovementSerializer.read(data={f"{number}{'x' * 100}": 1 for number in range(1000)})
    reported: Any = refusal.value.get_codes()
    unknown = [name for name, codes in reported.items() if codes == ["unknown_field"]]
    assert len(unknown) == 20
    assert {len(name) for name in unknown} == {64}


def test_one_answer_leaves_nothing_behind_for_the_next():
    with pytest.raises(ValidationError):
        MovementSerializer.read(data={"amount": -1})
    first = MovementSerializer.read(data={"amount": 5, "currency": "EUR", "metadata": {"a": "b"}})
    second = MovementSerializer.read(data={"amount": 6, "currency": "USD"})
    assert first == {"amount": 5, "currency": "EUR", "metadata": {"a": "b"}}
    assert second == {"amount": 6, "currency": "USD"}


def test_parameters_have_their_defaults():
    assert PageSerializer.read(data=QueryDict("")) == {"limit": 100}
    assert PageSerializer.read(data=QueryDict("limit=7&ownerId=user-1")) == {"limit": 7, "owner_id": "user-1"}


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("limit=1&limit=2", {"limit": ["repeated"]}),
        ("limit=1&limit=1", {"limit": ["repeated"]}),
        ("Limit=1", {"Limit": ["unknown_field"]}),
        ("format=json", {"format": ["unknown_field"]}),
        ("limit=0&ownerId=", {"limit": ["too_small"], "ownerId": ["bad_identifier"]}),
        ("limit=a&x=1", {"limit": ["not_an_integer"], "x": ["unknown_field"]}),
        ("limit=%FF", {"limit": ["not_an_integer"]}),
    ],
)
def test_parameters_are_known_and_given_once(query, codes):
    with pytest.raises(InvalidParameters) as refusal:
        PageSerializer.read(data=QueryDict(query))
    assert refusal.value.get_codes() == codes


def test_an_identifier_in_the_path():
    assert read_path_identifier(name="accountId", value="acc-1") == "acc-1"
    with pytest.raises(InvalidParameters) as refusal:
        read_path_identifier(name="accountId", value="acc 1")
    assert refusal.value.get_codes() == {"accountId": ["bad_identifier"]}
