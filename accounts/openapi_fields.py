"""How strict fields and serializers are told to readers of the OpenAPI schema: as strict as they are."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from accounts.domain.money import known_currencies
from accounts.serializers import IDENTIFIER

_CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_SPACE = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
TEXT_PATTERN = f"^[^{_CONTROL}]*[^{_CONTROL}{_SPACE}][^{_CONTROL}]*$"
"""Text without control characters that is not all spaces, in the dialect of JSON Schema (ECMA 262)."""

JsonSchema = dict[str, Any]


def text_schema(*, max_length: int) -> JsonSchema:
    """Return the schema of what a StrictCharField of this length takes."""
    return {"type": "string", "minLength": 1, "maxLength": max_length, "pattern": TEXT_PATTERN}


class StrictIntegerSchema(OpenApiSerializerFieldExtension):
    """A whole number in its range."""

    target_class = "accounts.serializers.StrictIntegerField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema."""
        return {
            "type": "integer",
            "format": "int64",
            "minimum": self.target.min_value,
            "maximum": self.target.max_value,
        }


class StrictCharSchema(OpenApiSerializerFieldExtension):
    """Text in its length."""

    target_class = "accounts.serializers.StrictCharField"
    match_subclasses = True
    # Those of its subclasses that say more have extensions of their own.
    priority = -1

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema."""
        return text_schema(max_length=self.target.max_length)


class IdentifierSchema(OpenApiSerializerFieldExtension):
    """An identifier."""

    target_class = "accounts.serializers.IdentifierField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema."""
        return {"type": "string", "pattern": f"^{IDENTIFIER.pattern}$"}


class CurrencySchema(OpenApiSerializerFieldExtension):
    """A currency of this bank: a component, for the list is long."""

    target_class = "accounts.serializers.CurrencyField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return a reference to the list of currencies."""
        schema = {
            "type": "string",
            "description": "A currency of ISO 4217, or a unit of the bank's own.",
            "enum": known_currencies(),
        }
        component = ResolvedComponent("Currency", ResolvedComponent.SCHEMA, schema=schema, object="Currency")
        auto_schema.registry.register_on_missing(component)
        return dict(component.ref)


class ChoiceSchema(OpenApiSerializerFieldExtension):
    """One of a few words."""

    target_class = "rest_framework.serializers.ChoiceField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema."""
        return {"type": "string", "enum": list(self.target.choices)}


class MetadataSchema(OpenApiSerializerFieldExtension):
    """A flat map of short strings."""

    target_class = "accounts.serializers.MetadataField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the field's schema."""
        return {
            "type": "object",
            "maxProperties": self.target.max_entries,
            "propertyNames": text_schema(max_length=self.target.max_key_length),
            "additionalProperties": text_schema(max_length=self.target.max_value_length),
        }


class StrictSerializerSchema(OpenApiSerializerExtension):
    """An object without any other fields."""

    target_class = "accounts.serializers.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> JsonSchema:
        """Return the serializer's schema."""
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {"properties": {}, **schema, "additionalProperties": False}
