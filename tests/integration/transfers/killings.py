"""Ten accounts, clients that send money among them and ask until they are answered, and what is killed meanwhile."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from accounts.domain.money import MAX_AMOUNT
from accounts.domain.own_accounts import suspense_account_id
from accounts.repository import account_stream_id, load_account
from eventstore.records import RecordedEvent
from eventstore.store import event_store
from tests.integration.transfers.mortal_bank import MortalBank, place_of_death
from tests.integration.transfers.persistent_clients import Clients, Content
from tests.polling import wait_until
from transfers.domain.transfer import Transfer
from transfers.in_flight import due_transfers
from transfers.repository import load_transfer, transfer_stream_id

CLIENTS = 4
MANY = 100_000
OPENING_BALANCE = 1_000
SUSPENSE = suspense_account_id(currency="USD")


@dataclass(frozen=True, kw_only=True)
class Boundary:
    """Where a process dies, and which events of its transfer it or another process wrote before that, one at least."""

    at: str
    found: frozenset[str]


ENDED = frozenset({"TransferCompleted", "TransferFailed"})
ENDING = "|".join(sorted(ENDED))
WEB_BOUNDARIES: Mapping[str, Mapping[str, Boundary]] = {
    "together": {
        "before the commit": Boundary(at="before TransferInitiated", found=frozenset({"nothing"})),
        "after the commit, before the answer": Boundary(at=f"after {ENDING}", found=ENDED),
    },
    "apart": {
        "before the first commit": Boundary(at="before TransferInitiated", found=frozenset({"nothing"})),
        "between the commits": Boundary(at="after TransferDebited", found=frozenset({"TransferDebited"})),
        "after the last commit, before the answer": Boundary(at=f"after {ENDING}", found=ENDED),
    },
}
WORKER_BOUNDARIES: Mapping[str, Boundary] = {
    "during the resume, before it is recorded": Boundary(
        at="before TransferResumed", found=frozenset({"TransferDebited", "TransferResumed"})
    ),
    "during the resume, before it settles": Boundary(at=f"before {ENDING}", found=frozenset({"TransferResumed"})),
    "during the resume, after it settled": Boundary(at=f"after {ENDING}", found=ENDED),
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A transfer that was asked for under a key, and is known by its id."""

    transfer_id: str
    key: str
    content: Content


