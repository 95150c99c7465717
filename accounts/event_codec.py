"""How events of the domain become stored data and are read again, in every schema version they ever had."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from accounts.domain.exceptions import MalformedEvent, UnknownEventType
from eventstore.records import DraftEvent, JsonObject

DomainEvent = TypeVar("DomainEvent")
Upcaster: TypeAlias = Callable[[JsonObject], JsonObject]

MAX_PLANS = 1_000
"""Of one event class; far more than there are ways to leave fields out."""


class EventCodec(Generic[DomainEvent]):
    """Knows the stored shapes of one kind of stream.

    `event_types` has stored name: present schema version, and the dataclass; `stored_fields` has field of an event: its
    key in stored data, and the kind of its value there; `upcasters` has stored name and old schema version: what makes
    its data that of the next version.
    """

    def __init__(
        self,
        *,
        event_types: Mapping[str, tuple[int, type[DomainEvent]]],
        stored_fields: Mapping[str, tuple[str, type]],
        upcasters: Mapping[tuple[str, int], Upcaster],
    ) -> None:
        shapes = [
            _shape(event_type, schema_version, event_class, stored_fields)
            for event_type, (schema_version, event_class) in event_types.items()
        ]
        self._shape_by_name = {shape.event_type: shape for shape in shapes}
        self._shape_by_class = {shape.event_class: shape for shape in shapes}
        self._upcasters = upcasters

    def encode(self, event: DomainEvent) -> tuple[str, int, JsonObject]:
        """Return the stored name, schema version and data of `event`; what is not set is left out."""
        shape = self._shape_by_class[type(event)]
        stored = zip(shape.fields, shape.values_of(event), shape.defaults, strict=True)
        data: dict[str, Any] = {key: value for key, value, default in stored if value != default}
        for key in shape.maps:
            if key in data:
                data[key] = dict(data[key])
        return shape.event_type, shape.schema_version, data

    def decode(self, *, event_type: str, schema_version: int, data: JsonObject) -> DomainEvent:
        """Return the event that was stored, in whatever version. Raises UnknownEventType or MalformedEvent."""
        shape = self._shape_by_name.get(event_type)
        if shape is None or not 1 <= schema_version <= shape.schema_version:
            raise UnknownEventType(event_type=event_type, schema_version=schema_version)
        for old_version in range(schema_version, shape.schema_version):
            data = self._upcasters[event_type, old_version](data)
        return shape.event_class(**_field_values(shape, data))

    def draft(self, *, event: DomainEvent, event_id: UUID) -> DraftEvent:
        """Return `event` as a decision hands it to the event store."""
        event_type, schema_version, data = self.encode(event)
        return DraftEvent(event_id=event_id, event_type=event_type, schema_version=schema_version, data=data)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: type
    default: Any


class _Plan(NamedTuple):
    """What well-formed data of certain keys, in that order, is made of: the names of the fields, and their kinds."""

    names: tuple[str, ...]
    kinds: tuple[type, ...]


@dataclass(frozen=True, slots=True)
class _Shape(Generic[DomainEvent]):
    """One event class as it is stored; `fields` are by their keys.

    `defaults` and what `values_of` returns of an event are in the order of `fields`; `maps` are the keys of those that
    are maps. `plans` are by the keys that well-formed data had, in their order.
    """

    event_type: str
    schema_version: int
    event_class: type[DomainEvent]
    fields: Mapping[str, _Field]
    defaults: tuple[Any, ...]
    values_of: Callable[[DomainEvent], tuple[Any, ...]]
    maps: tuple[str, ...]
    required: frozenset[str]
    plans: dict[tuple[str, ...], _Plan]


def _field_values(shape: _Shape[Any], data: JsonObject) -> dict[str, Any]:
    """Return what `data` says of each field, by its name. Raises MalformedEvent."""
    plan = shape.plans.get(tuple(data))
    if plan and plan.kinds == tuple(map(type, data.values())):
        return dict(zip(plan.names, data.values(), strict=True))
    values = _checked_values(shape, data)
    if len(shape.plans) < MAX_PLANS:
        shape.plans[tuple(data)] = _Plan(tuple(values), tuple(map(type, values.values())))
    return values


def _checked_values(shape: _Shape[Any], data: JsonObject) -> dict[str, Any]:
    values: dict[str, Any] = {}
    fields_by_key = shape.fields
    for key, value in data.items():
        field = fields_by_key.get(key)
        if field is None:
            raise MalformedEvent(event_type=shape.event_type, key=key, problem="is unexpected")
        # Exactly the kind: a boolean is an int to Python, and never an amount.
        if type(value) is not field.kind:
            raise MalformedEvent(event_type=shape.event_type, key=key, problem=f"is {type(value).__name__}")
        values[field.name] = value
    if missing := shape.required.difference(data):
        raise MalformedEvent(event_type=shape.event_type, key=min(missing), problem="is missing")
    return values


def _shape(
    event_type: str,
    schema_version: int,
    event_class: type[DomainEvent],
    stored_fields: Mapping[str, tuple[str, type]],
) -> _Shape[DomainEvent]:
    stored: dict[str, _Field] = {}
    for field in fields(event_class):  # type: ignore[arg-type]
        key, kind = stored_fields[field.name]
        default = field.default if field.default_factory is MISSING else field.default_factory()
        stored[key] = _Field(field.name, kind, default)
    required = frozenset(key for key, field in stored.items() if field.default is MISSING)
    return _Shape(
        event_type,
        schema_version,
        event_class,
        stored,
        defaults=tuple(field.default for field in stored.values()),
        values_of=_reading([field.name for field in stored.values()]),
        maps=tuple(key for key, field in stored.items() if field.kind is dict),
        required=required,
        plans={},
    )


def _reading(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what reads the attributes `names` of an object all at once."""
    read = attrgetter(*names)
    # Of one name it gives the value itself.
    return read if len(names) > 1 else lambda event: (read(event),)
