"""What operators may type about a transfer: what the API would take; and under which name they are on record."""

import getpass
import os
from argparse import ArgumentTypeError

from rest_framework.exceptions import ValidationError

from accounts.serializers import IdentifierField, StrictCharField

_IDENTIFIER = IdentifierField()
_REASON = StrictCharField(max_length=500)


def identifier(text: str) -> str:
    """Return the id of an account or a transfer as it was typed. Raises ArgumentTypeError if there can be none."""
    return _read(_IDENTIFIER, text)


def reason(text: str) -> str:
    """Return the reason as it was typed. Raises ArgumentTypeError for one that the log would not keep."""
    # A terminal may send bytes that are no text: Python passes them on as half characters.
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ArgumentTypeError("Must be text in UTF-8.")
    return _read(_REASON, text)


def _read(field: StrictCharField, text: str) -> str:
    try:
        return field.to_internal_value(text)
    except ValidationError as error:
        raise ArgumentTypeError(" ".join(map(str, error.detail))) from None


def operators_name() -> str:
    """Return who types, as the machine knows him."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may be a mere number.
        return f"uid {os.getuid()}"
