"""Flags and numbers of the environment: read as they stand, or refused by name."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from bank.strict_env import StrictEnv


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bool", "true", True),
        ("bool", " Yes ", True),
        ("bool", "1", True),
        ("bool", "FALSE", False),
        ("bool", "off", False),
        ("int", "-7", -7),
        ("float", "1e3", 1000.0),
        ("float", "0.5", 0.5),
        ("str", "5s", "5s"),
        ("list", "a,b", ["a", "b"]),
    ],
)
def test_what_makes_sense(monkeypatch, kind, text, value):
    monkeypatch.setenv("SOME_VARIABLE", text)
    assert getattr(StrictEnv(), kind)("SOME_VARIABLE") == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [("bool", "ture"), ("bool", "2"), ("int", "3.0"), ("int", "abc"), ("float", "5s"), ("float", "inf")],
)
def test_what_makes_none(monkeypatch, kind, text):
    monkeypatch.setenv("SOME_VARIABLE", text)
    with pytest.raises(ImproperlyConfigured, match=f"SOME_VARIABLE is '{text}'"):
        getattr(StrictEnv(), kind)("SOME_VARIABLE", default=0)


@pytest.mark.parametrize("kind", ["bool", "int", "float"])
def test_an_empty_one_counts_as_not_set(monkeypatch, kind):
    monkeypatch.setenv("SOME_VARIABLE", "")
    assert getattr(StrictEnv(), kind)("SOME_VARIABLE", default=1) == 1
