"""Deposits without HTTP: the bank's own command beside `eventsourcing`, a library of the same purpose, in turns."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from random import Random

from benchmarks.database_server import DatabaseServer
from benchmarks.rows import Row
from benchmarks.served_bank import ACCOUNTS

SECTION = "Deposits at library level"
WARMING_SECONDS = 1.0


def rows(*, seconds: float, rounds: int) -> Iterator[Row]:
    """Measure with 1 and with 8 threads; the peer in each of its variants. The accounts are those of the bank's."""
    from benchmarks.peers.eventsourcing_bank import (
        VARIANTS,
        deposits_per_second,
        eventsourcing_bank,
        opened_accounts,
    )

    server = DatabaseServer.of_the_bank()
    with ExitStack() as stack:
        measures: dict[str, Callable[[int, float], float]] = {"deposit command": _deposits_per_second}
        for number, variant in enumerate(VARIANTS):
            name = f"peer_eventsourcing_{number}"
            bank = stack.enter_context(eventsourcing_bank(server=server, name=name, variant=variant))
            accounts = opened_accounts(bank=bank, accounts=ACCOUNTS)
            measures[f"eventsourcing, {variant}"] = partial(deposits_per_second, bank=bank, accounts=accounts)
        for threads in (1, 8):
            yield from _in_turns(measures, threads, seconds, rounds)


def _in_turns(
    measures: dict[str, Callable[[int, float], float]], threads: int, seconds: float, rounds: int
) -> Iterator[Row]:
    rates: dict[str, list[float]] = {what: [] for what in measures}
    for measure in measures.values():
        measure(threads, WARMING_SECONDS)
    for _ in range(rounds):
        for what, measure in measures.items():
            rates[what].append(measure(threads, seconds))
    ours, *peers = rates
    best = max(peers, key=lambda what: statistics.median(rates[what]))
    for what in (*peers, ours):
        ratios = [mine / its for mine, its in zip(rates[what], rates[best], strict=True)]
        yield Row(
            section=SECTION,
            what=what,
            load=f"{threads} thread{'s' if threads > 1 else ''}",
            per_second=statistics.median(rates[what]),
            ratio=statistics.median(ratios),
            ratio_to="the faster peer",
        )


def _deposits_per_second(threads: int, seconds: float) -> float:
    """Return how many deposits a second so many threads make, each to an account taken by chance, each with a key."""
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        counts = list(pool.map(partial(_deposit_until, began + seconds), range(threads)))
    return sum(counts) / (time.perf_counter() - began)


def _deposit_until(until: float, seed: int) -> int:
    from django.db import connection

    from accounts.domain.commands import DepositMoney
    from accounts.handlers import deposit_money

    dice = Random(seed)  # noqa: S311 - not a secret
    made = 0
    try:
        while time.perf_counter() < until:
            account_id = f"bench-{dice.randint(1, ACCOUNTS)}"
            command = DepositMoney(account_id=account_id, amount=1000, currency="USD", transaction_id="txn-1")
            if deposit_money(command=command, context=_context()).refused:
                raise AssertionError(account_id)
            made += 1
    finally:
        connection.close()
    return made


def _context():  # type: ignore[no-untyped-def]
    from uuid import uuid4

    from eventstore.records import CommandContext, CommandKey

    return CommandContext(key=CommandKey(scope="bench", key=str(uuid4())), fingerprint="bench")
