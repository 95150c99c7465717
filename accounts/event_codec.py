"""How events of the domain become stored data and are read again, in every schema version they ever had."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from accounts.domain.exceptions import MalformedEvent, UnknownEventType
from eventstore.records import DraftEvent, JsonObject

DomainEvent = TypeVar("DomainEvent")
Upcaster: TypeAlias = Callable[[JsonObject], JsonObject]


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
        data: dict[str, Any] = {}
        for key, field in shape.fields.items():
            value = getattr(event, field.name)
            if value != field.default:
                data[key] = dict(value) if field.kind is dict else value
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


@dataclass(frozen=True, slots=True)
class _Shape(Generic[DomainEvent]):
    """One event class as it is stored; `fields` are by their keys."""

    event_type: str
    schema_version: int
    event_class: type[DomainEvent]
    fields: Mapping[str, _Field]
    required: frozenset[str]


def _field_values(shape: _Shape[Any], data: JsonObject) -> dict[str, Any]:
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
    return _Shape(event_type, schema_version, event_class, stored, required)
