"""Currencies and their minor units, and how money is read."""

import pytest
from django.apps import apps
from hypothesis import given
from hypothesis import strategies as st

from accounts.domain.money import (
    MAX_AMOUNT,
    UnknownCurrency,
    currency_exponent,
    format_money,
    is_known_currency,
    require_amount,
    use_own_units,
)


@pytest.fixture
def own_units(settings):
    """Give the bank units of its own, as its settings do at start-up, and take them back."""
    settings.CURRENCIES_EXTRA = {"PTS": 0, "USDC": 6, "XAU": 3}
    apps.get_app_config("accounts").ready()
    yield
    use_own_units({})


@pytest.mark.parametrize(("code", "exponent"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("NGN", 2)])
def test_iso_currencies_have_their_exponents(code, exponent):
    assert is_known_currency(code)
    assert currency_exponent(code) == exponent


@pytest.mark.parametrize("code", ["XXX", "XTS", "XAU", "XDR", "PTS", "usd", "US", ""])
def test_what_has_no_minor_units_is_unknown(code):
    assert not is_known_currency(code)
    with pytest.raises(UnknownCurrency):
        currency_exponent(code)


def test_the_banks_own_units_are_known(own_units):
    assert [currency_exponent(code) for code in ("PTS", "USDC", "XAU", "USD")] == [0, 6, 3, 2]


def test_own_units_are_those_given_last(own_units):
    use_own_units({"MILES": 0})
    assert is_known_currency("MILES")
    assert not is_known_currency("PTS")


def test_an_iso_currency_keeps_its_exponent():
    with pytest.raises(ValueError, match="USD has 2 decimals"):
        use_own_units({"PTS": 0, "USD": 3})
    assert not is_known_currency("PTS")
    assert currency_exponent("USD") == 2


@pytest.mark.parametrize("amount", [1, MAX_AMOUNT])
def test_amounts_are_whole_and_in_range(amount):
    require_amount(amount)


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT + 1, 1.0, True, "1", None])
def test_all_else_is_no_amount(amount):
    with pytest.raises(ValueError, match="no amount"):
        require_amount(amount)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123_456, "USD", "USD 1,234.56"),
        (5, "USD", "USD 0.05"),
        (0, "USD", "USD 0.00"),
        (-123_456, "USD", "USD -1,234.56"),
        (1234, "JPY", "JPY 1,234"),
        (1_234_567, "KWD", "KWD 1,234.567"),
        (150, "ALL", "ALL 1.50"),
        (MAX_AMOUNT, "USD", "USD 90,071,992,547,409.91"),
        (MAX_AMOUNT, "CLF", "CLF 900,719,925,474.0991"),
    ],
)
def test_money_reads_in_major_units(amount, currency, text):
    assert format_money(amount=amount, currency=currency) == text


def test_own_units_read_like_currencies(own_units):
    assert format_money(amount=1234, currency="PTS") == "PTS 1,234"
    assert format_money(amount=1, currency="USDC") == "USDC 0.000001"


def test_money_of_no_currency_is_not_readable():
    with pytest.raises(UnknownCurrency):
        format_money(amount=1, currency="XXX")


@given(st.integers(-(10**24), 10**24), st.sampled_from(["USD", "JPY", "KWD", "CLF"]))
def test_every_digit_is_shown(amount, currency):
    digits = format_money(amount=amount, currency=currency).translate({ord(mark): None for mark in f"{currency} ,."})
    assert int(digits) == amount
