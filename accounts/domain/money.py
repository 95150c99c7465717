"""Money: whole numbers of minor units, the currencies they are in, and how people read them."""

from collections.abc import Mapping
from decimal import Decimal

from babel.numbers import format_currency
from iso4217 import Currency

MAX_AMOUNT = 2**53 - 1
"""The largest amount and the largest balance, in minor units: above it, JSON numbers are not exact everywhere."""

# Metals, funds codes, "no currency" and the like have no minor unit in ISO 4217: nothing can be counted in them here.
_ISO_EXPONENTS = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
_exponents = dict(_ISO_EXPONENTS)


class UnknownCurrency(ValueError):
    """The bank counts nothing in a currency of this code."""

    def __init__(self, *, code: str) -> None:
        super().__init__(code)
        self.code = code


def use_own_units(units: Mapping[str, int]) -> None:
    """Make `units`, and no others, known beside the currencies of ISO 4217: exponents by code.

    A currency that leaves ISO 4217 while accounts are kept in it lives on as a unit of the bank's own.
    Raises ValueError for a unit that would give an ISO 4217 currency another exponent: amounts would change by it.
    """
    for code, exponent in units.items():
        if _ISO_EXPONENTS.get(code, exponent) != exponent:
            raise ValueError(f"{code} has {_ISO_EXPONENTS[code]} decimals in ISO 4217, not {exponent}")
    _exponents.clear()
    _exponents.update(_ISO_EXPONENTS, **units)


def is_known_currency(code: str) -> bool:
    """Tell whether accounts can be kept in `code`: an ISO 4217 currency that has minor units, or the bank's own."""
    return code in _exponents


def known_currencies() -> list[str]:
    """Return the codes of all currencies that accounts can be kept in, sorted."""
    return sorted(_exponents)


def currency_exponent(code: str) -> int:
    """Return how many decimals the major unit has: 2 for USD, so 1000 is USD 10.00. Raises UnknownCurrency."""
    try:
        return _exponents[code]
    except KeyError:
        raise UnknownCurrency(code=code) from None


def require_amount(amount: int) -> None:
    """Raise ValueError unless `amount` is a whole number from 1 to MAX_AMOUNT: the edge lets nothing else through."""
    if type(amount) is not int or not 1 <= amount <= MAX_AMOUNT:
        raise ValueError(f"{amount!r} is no amount of minor units")


def format_money(*, amount: int, currency: str) -> str:
    """Return `amount` minor units as people read it, in major units: USD 1,234.56. Raises UnknownCurrency."""
    exponent = currency_exponent(currency)
    number = "#,##0" + ("." + "0" * exponent if exponent else "")
    # The decimals are ours, not those that babel holds customary: some currencies are written without their minor unit.
    return format_currency(
        Decimal(amount).scaleb(-exponent),
        currency,
        format=f"¤¤ {number};¤¤ -{number}",
        locale="en",
        currency_digits=False,
    )