@dataclass
class Killings:
    """What is asked of the bank, and what of it is killed where; the same for the same seed, but for who is faster."""

    bank: MortalBank
    clients: Clients
    steps: str
    seed: int
    accounts: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    frozen_for_a_while: list[str] = field(default_factory=list)
    deposited: int = 0
    withdrawn: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.suspense_before = suspense_balance()
        self.busy = [self.open(OPENING_BALANCE) for _ in range(6)]
        # What is debited from them cannot come back once they are full again.
        self.full = [self.open(MAX_AMOUNT) for _ in range(2)]
        self.frozen, self.closed = self.open(OPENING_BALANCE), self.open(0)
        self.clients.act(f"/api/accounts/{self.frozen}/freeze", reason="for good")
        self.clients.act(f"/api/accounts/{self.closed}/close", reason="for good")
        self.accounts = [*self.busy, *self.full, self.frozen, self.closed]

    def open(self, balance: int) -> str:
        account_id = f"acc-{uuid4()}"
        self.clients.act("/api/accounts", accountId=account_id, ownerId="user-1", currency="USD")
        if balance:
            self.deposit(account_id, balance)
        return account_id

    def deposit(self, account_id: str, amount: int) -> None:
        self.clients.act(f"/api/accounts/{account_id}/deposits", amount=amount, currency="USD")
        self.deposited += amount

    def withdraw(self, account_id: str, amount: int) -> int:
        """Take money out of the bank, and return how much it gave: nothing, if there is too little by now."""
        path, content = f"/api/accounts/{account_id}/withdrawals", {"amount": amount, "currency": "USD"}
        response = self.clients.post(path, content, key=str(uuid4()))
        assert response.status_code in (201, 422), response.text
        return amount if response.status_code == 201 else 0

    def kill_web(self, name: str, *, transfers: int, into_suspense: bool = False) -> None:
        """Let the web server do some transfers at once, and die at a boundary of one more."""
        boundary = WEB_BOUNDARIES[self.steps][name]
        deadly = self.deadly_content(into_suspense=into_suspense)
        stream_id = transfer_stream_id(deadly["transferId"])
        contents = self.random_contents(transfers, not_from=deadly["sourceAccountId"])
        with self.sending(contents, deadly, death=f"{boundary.at} {stream_id}"):
            self.bank.web.wait_until_killed()
            assert place_of_death(self.bank.web.log) == stream_id
            assert ["nothing", *events_of(stream_id)][-1] in boundary.found
            self.bank.web.start_again()
        self.kills[name] += 1
        if into_suspense:
            self.deposit(deadly["sourceAccountId"], deadly["amount"])
        self.freeze_or_unfreeze()

    def kill_worker(self, name: str, *, transfers: int) -> None:
        """Let a worker die while it resumes a transfer, and the web server do some more meanwhile."""
        boundary = WORKER_BOUNDARIES[name]
        with self.sending(self.random_contents(transfers)):
            stream_id = self.bank.kill_worker(boundary.at)
            # The web server may have gone on with it meanwhile.
            assert boundary.found & set(events_of(stream_id))
        self.kills[name] += 1

    def finish(self) -> None:
        """Let a worker that lives bring to an end what was begun, and clients ask for each transfer once more."""
        with self.bank.living_worker():
            asked = {one.transfer_id for one in self.asked}
            wait_until(lambda: not asked & set(due_transfers(limit=MANY)))
        for one in self.asked:
            self.assert_told(one)

    def assert_told(self, asked: Asked) -> None:
        """See that whoever asks again under his key is told how the transfer ended."""
        answer = self.clients.post("/api/transfers", asked.content, key=asked.key)
        transfer = load_transfer(asked.transfer_id).state
        told = answer.json()
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert told["transferId"] == asked.transfer_id
        if transfer.failure:
            assert (answer.status_code, told["code"]) == (422, transfer.failure.code)
        else:
            assert (answer.status_code, told["state"]) == (201, "COMPLETED")

    @contextmanager
    def sending(self, contents: list[Content], *deadly: Content, death: str | None = None) -> Iterator[None]:
        """Have clients send all of these at once, and see on leaving that every one was answered.

        One of them withdraws some money meanwhile, from an account that no deadly transfer needs it on.
        """
        idle = {*self.active()} - {one["sourceAccountId"] for one in deadly}
        withdrawal = self.dice.choice(sorted(idle)), self.dice.randint(1, 20)
        with ThreadPoolExecutor(CLIENTS) as threads:
            withdrawn = threads.submit(self.withdraw, *withdrawal)
            sent = [threads.submit(self.send, one) for one in contents]
            sent += [threads.submit(self.send, one, death) for one in deadly]
            yield
            self.asked += [one.result() for one in sent]
            self.withdrawn += withdrawn.result()

    def send(self, content: Content, death: str | None = None) -> Asked:
        key = str(uuid4())
        response = self.clients.post("/api/transfers", content, key=key, death=death)
        assert response.status_code in (201, 202, 422), response.text
        return Asked(transfer_id=response.json()["transferId"], key=key, content=content)

    def random_contents(self, number: int, *, not_from: str = "") -> list[Content]:
        sources = [one for one in (*self.busy, self.frozen, self.closed) if one != not_from]
        return [self.random_content(self.dice.choice(sources)) for _ in range(number)]

    def random_content(self, source: str) -> Content:
        # Some leave it to the bank to name the transfer.
        name = {"transferId": f"trf-{uuid4()}"} if self.dice.random() < 0.5 else {}
        return self.ends(source) | name | {"amount": self.dice.randint(1, 200), "currency": "USD"}

    def deadly_content(self, *, into_suspense: bool) -> Content:
        """Return a transfer that is sure to be debited."""
        if into_suspense:
            ends = {"sourceAccountId": self.dice.choice(self.full), "destinationAccountId": self.frozen}
        else:
            ends = self.ends(max(self.active(), key=lambda one: load_account(one).state.balance))
        return ends | {"transferId": f"trf-{uuid4()}", "amount": 1, "currency": "USD"}

    def active(self) -> list[str]:
        """Return the accounts that nothing keeps from moving money."""
        return [one for one in self.busy if one not in self.frozen_for_a_while]

    def ends(self, source: str) -> Content:
        destination = self.dice.choice([one for one in self.accounts if one != source])
        return {"sourceAccountId": source, "destinationAccountId": destination}

    def freeze_or_unfreeze(self) -> None:
        """Change the mind of one account, while money may be on its way to it or back."""
        for account_id in self.frozen_for_a_while:
            self.clients.act(f"/api/accounts/{account_id}/unfreeze", reason="reviewed")
        self.frozen_for_a_while = [] if self.frozen_for_a_while else [self.dice.choice(self.busy)]
        for account_id in self.frozen_for_a_while:
            self.clients.act(f"/api/accounts/{account_id}/freeze", reason="review")

    def events(self) -> list[RecordedEvent]:
        """Return, in order, the events of the accounts, and those of suspense that these transfers made."""
        of_accounts = [event for one in self.accounts for event in account_events(one)]
        asked = {one.transfer_id for one in self.asked}
        suspended = [event for event in account_events(SUSPENSE) if event.data.get("transferId") in asked]
        return sorted([*of_accounts, *suspended], key=lambda event: event.position)

    def transfers(self) -> list[Transfer]:
        """Return every transfer that was asked for."""
        return [load_transfer(one.transfer_id).state for one in self.asked]


def events_of(stream_id: str) -> list[str]:
    """Return the names of the events in a stream."""
    return [event.event_type for event in event_store().read_stream(stream_id, limit=MANY)]


def account_events(account_id: str) -> list[RecordedEvent]:
    """Return an account's events."""
    return event_store().read_stream(account_stream_id(account_id), limit=MANY)


def suspense_balance() -> int:
    """Return what stands in suspense, of whatever tests."""
    balance: int = load_account(SUSPENSE).state.balance
    return balance
