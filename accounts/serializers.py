"""The shape of what clients send: strict fields, and one serializer for each command and query."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, TypeAlias

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import empty

from accounts.domain.money import MAX_AMOUNT, is_known_currency
from eventstore.chain import MAX_WHOLE_NUMBER

FieldCheck: TypeAlias = Callable[[Any], Any]
"""From what was sent to the value that it means. Raises ValidationError."""

IDENTIFIER = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WHOLE_NUMBER_TEXT = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_MAX_REPORTED_FIELDS = 20
_MAX_REPORTED_NAME_LENGTH = 64


class InvalidParameters(ValidationError):
    """Parts of the URL are not valid: parameters of the query string, or of the path."""

    located_in = "parameter"


class InvalidHeaders(ValidationError):
    """Headers of the request are not valid."""

    located_in = "header"


class StrictIntegerField(serializers.Field[int, Any, int, Any]):
    """A JSON whole number: no text, no boolean, no fraction and no exponent, not even a zero one."""

    default_error_messages: ClassVar = {
        "not_an_integer": "Must be a whole number, written with digits alone.",
        "too_small": "Must be at least {min_value}.",
        "too_large": "Must be at most {max_value}.",
    }

    def __init__(self, *, min_value: int = 0, max_value: int = MAX_WHOLE_NUMBER, **options: Any) -> None:
        super().__init__(**options)
        self.min_value = min_value
        self.max_value = max_value

    def to_internal_value(self, data: Any) -> int:
        """Return `data` if it is a whole number in range."""
        if type(data) is float and abs(data) > MAX_WHOLE_NUMBER:
            # The parser gives a float for whole numbers from 2^64: what is wrong with those is their size.
            self.fail("too_large" if data > 0 else "too_small", max_value=self.max_value, min_value=self.min_value)
        if type(data) is not int:
            self.fail("not_an_integer")
        if data < self.min_value:
            self.fail("too_small", min_value=self.min_value)
        if data > self.max_value:
            self.fail("too_large", max_value=self.max_value)
        return data


class QueryIntegerField(StrictIntegerField):
    """A whole number in a query string: digits alone, with no leading zero, plus sign or space."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number that `data` spells, if it is in range."""
        if len(data) > 16 and data.isascii() and data.isdigit():
            self.fail("too_large", max_value=self.max_value)
        if not _WHOLE_NUMBER_TEXT.fullmatch(data):
            self.fail("not_an_integer")
        return super().to_internal_value(int(data))


class AmountField(StrictIntegerField):
    """An amount of money in minor units: 1 to 2^53-1."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_AMOUNT, **options)


class StrictCharField(serializers.Field[str, Any, str, Any]):
    """Text of 1 to `max_length` characters that are not all spaces, none of them a control character.

    PostgreSQL's jsonb cannot hold NUL, and statements are printed: so neither that nor line breaks.
    """

    default_error_messages: ClassVar = {
        "not_a_string": "Must be text.",
        "blank": "Must not be blank.",
        "too_long": "Must have at most {max_length} characters.",
        "control_character": "Must not hold control characters.",
    }

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(**options)
        self.max_length = max_length

    def to_internal_value(self, data: Any) -> str:
        """Return `data` unchanged: nothing is trimmed, so that what was sent is what is kept."""
        if type(data) is not str:
            self.fail("not_a_string")
        if not data.strip():
            self.fail("blank")
        if len(data) > self.max_length:
            self.fail("too_long", max_length=self.max_length)
        if _CONTROL_CHARACTER.search(data):
            self.fail("control_character")
        return data


class IdentifierField(StrictCharField):
    """The id of an account, an owner or a transfer: 1 to 64 of A-Z a-z 0-9 . _ : -"""

    default_error_messages: ClassVar = {
        "bad_identifier": "Must be 1 to 64 characters of A-Z, a-z, 0-9, '.', '_', ':' and '-'.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=64, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return `data` if it is an identifier."""
        if type(data) is not str:
            self.fail("not_a_string")
        if not IDENTIFIER.fullmatch(data):
            self.fail("bad_identifier")
        return data


