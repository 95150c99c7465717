"""What manage.py says, in one line each, when it cannot do what it is asked."""

import pytest

from tests.own_bank import environment, manage

NOWHERE = "postgres://bank:a-password@127.0.0.1:1/bank"
SECRET_KEY = "of-the-command-line-alone-" * 3


def said(*arguments: str, returncode: int, **variables: str) -> str:
    """Run a command that fails, and return the one line that it says."""
    done = manage(*arguments, env=environment(SECRET_KEY=SECRET_KEY, **variables))
    assert done.returncode == returncode, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "a-password" not in line
    return line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "3000.5"),
        ("HTTPS_ONLY", "ture"),
        ("BANK_EMBEDDED", "perhaps"),
        ("READY_MAX_AGE_SECONDS", "1h"),
        ("READY_MAX_AGE_SECONDS", "nan"),
        ("CURRENCIES_EXTRA", "USD:3"),
        ("CURRENCIES_EXTRA", "PTS"),
        ("DATABASE_URL", "garbage"),
        ("DATABASE_URL", "garbage:a-password"),
        ("DATABASE_URL", "sqlite:////x"),
        ("REDIS_URL", "localhost:6379"),
        ("DATABASE_URL", "mysql://bank:a-password@127.0.0.1/bank"),
        ("DATABASE_URL", "postgres://bank:a-password@127.0.0.1:port/bank"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(name, value):
    line = said("migrate", returncode=2, **({"DATABASE_URL": NOWHERE} | {name: value}))
    assert line.startswith("manage.py: ")
    assert name in line


@pytest.mark.parametrize("command", [["migrate"], ["showmigrations"], ["issue_token", "client"]])
def test_a_database_that_is_away(command):
    assert said(*command, returncode=1, DATABASE_URL=NOWHERE).startswith("manage.py: the database failed: ")


def test_the_traceback_is_there_for_those_who_ask():
    done = manage("migrate", "--traceback", env=environment(SECRET_KEY=SECRET_KEY, DATABASE_URL=NOWHERE))
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", ["issue_token", "revoke_token"])
def test_an_in_memory_bank_has_no_tokens(command):
    line = said(command, "client", returncode=2, EVENT_STORE_KIND="in-memory")
    assert f"{command} needs PostgreSQL" in line
