"""How many transfers a second the bank makes, with steps together and apart: `make bench`."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

from benchmarks.rows import Row, tell
from benchmarks.throw_away_bank import throw_away_bank

SECONDS = 5.0
THREADS = 16
SHAPES = {"ring": THREADS, "both directions between two accounts": 2}
"""How many accounts there are: each thread sends from one of them to the next."""


def rows() -> Iterator[Row]:
    """Measure each shape with steps together and apart, on a bank of its own."""
    with throw_away_bank():
        from django.test.utils import override_settings

        for shape, number_of_accounts in SHAPES.items():
            for steps in ("together", "apart"):
                with override_settings(TRANSFER_STEPS=steps):
                    yield Row(
                        section="Transfers at library level",
                        what=f"{shape}, steps {steps}",
                        load=f"{THREADS} threads in one process",
                        per_second=_transfers_per_second(number_of_accounts),
                    )


def _transfers_per_second(number_of_accounts: int) -> float:
    accounts = [_account_with_money() for _ in range(number_of_accounts)]
    with ThreadPoolExecutor(THREADS) as threads:
        began = time.perf_counter()
        counts = list(threads.map(partial(_send, accounts, began + SECONDS), range(THREADS)))
        return sum(counts) / (time.perf_counter() - began)


def _account_with_money() -> str:
    from accounts.domain.commands import CreateAccount, DepositMoney
    from accounts.handlers import create_account, deposit_money
    from eventstore.records import CommandContext

    account_id = f"acc-{uuid4()}"
    create_account(
        command=CreateAccount(account_id=account_id, owner_id="bench", currency="USD"), context=CommandContext()
    )
    deposit_money(command=DepositMoney(account_id=account_id, amount=10**9, currency="USD"), context=CommandContext())
    return account_id


def _send(accounts: list[str], until: float, number: int) -> int:
    """Send one cent after another from one account to the next until the time is over; return how many."""
    from django.db import connection

    from eventstore.records import CommandContext
    from transfers.domain.commands import InitiateTransfer
    from transfers.handlers import initiate_transfer

    source, destination = accounts[number % len(accounts)], accounts[(number + 1) % len(accounts)]
    sent = 0
    try:
        while time.perf_counter() < until:
            command = InitiateTransfer(
                transfer_id=str(uuid4()),
                source_account_id=source,
                destination_account_id=destination,
                amount=1,
                currency="USD",
            )
            outcome = initiate_transfer(command=command, context=CommandContext())
            if outcome.refused:
                raise AssertionError(outcome.result)
            sent += 1
    finally:
        connection.close()
    return sent


if __name__ == "__main__":
    tell(rows=rows())
