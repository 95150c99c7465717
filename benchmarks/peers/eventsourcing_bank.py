"""The Python library `eventsourcing` with an account of its own, as its documentation has it, on PostgreSQL."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any, ClassVar
from uuid import UUID, uuid4

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError

from benchmarks.database_server import DatabaseServer

VARIANTS: dict[str, dict[str, str]] = {
    "as it comes": {},
    "with its database functions and its aggregate cache": {
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
        "AGGREGATE_CACHE_MAXSIZE": "10000",
    },
}
"""What can be set to make it faster, by the name that a row has."""


class Account(Aggregate):
    """An account that knows its balance and refuses what is not its currency, as the bank's does."""

    @event("Opened")
    def __init__(self, account_id: str, owner_id: str, currency: str) -> None:
        self.account_id = account_id
        self.owner_id = owner_id
        self.currency = currency
        self.balance = 0

    @event("MoneyDeposited")
    def deposit(self, amount: int, currency: str, transaction_id: str) -> None:
        """Add an amount."""
        if currency != self.currency or amount <= 0:
            raise ValueError
        self.balance += amount


class Bank(Application[UUID]):
    """Deposits, each in a transaction of its own, decided again when somebody else was faster."""

    is_snapshotting_enabled = True
    snapshotting_intervals: ClassVar[dict[Any, int]] = {Account: 100}

    def open(self, account_id: str) -> UUID:
        """Open an account; return its id here."""
        account = Account(account_id=account_id, owner_id="bench", currency="USD")
        self.save(account)
        return account.id

    def deposit(self, number: UUID) -> None:
        """Deposit into it."""
        while True:
            try:
                account: Account = self.repository.get(number)
                account.deposit(amount=1000, currency="USD", transaction_id="txn-1")
                self.save(account)
            except (IntegrityError, AggregateNotFoundError):
                continue
            return


@contextmanager
def eventsourcing_bank(*, server: DatabaseServer, name: str, variant: str) -> Iterator[Bank]:
    """Run the library on a database of that name, its own, while the block runs."""
    with server.database(name) as own:
        bank = Bank(
            env={
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "POSTGRES_DBNAME": own.name,
                "POSTGRES_HOST": own.host,
                "POSTGRES_PORT": str(own.port),
                "POSTGRES_USER": own.user,
                "POSTGRES_PASSWORD": "unused",
                "POSTGRES_POOL_SIZE": "16",
                **VARIANTS[variant],
            }
        )
        try:
            yield bank
        finally:
            bank.close()


def opened_accounts(*, bank: Bank, accounts: int) -> list[UUID]:
    """Open so many accounts."""
    return [bank.open(f"peer-{uuid4()}") for _ in range(accounts)]


def deposits_per_second(threads: int, seconds: float, *, bank: Bank, accounts: list[UUID]) -> float:
    """Return how many deposits a second so many threads make, each to an account taken by chance."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        counts = list(pool.map(partial(_deposit_until, bank, accounts, began + seconds), range(threads)))
    return sum(counts) / (time.perf_counter() - began)


def _deposit_until(bank: Bank, accounts: list[UUID], until: float, seed: int) -> int:
    dice = Random(seed)  # noqa: S311 - not a secret
    made = 0
    while time.perf_counter() < until:
        bank.deposit(dice.choice(accounts))
        made += 1
    return made
