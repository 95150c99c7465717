"""Typed variables of the environment: one that cannot be what it should be is named, and never guessed at."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environ import Env

FALSE_STRINGS = ("false", "off", "no", "n", "0")


class StrictEnv(Env):  # type: ignore[misc]  # environ has no types
    """Reads flags and numbers as they stand; django-environ takes any word for false, and 1e3 for 13.

    An empty one counts as not set.
    """

    def get_value(self, var: str, cast: Any = None, default: Any = Env.NOTSET, parse_default: bool = False) -> Any:
        """Return the variable's value. Raises ImproperlyConfigured with its name if it makes no sense."""
        if cast not in READERS:
            return super().get_value(var, cast, default, parse_default)
        text = self.ENVIRON.get(var, "").strip()
        if not text:
            return default
        try:
            return READERS[cast](text)
        except ValueError:
            raise ImproperlyConfigured(f"{var} is {text!r}; it must be {KINDS[cast]}") from None

    def whole(self, var: str, *, default: int, at_least: int, at_most: int | None = None) -> Any:
        """Return the whole number that `var` is, if it is in bounds. Raises ImproperlyConfigured with its name."""
        return self._bounded(var, int, default, at_least, at_most)

    def number(self, var: str, *, default: float, at_least: float, at_most: float | None = None) -> Any:
        """Return the number that `var` is, if it is in bounds. Raises ImproperlyConfigured with its name."""
        return self._bounded(var, float, default, at_least, at_most)

    def _bounded(self, var: str, kind: Any, default: Any, at_least: Any, at_most: Any) -> Any:
        found = self.get_value(var, cast=kind, default=default)
        if found < at_least or (at_most is not None and found > at_most):
            bounds = f"{at_least} or more" if at_most is None else f"from {at_least} to {at_most}"
            raise ImproperlyConfigured(f"{var} is {found}; it must be {KINDS[kind]}, {bounds}")
        return found


def _flag(text: str) -> bool:
    if text.lower() in Env.BOOLEAN_TRUE_STRINGS:
        return True
    if text.lower() in FALSE_STRINGS:
        return False
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


READERS: Mapping[Any, Callable[[str], Any]] = {bool: _flag, int: int, float: _finite}
KINDS = {bool: "true or false", int: "a whole number", float: "a number"}
