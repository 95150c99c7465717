"""Strict fields take what they say and nothing that merely looks like it."""

from typing import Any

import pytest
from rest_framework.exceptions import ValidationError
from rest_framework.serializers import Field

from accounts.serializers import (
    AmountField,
    CurrencyField,
    IdentifierField,
    MetadataField,
    QueryIntegerField,
    StrictCharField,
    StrictIntegerField,
)

LARGEST = 2**53 - 1


def codes(field: Field[Any, Any, Any, Any], data: Any) -> Any:
    """Return the error codes that `field` has for `data`."""
    with pytest.raises(ValidationError) as refusal:
        field.run_validation(data)
    return refusal.value.get_codes()


@pytest.mark.parametrize("number", [0, 7, LARGEST])
def test_a_whole_number_in_range_is_taken_as_it_is(number):
    assert StrictIntegerField().run_validation(number) == number


@pytest.mark.parametrize("data", ["1000", 1000.0, 1e3, 0.5, True, False, [], {}, [1]])
def test_what_only_looks_like_a_whole_number_is_none(data):
    assert codes(AmountField(), data) == ["not_an_integer"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (0, "too_small"),
        (-1, "too_small"),
        (LARGEST + 1, "too_large"),
        (2**63, "too_large"),
        # What the parser makes of whole numbers from 2^64 on.
        (float(2**64), "too_large"),
        (-float(2**64), "too_small"),
    ],
)
def test_an_amount_is_at_least_1_and_at_most_2_to_the_53_less_1(data, code):
    assert codes(AmountField(), data) == [code]
    assert AmountField().run_validation(1) == 1
    assert AmountField().run_validation(LARGEST) == LARGEST


@pytest.mark.parametrize("text", ["txn-1", " inner  spaces ", "Zürich — 東京 🏦", 'quote " and \\', "x" * 20])
def test_text_is_kept_as_it_was_sent(text):
    assert StrictCharField(max_length=20).run_validation(text) == text


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (1, "not_a_string"),
        (True, "not_a_string"),
        (["a"], "not_a_string"),
        ("", "blank"),
        ("   ", "blank"),
        ("x" * 21, "too_long"),
        ("a\x00b", "control_character"),
        ("a\nb", "control_character"),
        ("a\x7fb", "control_character"),
        ("a\x85b", "control_character"),
        ("a\u2028b", "control_character"),
    ],
)
def test_text_that_cannot_be_kept_or_printed_is_refused(data, code):
    assert codes(StrictCharField(max_length=20), data) == [code]


def test_an_emoji_counts_as_one_character():
    assert StrictCharField(max_length=2).run_validation("🏦🏦") == "🏦🏦"
    assert codes(StrictCharField(max_length=2), "🏦🏦🏦") == ["too_long"]


@pytest.mark.parametrize("text", ["acc-1", "A", "a.b_c:d-e", "0" * 64])
def test_an_identifier(text):
    assert IdentifierField().run_validation(text) == text


@pytest.mark.parametrize("text", ["", " ", "a b", "a/b", "a\n", "a\x00", "ä", "0" * 65, "a%20b"])
def test_no_identifier(text):
    assert codes(IdentifierField(), text) == ["bad_identifier"]


@pytest.mark.parametrize("code", ["USD", "JPY", "BHD", "NGN"])
def test_a_known_currency(code):
    assert CurrencyField().run_validation(code) == code


@pytest.mark.parametrize("code", ["usd", "US", "XYZ", "XAU", "USDC", "USD "])
def test_an_unknown_currency(code):
    assert codes(CurrencyField(), code) == ["unknown_currency"]


def test_metadata_of_20_short_strings():
    longest = {f"{number:064}": "v" * 255 for number in range(20)}
    assert MetadataField().run_validation(longest) == longest


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        ([], ["not_an_object"]),
        ("a", ["not_an_object"]),
        ({str(number): "v" for number in range(21)}, ["too_many_entries"]),
        ({"a": 1}, {"a": ["not_a_string"]}),
        ({"a": None}, {"a": ["not_a_string"]}),
        ({"a": {"b": "c"}}, {"a": ["not_a_string"]}),
        ({"a": "v" * 256}, {"a": ["too_long"]}),
        ({"k" * 65: "v"}, {"k" * 64: ["too_long"]}),
        ({"": "v"}, {"": ["blank"]}),
        ({"a\x00": "v"}, {"a\x00": ["control_character"]}),
        ({"fine": "v", "a": "\x00"}, {"a": ["control_character"]}),
    ],
)
def test_metadata_that_is_more_than_a_flat_map_of_short_strings(data, refused):
    assert codes(MetadataField(), data) == refused


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("500", 500)])
def test_a_whole_number_in_a_query(text, number):
    assert QueryIntegerField(max_value=500).run_validation(text) == number


@pytest.mark.parametrize("text", ["", " ", "07", "+7", " 7", "7.0", "1e2", "0x7", "7,000", "\u0667", "1_0", "\x00"])
def test_no_whole_number_in_a_query(text):
    assert codes(QueryIntegerField(max_value=500), text) == ["not_an_integer"]


@pytest.mark.parametrize(("text", "code"), [("501", "too_large"), ("9" * 5000, "too_large"), ("-1", "too_small")])
def test_a_whole_number_in_a_query_out_of_range(text, code):
    assert codes(QueryIntegerField(max_value=500), text) == [code]
