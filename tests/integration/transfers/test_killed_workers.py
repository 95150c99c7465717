"""Workers killed with SIGKILL at every boundary of a transfer: nothing is lost, nothing is done twice."""

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from uuid import uuid4

import pytest
from django.conf import settings as bank_settings

from accounts.handlers import close_account, freeze_account
from accounts.repository import account_stream_id, load_account
from eventstore.postgres import PostgresEventStore
from eventstore.records import CommandContext, CommandKey, RecordedEvent
from tests.factories import CloseAccountFactory, FreezeAccountFactory, InitiateTransferFactory
from tests.journeys.web_server import database_url
from tests.keyed_account_commands import OPEN, opened_with
from tests.own_bank import PROJECT_DIR, environment
from tests.transfer_books import books_of, legs_of, legs_that_make
from transfers.domain.commands import InitiateTransfer
from transfers.domain.transfer import Transfer, TransferState
from transfers.handlers import initiate_transfer
from transfers.repository import load_transfer, transfer_stream_id
from transfers.tasks import resume_due

BOUNDARIES: Mapping[str, tuple[int, bool]] = {
    "before the first commit": (1, False),
    "between the commits": (1, True),
    "after the last, before the answer": (2, True),
}
RESUME_BOUNDARIES: Mapping[str, tuple[int, bool]] = {
    "during the resume, before it settles": (2, False),
    "during the resume, after it settled": (2, True),
}
OPENING_BALANCE = 1_000


@dataclass
class Killings:
    """Ten accounts, the transfers asked of them, and what was killed where."""

    seed: int
    accounts: list[str] = field(default_factory=list)
    asked: list[InitiateTransfer] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.accounts = [opened_with(OPENING_BALANCE) for _ in range(8)]
        frozen, closed = opened_with(OPENING_BALANCE), opened_with(0)
        freeze_account(command=FreezeAccountFactory.build(account_id=frozen), context=OPEN)
        close_account(command=CloseAccountFactory.build(account_id=closed), context=OPEN)
        self.accounts += [frozen, closed]

    def new_transfer(self) -> InitiateTransfer:
        source, destination = self.dice.sample(self.accounts, 2)
        self.asked.append(
            InitiateTransferFactory.build(
                source_account_id=source, destination_account_id=destination, amount=self.dice.randint(1, 600)
            )
        )
        return self.asked[-1]

    def new_transfer_that_is_debited(self) -> InitiateTransfer:
        source = max(self.accounts[:8], key=lambda account_id: load_account(account_id).state.balance)
        destination = self.dice.choice([account_id for account_id in self.accounts if account_id != source])
        self.asked.append(
            InitiateTransferFactory.build(source_account_id=source, destination_account_id=destination, amount=1)
        )
        return self.asked[-1]

    def kill_during_transfers(self, name: str, *, undisturbed: int) -> None:
        """Let a worker do some transfers, and kill it at a boundary of one more."""
        jobs = [job(self.new_transfer()) for _ in range(undisturbed)]
        with worker() as process:
            give(process, *jobs, job(self.new_transfer_that_is_debited(), boundary=BOUNDARIES[name]))
            kill_where_it_stands(process)
        self.kills[name] += 1

    def kill_during_resume(self, name: str) -> None:
        """Let a worker take up what has stopped, and kill it on its way."""
        with worker() as process:
            give(process, job(None, boundary=RESUME_BOUNDARIES[name]))
            kill_where_it_stands(process)
        self.kills[name] += 1

    def ask_again(self) -> None:
        """Do what clients do that got no answer, and some that did: send the same again, under the same key."""
        for command in self.asked:
            context = CommandContext(key=CommandKey("test-client", command.transfer_id), fingerprint="first")
            initiate_transfer(command=command, context=context)

    def events(self) -> list[RecordedEvent]:
        store = PostgresEventStore()
        streams = [store.read_stream(account_stream_id(one), limit=100_000) for one in self.accounts]
        return sorted((event for events in streams for event in events), key=lambda event: event.position)

    def transfers(self) -> list[Transfer]:
        return [load_transfer(command.transfer_id).state for command in self.asked]


