"""How account events are stored and read again, in every version there was."""

from dataclasses import MISSING, fields
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.domain import events
from accounts.domain.events import (
    AccountCreated,
    AccountEvent,
    AccountFrozen,
    MoneyDeposited,
    MoneyMoved,
    MoneyWithdrawn,
)
from accounts.domain.exceptions import CorruptHistory, MalformedEvent, UnknownEventType
from accounts.domain.money import MAX_AMOUNT
from accounts.event_types import EVENT_TYPES, UPCASTERS, decode, draft, encode
from eventstore.chain import check_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = {
    "amount": st.integers(1, MAX_AMOUNT),
    "refund": st.booleans(),
    "metadata": st.dictionaries(TEXTS, TEXTS, max_size=3),
}


def any_event(event_class: type[AccountEvent]) -> st.SearchStrategy[AccountEvent]:
    required: dict[str, st.SearchStrategy[Any]] = {
        field.name: VALUES.get(field.name, TEXTS)
        for field in fields(event_class)
        if field.default is MISSING and field.default_factory is MISSING
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        field.name: VALUES.get(field.name, st.none() | TEXTS)
        for field in fields(event_class)
        if field.name not in required
    }
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: event_class(**values))


EVENTS = st.one_of([any_event(event_class) for _, event_class in EVENT_TYPES.values()])


@given(EVENTS)
def test_what_is_stored_is_what_is_read(event):
    event_type, schema_version, data = encode(event)
    check_json(data, path="data")
    assert decode(event_type=event_type, schema_version=schema_version, data=data) == event


def test_every_event_class_has_a_stored_name():
    classes = {made for made in vars(events).values() if isinstance(made, type) and made.__module__ == events.__name__}
    assert {event_class for _, event_class in EVENT_TYPES.values()} == classes - {AccountEvent, MoneyMoved}


def test_every_old_version_has_an_upcaster():
    assert set(UPCASTERS) == {
        (event_type, version) for event_type, (present, _) in EVENT_TYPES.items() for version in range(1, present)
    }


def test_stored_shape_of_a_movement():
    event = MoneyDeposited(
        account_id="acc-1",
        amount=5,
        currency="USD",
        contra="transit",
        transaction_id="txn-1",
        transfer_id="trf-1",
        counterparty="acc-2",
        refund=True,
        description="back",
        metadata={"channel": "app"},
    )
    assert encode(event) == (
        "MoneyDeposited",
        2,
        {
            "accountId": "acc-1",
            "amount": 5,
            "currency": "USD",
            "contra": "transit",
            "transactionId": "txn-1",
            "transferId": "trf-1",
            "counterparty": "acc-2",
            "refund": True,
            "description": "back",
            "metadata": {"channel": "app"},
        },
    )


@pytest.mark.parametrize(
    ("event", "stored"),
    [
        (
            AccountCreated(account_id="acc-1", owner_id="user-1", currency="USD", client_id="app-7"),
            ("AccountCreated", 1, {"accountId": "acc-1", "ownerId": "user-1", "currency": "USD", "clientId": "app-7"}),
        ),
        (
            MoneyWithdrawn(account_id="acc-1", amount=5, currency="USD", contra="external"),
            ("MoneyWithdrawn", 2, {"accountId": "acc-1", "amount": 5, "currency": "USD", "contra": "external"}),
        ),
        (AccountFrozen(account_id="acc-1"), ("AccountFrozen", 1, {"accountId": "acc-1"})),
    ],
)
def test_what_is_not_set_is_left_out(event, stored):
    assert encode(event) == stored


@pytest.mark.parametrize("event_class", [MoneyDeposited, MoneyWithdrawn])
def test_movements_of_version_1_came_from_outside(event_class):
    stored = {"accountId": "100000", "amount": 15000, "currency": "NGN", "transactionId": "txn-1"}
    event = decode(event_type=event_class.__name__, schema_version=1, data=stored)
    assert event == event_class(
        account_id="100000", amount=15000, currency="NGN", transaction_id="txn-1", contra="external"
    )
    assert "contra" not in stored


def test_movements_of_version_2_must_name_their_contra():
    with pytest.raises(MalformedEvent, match="contra is missing"):
        decode(
            event_type="MoneyDeposited", schema_version=2, data={"accountId": "acc-1", "amount": 1, "currency": "USD"}
        )


@pytest.mark.parametrize(
    ("event_type", "schema_version"),
    [("MoneyLost", 1), ("AccountFrozen", 0), ("AccountFrozen", 2), ("MoneyDeposited", 3), ("accountfrozen", 1)],
)
def test_unknown_types_and_versions_are_refused(event_type, schema_version):
    with pytest.raises(UnknownEventType) as unknown:
        decode(event_type=event_type, schema_version=schema_version, data={"accountId": "acc-1"})
    assert (unknown.value.event_type, unknown.value.schema_version) == (event_type, schema_version)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"amount": "5"}, "amount"),
        ({"amount": 5.0}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": None}, "amount"),
        ({"transactionId": None}, "transactionId"),
        ({"refund": 1}, "refund"),
        ({"metadata": []}, "metadata"),
        ({"balance": 5}, "balance"),
        ({"account_id": "acc-1"}, "account_id"),
    ],
)
def test_data_of_another_shape_is_refused(change, key):
    data = {"accountId": "acc-1", "amount": 5, "currency": "USD", "contra": "external"}
    with pytest.raises(MalformedEvent) as malformed:
        decode(event_type="MoneyDeposited", schema_version=2, data=data | change)
    assert malformed.value.key == key
    assert isinstance(malformed.value, CorruptHistory)


@pytest.mark.parametrize("key", ["accountId", "amount", "currency", "contra"])
def test_data_that_lacks_a_key_is_refused(key):
    data = {"accountId": "acc-1", "amount": 5, "currency": "USD", "contra": "external"}
    del data[key]
    with pytest.raises(MalformedEvent) as malformed:
        decode(event_type="MoneyDeposited", schema_version=2, data=data)
    assert malformed.value.key == key


def test_a_draft_is_the_stored_event_with_its_identity():
    event_id = uuid4()
    made = draft(event=AccountFrozen(account_id="acc-1", reason="review"), event_id=event_id)
    assert (made.event_id, made.event_type, made.schema_version) == (event_id, "AccountFrozen", 1)
    assert made.data == {"accountId": "acc-1", "reason": "review"}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("wrong", [True, 5.0, "5", None])
def test_kinds_are_looked_at_also_in_data_of_a_known_shape(order, wrong):
    data = {"accountId": "acc-1", "amount": 5, "currency": "USD", "contra": "external"}
    data = dict(list(data.items())[::order])
    for _ in range(2):
        read = decode(event_type="MoneyWithdrawn", schema_version=2, data=data)
        assert read == MoneyWithdrawn(account_id="acc-1", amount=5, currency="USD", contra="external")
    with pytest.raises(MalformedEvent):
        decode(event_type="MoneyWithdrawn", schema_version=2, data={**data, "amount": wrong})
