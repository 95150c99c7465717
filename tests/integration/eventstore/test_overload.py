"""More commands than the log can take: some are turned away, and none is lost, done twice, or kept waiting."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from uuid import uuid4

import psutil
import pytest
from django.db import connection

from eventstore.exceptions import Overloaded
from eventstore.postgres import PostgresEventStore
from tests.unit.eventstore.purses import carry_out, new_purse, putting

MAY_WAIT = 8
CLIENTS = 4 * MAY_WAIT
PURSES = 50
MEGABYTE = 2**20


@dataclass
class Seen:
    """What one client was answered."""

    accepted: int = 0
    turned_away: int = 0


def send(purses: list[str], seed: int, is_over: Event) -> Seen:
    """Send commands without a pause, each under its key until it is accepted, as long as the test wants."""
    seen, store = Seen(), PostgresEventStore()
    try:
        while not is_over.is_set():
            command = putting(purses[(seed + seen.accepted) % len(purses)], key=str(uuid4()))
            while True:
                try:
                    carry_out(command, store)
                    seen.accepted += 1
                    break
                except Overloaded:
                    seen.turned_away += 1
                    if is_over.wait(0.01):
                        return seen
        return seen
    finally:
        connection.close()


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=[pytest.mark.heavy, pytest.mark.timeout(300)])])
def test_four_times_what_may_wait(settings, seconds):
    settings.EXECUTE_QUEUE_COMMANDS = settings.EXECUTE_BATCH_COMMANDS = MAY_WAIT
    purses, is_over, process = [new_purse() for _ in range(PURSES)], Event(), psutil.Process(os.getpid())
    with ThreadPoolExecutor(CLIENTS) as clients:
        sending = [clients.submit(send, purses, seed, is_over) for seed in range(CLIENTS)]
        time.sleep(seconds / 4)
        before = process.memory_info().rss
        time.sleep(seconds * 3 / 4)
        grown = process.memory_info().rss - before
        is_over.set()
        seen = [future.result() for future in sending]

    accepted, turned_away = sum(one.accepted for one in seen), sum(one.turned_away for one in seen)
    print(f"{accepted} accepted, {turned_away} turned away, {grown / MEGABYTE:.1f} MB more")
    store = PostgresEventStore()
    events = [event for purse in purses for event in store.read_stream(purse, limit=1_000_000)]
    assert turned_away > 0
    assert len(events) == accepted
    assert store.group.commands_waiting() == 0
    assert grown < 32 * MEGABYTE
    assert carry_out(putting(purses[0]), store).result["version"] > 0