class CommandKeyField(StrictCharField):
    """The key of a command, its idempotency key: up to 255 characters of the client's choice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=255, **options)


class CurrencyField(StrictCharField):
    """The code of a currency that accounts can be kept in: of ISO 4217, or a unit of the bank's own."""

    default_error_messages: ClassVar = {"unknown_currency": "Must be the code of a currency: USD, EUR, JPY, …"}

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=64, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return `data` if it is a known currency."""
        code = super().to_internal_value(data)
        if not is_known_currency(code):
            self.fail("unknown_currency")
        return code


class MetadataField(serializers.Field[dict[str, str], Any, dict[str, str], Any]):
    """A flat map of at most 20 short strings: keys up to 64 characters, values up to 255."""

    default_error_messages: ClassVar = {
        "not_an_object": "Must be an object whose values are text.",
        "too_many_entries": "Must have at most {max_entries} entries.",
    }
    max_entries = 20
    max_key_length = 64
    max_value_length = 255

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._key = StrictCharField(max_length=self.max_key_length)
        self._value = StrictCharField(max_length=self.max_value_length)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Return `data` if it is such a map; an error names the entry it is about."""
        if type(data) is not dict:
            self.fail("not_an_object")
        if len(data) > self.max_entries:
            self.fail("too_many_entries", max_entries=self.max_entries)
        errors: dict[str, Any] = {}
        for key, value in data.items():
            try:
                self._key.to_internal_value(key)
                self._value.to_internal_value(value)
            except ValidationError as error:
                errors[key[:_MAX_REPORTED_NAME_LENGTH]] = error.detail
        if errors:
            raise ValidationError(errors)
        return dict(data)


class StrictSerializer(serializers.Serializer[Any]):
    """A JSON object with known fields only. A field is given or left out: null is refused, as it would say neither."""

    default_error_messages: ClassVar = {
        "not_an_object": "Must be a JSON object.",
        "unknown_field": "There is no such field here.",
    }

    @classmethod
    def read(cls, *, data: Any) -> dict[str, Any]:
        """Return the validated fields of `data`, by their Python names. Raises ValidationError naming every bad field.

        One instance serves all requests: building a serializer costs more than its checks, and a flat one, asked
        only for `run_validation`, keeps nothing of what it checked.
        """
        values = _checks(cls).passed(data)
        return dict(_instance(cls).run_validation(data)) if values is None else values

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Check every field, known or not, and report all that is wrong at once."""
        if not isinstance(data, Mapping):
            self.fail("not_an_object")
        errors = self._unknown_fields(data)
        try:
            values: dict[str, Any] = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**error.detail, **errors}) from None  # type: ignore[dict-item]
        if errors:
            raise ValidationError(errors)
        return values

    def _unknown_fields(self, data: Mapping[str, Any]) -> dict[str, list[ErrorDetail]]:
        unknown = [name for name in data if name not in self.fields][:_MAX_REPORTED_FIELDS]
        detail = [ErrorDetail(str(self.error_messages["unknown_field"]), code="unknown_field")]
        return {name[:_MAX_REPORTED_NAME_LENGTH]: detail for name in unknown}


@cache
def _instance(serializer_class: type[StrictSerializer]) -> StrictSerializer:
    return serializer_class()


@cache
def _checks(serializer_class: type[StrictSerializer]) -> "_Checks":
    return _Checks(_instance(serializer_class))


class _Checks:
    """The checks of a serializer's own fields, without the steps between them that plain fields make no use of.

    It says of most requests what DRF would say, at a tenth of the cost. Of one with anything wrong it says nothing but
    that: what is wrong, and in which words, is DRF's to say.
    """

    def __init__(self, serializer: StrictSerializer) -> None:
        fields = serializer.fields
        self._is_plain = (
            type(serializer).to_internal_value is StrictSerializer.to_internal_value
            and type(serializer).run_validation is serializers.Serializer.run_validation
            and not serializer.validators
            and all(_is_plain(serializer, field) for field in fields.values())
        )
        self._by_name = {name: (str(field.source), _check_of(field)) for name, field in fields.items()}
        self._required = [name for name, field in fields.items() if field.required]
        self._defaults = {str(field.source): field.default for field in fields.values() if field.default is not empty}
        self._of_all = None if type(serializer).validate is serializers.Serializer.validate else serializer.validate

    def passed(self, data: Any) -> dict[str, Any] | None:
        """Return the validated fields by their Python names; None if DRF has to look at them."""
        if not self._is_plain or type(data) is not dict:
            return None
        values = dict(self._defaults)
        try:
            for name, value in data.items():
                source, check = self._by_name[name]
                if value is None:
                    return None
                values[source] = check(value)
            if not all(name in data for name in self._required):
                return None
            return values if self._of_all is None else dict(self._of_all(values))
        except (KeyError, ValidationError):
            return None


def _is_plain(serializer: StrictSerializer, field: serializers.Field[Any, Any, Any, Any]) -> bool:
    """Tell whether the field's value is taken as it comes: no null, no default that is made, no check by its name."""
    return (
        field.source_attrs == [field.source]
        and not (field.read_only or field.allow_null or (callable(field.default) and field.default is not empty))
        and not hasattr(serializer, f"validate_{field.field_name}")
    )


