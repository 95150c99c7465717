"""The short way through a serializer's checks ends where DRF's own way ends, whatever is sent."""

from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from accounts.serializers import (
    CreateAccountSerializer,
    IdentifierField,
    MovementSerializer,
    ReasonSerializer,
    StrictSerializer,
    _checks,
    _instance,
)
from projections.serializers import AccountListQuery, AccountQuery, HistoryQuery
from projections.transfer_views import TransferListQuery
from transfers.serializers import TransferSerializer

COMMANDS = [CreateAccountSerializer, MovementSerializer, ReasonSerializer, TransferSerializer]
QUERIES = [AccountListQuery, AccountQuery, HistoryQuery, TransferListQuery]

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-2, max_value=2**64),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["acc-1", "acc-2", "USD", "EUR", "XYZ", " ", "a\x00b", "x" * 65, "x" * 501, "suspense:USD"]),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3),
    st.lists(st.integers(), max_size=2),
)
PARAMETERS = st.text(max_size=12) | st.sampled_from(
    ["", "0", "1", "500", "501", "01", "acc-1", "USD", "asc", "desc", "ACTIVE", "MoneyDeposited", "2026-03-22T10:00Z"]
)


def by_drf(serializer_class: type[StrictSerializer], data: Any) -> dict[str, Any] | None:
    try:
        return dict(_instance(serializer_class).run_validation(data))
    except ValidationError:
        return None


def some_of(serializer_class: type[StrictSerializer], values: Any) -> Any:
    """Return objects with fields of the serializer, more often than not all that it needs, and sometimes others."""
    names = list(serializer_class().fields)
    valid = {"amount": 5, "currency": "USD", "accountId": "acc-1", "ownerId": "user-1"} | {
        "sourceAccountId": "acc-1",
        "destinationAccountId": "acc-2",
    }
    base = {name: value for name, value in valid.items() if name in names and values is VALUES}
    chosen = st.dictionaries(st.sampled_from([*names, "colour"]), values, max_size=4)
    return st.booleans().flatmap(lambda whole: chosen.map(lambda fields: {**(base if whole else {}), **fields}))


@pytest.mark.parametrize("serializer_class", COMMANDS)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_commands(serializer_class, data):
    content = data.draw(some_of(serializer_class, VALUES))
    assert _checks(serializer_class).passed(content) == by_drf(serializer_class, content)


@pytest.mark.parametrize("serializer_class", QUERIES)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_queries(serializer_class, data):
    content = data.draw(some_of(serializer_class, PARAMETERS))
    assert _checks(serializer_class).passed(content) == by_drf(serializer_class, content)


@pytest.mark.parametrize("content", [None, [], "text", 5, QueryDict("amount=5")])
def test_what_is_no_object_is_left_to_drf(content):
    assert _checks(MovementSerializer).passed(content) is None


class WithCheckByName(StrictSerializer):
    """A check that DRF finds by the field's name."""

    name = IdentifierField()

    def validate_name(self, value: str) -> str:
        """Refuse everything."""
        raise ValidationError("no")


class Nested(StrictSerializer):
    """A value that comes from deeper down."""

    name = IdentifierField(source="owner.name")


class WithOwnSteps(StrictSerializer):
    """Reads its fields in its own way."""

    name = IdentifierField()

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Read nothing."""
        return {"read": True}


@pytest.mark.parametrize("serializer_class", [WithCheckByName, Nested, WithOwnSteps])
def test_a_serializer_with_more_to_it_is_left_to_drf(serializer_class):
    assert _checks(serializer_class).passed({"name": "x"}) is None
    assert WithOwnSteps.read(data={"name": "x"}) == {"read": True}
    assert Nested.read(data={"name": "x"}) == {"owner": {"name": "x"}}
    with pytest.raises(ValidationError):
        WithCheckByName.read(data={"name": "x"})
