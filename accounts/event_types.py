"""How account events are stored: name and schema version by class, key by field, and what old versions become."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeAlias
from uuid import UUID

from accounts.domain.commands import EXTERNAL
from accounts.domain.events import (
    AccountClosed,
    AccountCreated,
    AccountEvent,
    AccountFrozen,
    AccountUnfrozen,
    MoneyDeposited,
    MoneyWithdrawn,
)
from accounts.domain.exceptions import MalformedEvent, UnknownEventType
from eventstore.records import DraftEvent, JsonObject

Upcaster: TypeAlias = Callable[[JsonObject], JsonObject]

EVENT_TYPES: Mapping[str, tuple[int, type[AccountEvent]]] = {
    "AccountCreated": (1, AccountCreated),
    "MoneyDeposited": (2, MoneyDeposited),
    "MoneyWithdrawn": (2, MoneyWithdrawn),
    "AccountFrozen": (1, AccountFrozen),
    "AccountUnfrozen": (1, AccountUnfrozen),
    "AccountClosed": (1, AccountClosed),
}
"""Stored name: present schema version, and the class. Stored names outlive the classes' names."""

STORED_FIELDS: Mapping[str, tuple[str, type]] = {
    "account_id": ("accountId", str),
    "owner_id": ("ownerId", str),
    "client_id": ("clientId", str),
    "currency": ("currency", str),
    "amount": ("amount", int),
    "contra": ("contra", str),
    "transaction_id": ("transactionId", str),
    "transfer_id": ("transferId", str),
    "counterparty": ("counterparty", str),
    "refund": ("refund", bool),
    "reason": ("reason", str),
    "description": ("description", str),
    "metadata": ("metadata", dict),
}
"""Field of an event: its key in stored data, and the kind of its value there."""


def _add_contra(data: JsonObject) -> JsonObject:
    """Version 1 knew no account on the other side: all money came from outside and went there."""
    return {**data, "contra": EXTERNAL}


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {
    ("MoneyDeposited", 1): _add_contra,
    ("MoneyWithdrawn", 1): _add_contra,
}
"""Stored name and old schema version: what makes its data that of the next version."""


def encode(event: AccountEvent) -> tuple[str, int, JsonObject]:
    """Return the stored name, schema version and data of `event`; what is not set is left out."""
    shape = _SHAPE_BY_CLASS[type(event)]
    data: dict[str, Any] = {}
    for key, field in shape.fields.items():
        value = getattr(event, field.name)
        if value != field.default:
            data[key] = dict(value) if field.kind is dict else value
    return shape.event_type, shape.schema_version, data


def decode(*, event_type: str, schema_version: int, data: JsonObject) -> AccountEvent:
    """Return the event that was stored, in whatever version. Raises UnknownEventType or MalformedEvent."""
    shape = _SHAPE_BY_NAME.get(event_type)
    if shape is None or not 1 <= schema_version <= shape.schema_version:
        raise UnknownEventType(event_type=event_type, schema_version=schema_version)
    for old_version in range(schema_version, shape.schema_version):
        data = UPCASTERS[event_type, old_version](data)
    return shape.event_class(**_field_values(shape, data))


def draft(*, event: AccountEvent, event_id: UUID) -> DraftEvent:
    """Return `event` as a decision hands it to the event store."""
    event_type, schema_version, data = encode(event)
    return DraftEvent(event_id=event_id, event_type=event_type, schema_version=schema_version, data=data)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: type
    default: Any


@dataclass(frozen=True, slots=True)
class _Shape:
    """One event class as it is stored; `fields` are by their keys."""

    event_type: str
    schema_version: int
    event_class: type[AccountEvent]
    fields: Mapping[str, _Field]


def _field_values(shape: _Shape, data: JsonObject) -> dict[str, Any]:
    for key, value in data.items():
        if key not in shape.fields:
            raise MalformedEvent(event_type=shape.event_type, key=key, problem="is unexpected")
        # Exactly the kind: a boolean is an int to Python, and never an amount.
        if type(value) is not shape.fields[key].kind:
            raise MalformedEvent(event_type=shape.event_type, key=key, problem=f"is {type(value).__name__}")
    for key, field in shape.fields.items():
        if field.default is MISSING and key not in data:
            raise MalformedEvent(event_type=shape.event_type, key=key, problem="is missing")
    return {shape.fields[key].name: value for key, value in data.items()}


def _shape(event_type: str, schema_version: int, event_class: type[AccountEvent]) -> _Shape:
    stored: dict[str, _Field] = {}
    for field in fields(event_class):
        key, kind = STORED_FIELDS[field.name]
        default = field.default if field.default_factory is MISSING else field.default_factory()
        stored[key] = _Field(field.name, kind, default)
    return _Shape(event_type, schema_version, event_class, stored)


_SHAPE_BY_NAME = {name: _shape(name, version, event_class) for name, (version, event_class) in EVENT_TYPES.items()}
_SHAPE_BY_CLASS = {shape.event_class: shape for shape in _SHAPE_BY_NAME.values()}