def job(command: InitiateTransfer | None, *, boundary: tuple[int, bool] | None = None) -> str:
    transfer = {**asdict(command), "metadata": {}} if command else None
    return json.dumps({"transfer": transfer, "boundary": boundary}) + "\n"


def worker() -> subprocess.Popen[str]:
    variables = environment(
        DATABASE_URL=database_url(),
        SECRET_KEY=bank_settings.SECRET_KEY,
        DJANGO_SETTINGS_MODULE="bank.settings",
        BANK_VAR_DIR=str(bank_settings.VAR_DIR),
        TRANSFER_STEPS="apart",
        TRANSFER_RESUME_SECONDS="0",
        TRANSFER_MAX_ATTEMPTS="1000",
    )
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.transfers.mortal_worker"],
        env=variables,
        cwd=PROJECT_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def give(process: subprocess.Popen[str], *jobs: str) -> None:
    process.stdin.writelines(jobs)
    process.stdin.close()


def kill_where_it_stands(process: subprocess.Popen[str]) -> None:
    lines = []
    while (line := process.stdout.readline()) and line != "standing still\n":
        lines.append(line)
    assert line == "standing still\n", lines
    process.kill()
    assert process.wait(30) == -signal.SIGKILL


def kill_everywhere(killings: Killings, *, kills: int, undisturbed: int) -> None:
    for name in BOUNDARIES:
        for _ in range(kills):
            killings.kill_during_transfers(name, undisturbed=undisturbed)
    # A resume that is killed once it has settled leaves one stopped transfer less.
    for name in RESUME_BOUNDARIES:
        for _ in range(kills):
            killings.kill_during_resume(name)


def assert_all_is_well(killings: Killings) -> Counter[str]:
    """Let the bank and its clients work on undisturbed, and return how the transfers ended."""
    killings.ask_again()
    resume_due(slice_seconds=60)
    transfers = killings.transfers()
    assert {transfer.state for transfer in transfers} <= {TransferState.COMPLETED, TransferState.FAILED}
    events = killings.events()
    assert legs_of(events) == {one.order.transfer_id: made for one in transfers if (made := legs_that_make(one))}
    books = books_of(events)
    assert (books.external, books.balances, books.in_flight) == (9 * OPENING_BALANCE,) * 2 + (0,)
    store = PostgresEventStore()
    for command in killings.asked:
        names = [event.event_type for event in store.read_stream(transfer_stream_id(command.transfer_id), limit=1_000)]
        assert sum(name in ("TransferCompleted", "TransferFailed") for name in names) == 1
    return Counter(outcome_of(transfer) for transfer in transfers)


def outcome_of(transfer: Transfer) -> str:
    if transfer.failure is None:
        return "completed"
    return "refunded" if transfer.failure.refunded_to else "failed with nothing debited"


@pytest.fixture(autouse=True)
def apart(settings) -> None:
    settings.TRANSFER_STEPS, settings.TRANSFER_RESUME_SECONDS = "apart", 0


def test_a_worker_killed_at_each_boundary():
    killings = Killings(seed=uuid4().int)
    kill_everywhere(killings, kills=1, undisturbed=2)
    assert_all_is_well(killings)
    assert set(killings.kills) == {*BOUNDARIES, *RESUME_BOUNDARIES}


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_four_hundred_transfers_and_ten_kills_at_each_boundary():
    killings = Killings(seed=4711)
    kill_everywhere(killings, kills=10, undisturbed=13)
    outcomes = assert_all_is_well(killings)
    print(f"\n{len(killings.asked)} transfers: {dict(outcomes)}; killed: {dict(killings.kills)}")
    assert len(killings.asked) >= 400
    assert min(killings.kills.values()) >= 10
    assert len(killings.kills) == len(BOUNDARIES) + len(RESUME_BOUNDARIES)
    assert len(outcomes) == 3
    assert min(outcomes.values()) >= 20
