"""What commands on accounts promise under a command key: the same tests run on both stores."""

from uuid import uuid4

import pytest

from accounts.handlers import close_account, create_account, deposit_money, freeze_account, withdraw_money
from accounts.repository import account_stream_id, load_account
from eventstore.exceptions import IdempotencyKeyReused, VersionConflict
from eventstore.records import CommandContext, CommandKey, Outcome
from tests.factories import (
    CloseAccountFactory,
    CreateAccountFactory,
    DepositMoneyFactory,
    FreezeAccountFactory,
    WithdrawMoneyFactory,
)

OPEN = CommandContext()


def keyed(key: str | None = None, *, scope: str = "test-client", fingerprint: str = "first") -> CommandContext:
    """Return the context of a command under `key`, or one that nobody else uses."""
    return CommandContext(key=CommandKey(scope=scope, key=key or str(uuid4())), fingerprint=fingerprint)


def at_version(account_id: str, version: int, *, like: CommandContext = OPEN) -> CommandContext:
    """Return `like` for a client that has seen the account at `version`."""
    return CommandContext(
        key=like.key, fingerprint=like.fingerprint, expected_versions={account_stream_id(account_id): version}
    )


def opened_with(balance: int) -> str:
    """Open an account, put `balance` on it if there is any, and return its id."""
    command = CreateAccountFactory.build()
    create_account(command=command, context=OPEN)
    if balance:
        deposit(command.account_id, balance)
    return command.account_id


def deposit(account_id: str, amount: int, context: CommandContext = OPEN) -> Outcome:
    return deposit_money(command=DepositMoneyFactory.build(account_id=account_id, amount=amount), context=context)


def withdraw(account_id: str, amount: int, context: CommandContext = OPEN) -> Outcome:
    return withdraw_money(command=WithdrawMoneyFactory.build(account_id=account_id, amount=amount), context=context)


def close(account_id: str, context: CommandContext = OPEN) -> Outcome:
    return close_account(command=CloseAccountFactory.build(account_id=account_id), context=context)


def assert_replayed(first: Outcome, again: Outcome) -> None:
    assert not first.replayed
    assert again.replayed
    assert (again.result, again.refused) == (first.result, first.refused)
    assert (again.first_position, again.last_position) == (first.first_position, first.last_position)


def assert_stands_at(account_id: str, *, version: int, balance: int) -> None:
    stored = load_account(account_id)
    assert (stored.version, stored.state.balance) == (version, balance)


class KeyedAccountCommands:
    """A command happens once under its key, and its verdict stays what it was."""

    def test_withdrawing_everything_twice_is_done_once(self):
        account_id = opened_with(1000)
        context = keyed()
        assert_replayed(withdraw(account_id, 1000, context), withdraw(account_id, 1000, context))
        assert_stands_at(account_id, version=3, balance=0)

    def test_creating_twice_is_done_once(self):
        command = CreateAccountFactory.build()
        context = keyed()
        first = create_account(command=command, context=context)
        assert not first.refused
        assert_replayed(first, create_account(command=command, context=context))
        assert_stands_at(command.account_id, version=1, balance=0)

    def test_closing_twice_is_done_once(self):
        account_id = opened_with(0)
        context = keyed()
        first = close(account_id, context)
        assert not first.refused
        assert_replayed(first, close(account_id, context))
        assert_stands_at(account_id, version=2, balance=0)

    def test_a_refusal_stays_a_refusal_and_a_new_key_tries_again(self):
        account_id = opened_with(100)
        context = keyed()
        refused = withdraw(account_id, 150, context)
        assert refused.refused
        deposit(account_id, 100)
        assert_replayed(refused, withdraw(account_id, 150, context))
        assert_stands_at(account_id, version=3, balance=200)
        assert not withdraw(account_id, 150, keyed()).refused
        assert_stands_at(account_id, version=4, balance=50)

    def test_an_unknown_account_is_a_refusal_that_stays(self):
        command = CreateAccountFactory.build()
        context = keyed()
        refused = deposit(command.account_id, 5, context)
        assert refused.result == {"code": "account_not_found", "fields": {"accountId": command.account_id}}
        create_account(command=command, context=OPEN)
        assert_replayed(refused, deposit(command.account_id, 5, context))
        assert_stands_at(command.account_id, version=1, balance=0)

    def test_without_a_key_a_refusal_is_decided_again(self):
        account_id = opened_with(100)
        assert withdraw(account_id, 150).refused
        deposit(account_id, 100)
        assert not withdraw(account_id, 150).refused

    def test_each_client_has_keys_of_its_own(self):
        account_id = opened_with(0)
        key = str(uuid4())
        deposit(account_id, 1, keyed(key, scope="my-client"))
        assert not deposit(account_id, 1, keyed(key, scope="their-client")).replayed
        assert_stands_at(account_id, version=3, balance=2)

    def test_a_refusal_has_no_events(self):
        account_id = opened_with(100)
        refused = withdraw(account_id, 150, keyed())
        assert (refused.first_position, refused.last_position) == (None, None)
        assert refused.result == {
            "code": "insufficient_funds",
            "fields": {"accountId": account_id, "balance": 100, "amount": 150, "currency": "USD"},
        }
        assert_stands_at(account_id, version=2, balance=100)

    def test_another_version_than_expected_is_a_conflict_and_uses_no_key(self):
        account_id = opened_with(100)
        context = keyed()
        with pytest.raises(VersionConflict) as conflict:
            withdraw(account_id, 60, at_version(account_id, 1, like=context))
        assert (conflict.value.expected_version, conflict.value.actual_version) == (1, 2)
        assert not withdraw(account_id, 60, at_version(account_id, 2, like=context)).replayed
        assert_stands_at(account_id, version=3, balance=40)


class PrecedenceOfAnswers:
    """Other fingerprint, duplicate, expected version, business rule: the first that applies is the answer."""

    def test_another_command_under_a_used_key_comes_first(self):
        account_id = opened_with(100)
        key = str(uuid4())
        withdraw(account_id, 100, keyed(key))
        with pytest.raises(IdempotencyKeyReused) as reused:
            withdraw(account_id, 1, at_version(account_id, 1, like=keyed(key, fingerprint="other")))
        assert reused.value.key == key
        assert_stands_at(account_id, version=3, balance=0)

    def test_a_duplicate_comes_before_its_expected_version(self):
        account_id = opened_with(100)
        context = at_version(account_id, 2, like=keyed())
        assert_replayed(withdraw(account_id, 100, context), withdraw(account_id, 100, context))

    def test_the_expected_version_comes_before_the_rules(self):
        account_id = opened_with(100)
        with pytest.raises(VersionConflict):
            withdraw(account_id, 150, at_version(account_id, 1))

    def test_at_the_expected_version_the_rules_decide(self):
        account_id = opened_with(100)
        assert withdraw(account_id, 150, at_version(account_id, 2)).result["code"] == "insufficient_funds"

    def test_a_stored_verdict_comes_before_what_a_rule_says_today(self):
        account_id = opened_with(100)
        context = keyed()
        first = deposit(account_id, 5, context)
        freeze_account(command=FreezeAccountFactory.build(account_id=account_id), context=OPEN)
        assert deposit(account_id, 5, keyed()).result["code"] == "account_frozen"
        assert_replayed(first, deposit(account_id, 5, context))
