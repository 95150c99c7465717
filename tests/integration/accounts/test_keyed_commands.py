"""Command keys and the precedence of answers, on PostgreSQL."""

from tests.keyed_account_commands import KeyedAccountCommands, PrecedenceOfAnswers


class TestKeyedAccountCommands(KeyedAccountCommands):
    """Command keys, on PostgreSQL."""


class TestPrecedenceOfAnswers(PrecedenceOfAnswers):
    """Precedence, on PostgreSQL."""