def _check_of(field: serializers.Field[Any, Any, Any, Any]) -> FieldCheck:
    is_all = type(field).run_validation is serializers.Field.run_validation and not field.validators
    return field.to_internal_value if is_all else field.run_validation


class StrictQuerySerializer(StrictSerializer):
    """A query string with known parameters only, each given once at most."""

    default_error_messages: ClassVar = {
        "unknown_field": "There is no such parameter here.",
        "repeated": "Must be given once.",
    }

    @classmethod
    def read(cls, *, data: QueryDict) -> dict[str, Any]:
        """Return the validated parameters by their Python names. Raises InvalidParameters naming every bad one."""
        if not data:
            return super().read(data={})
        repeated = [name for name, values in data.lists() if len(values) > 1][:_MAX_REPORTED_FIELDS]
        detail = [ErrorDetail(str(cls.default_error_messages["repeated"]), code="repeated")]
        if repeated:
            raise InvalidParameters({name[:_MAX_REPORTED_NAME_LENGTH]: detail for name in repeated})
        try:
            return super().read(data=data.dict())
        except ValidationError as error:
            raise InvalidParameters(error.detail) from None


class NoQuery(StrictQuerySerializer):
    """A request without parameters."""


# One of each serves all requests: making a field costs more than its check.
_IDENTIFIERS = IdentifierField()
_COMMAND_KEYS = CommandKeyField()


def read_path_identifier(*, name: str, value: str) -> str:
    """Return `value`, the path's parameter `name`, if it is an identifier. Raises InvalidParameters.

    No such thing can exist, now or later: so it is the request that is wrong, rather than something not found.
    """
    return _read_path_text(name, value, _IDENTIFIERS)


def read_path_command_key(*, name: str, value: str) -> str:
    """Return `value`, the path's parameter `name`, if a command can have it for a key. Raises InvalidParameters."""
    return _read_path_text(name, value, _COMMAND_KEYS)


def _read_path_text(name: str, value: str, field: StrictCharField) -> str:
    try:
        return field.to_internal_value(value)
    except ValidationError as error:
        raise InvalidParameters({name: error.detail}) from None


class CommandSerializer(StrictSerializer):
    """What every command may carry: its key, who asked for it, the version it expects, and a note."""

    commandId = CommandKeyField(
        required=False, source="command_id", help_text="The command's key, as `Idempotency-Key` may give it instead."
    )
    actor = StrictCharField(max_length=255, required=False, help_text="On whose behalf the client sends it.")
    expectedVersion = StrictIntegerField(
        required=False, source="expected_version", help_text="The version that the account must have, as `If-Match`."
    )
    description = StrictCharField(max_length=500, required=False, help_text="A note, shown on the statement.")
    metadata = MetadataField(required=False, help_text="Further notes by name, shown on the statement.")


class CreateAccountSerializer(CommandSerializer):
    """A new account."""

    accountId = IdentifierField(source="account_id", help_text="Of the client's choice; used once, for ever.")
    ownerId = IdentifierField(source="owner_id", help_text="Whose account it is.")
    currency = CurrencyField()


class MovementSerializer(CommandSerializer):
    """A deposit or a withdrawal."""

    amount = AmountField(help_text="In minor units of `currency`: 1000 is USD 10.00.")
    currency = CurrencyField()
    transactionId = StrictCharField(
        max_length=255,
        required=False,
        source="transaction_id",
        help_text="The client's own reference, shown on the statement; it may repeat.",
    )


class ReasonSerializer(CommandSerializer):
    """A change of an account's status."""

    reason = StrictCharField(max_length=500, required=False, help_text="Shown on the statement.")
