"""`manage.py demo` as its user sees it: it opens, its printed lines work, it closes, and nothing is left of it."""

import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx
import psutil
import pytest

from tests.own_bank import PROJECT_DIR, environment, processes_of, wait_until_nothing_runs
from tests.polling import wait_until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Demo:
    """A running demo, and what it has printed."""

    def __init__(self, env: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = start({**env, "PORT": str(self.port)})
        assert self.process.stdout is not None
        self.printed = ""
        while "Ctrl-C" not in self.printed:
            line = self.process.stdout.readline()
            assert line, f"the demo ended: {self.process.communicate()[1]}"
            self.printed += line
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}")

    def staff(self) -> tuple[str, str]:
        found = re.search(r"sign in as (\S+) with (.+)", self.printed)
        assert found
        return found[1], found[2]

    def logs(self) -> set[Path]:
        found = re.search(r"Logs +(.+)", self.printed)
        assert found
        return set(Path(found[1]).glob("*.log"))

    def run_printed_lines(self) -> list[httpx.Response]:
        """Send what the printed curl lines send."""
        return [self.send(words) for words in curl_lines(self.printed)]

    def send(self, words: list[str]) -> httpx.Response:
        """Send what a curl line sends, wherever this bank listens."""
        url = httpx.URL(next(word for word in words if word.startswith("http://"))).raw_path.decode()
        headers = dict(value.split(": ", 1) for option, value in pairwise(words) if option == "-H")
        if "-d" not in words:
            # The read model follows the writes.
            get = partial(self.client.get, url, headers=headers)
            return wait_until(lambda: found if (found := get()).status_code == 200 else None)
        method, content = (words[words.index(option) + 1] for option in ("-X", "-d"))
        return self.client.request(method, url, headers=headers, content=content)

    def get_when(self, path: str, condition: Callable[[dict], bool]) -> dict:
        """Return what GET answers once the read model has come that far."""

        def answer() -> dict | None:
            found = self.client.get(path).json()
            return found if condition(found) else None

        return wait_until(answer)

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors
        assert "closed" in output
        assert errors == ""


def curl_lines(text: str) -> list[list[str]]:
    """Return the words of each line that a reader would send."""
    lines = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.strip().startswith("curl")]


def start(env: dict[str, str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "manage.py", "demo"]
    return subprocess.Popen(command, cwd=PROJECT_DIR, env=env, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def demo(env: dict[str, str]) -> Iterator[Demo]:
    running = Demo(env)
    try:
        yield running
    finally:
        running.client.close()
        running.process.kill()
        running.process.communicate()


def take_the_tour(bank: Demo) -> None:
    """Send the lines of the system that this one replaces, and expect its answers."""
    created, deposited, shown = bank.run_printed_lines()
    assert created.status_code == 201, created.text
    assert deposited.status_code == 201, deposited.text
    assert shown.json()["accountId"] == "acc-1"
    withdrawal = {"amount": 200, "currency": "USD", "transactionId": "txn-2"}
    assert bank.client.post("/api/accounts/acc-1/withdrawals", json=withdrawal).status_code == 201

    account = bank.get_when("/api/accounts/acc-1", lambda found: found.get("version") == 3)
    expected = {"accountId": "acc-1", "ownerId": "user-1", "currency": "USD", "status": "ACTIVE", "balance": 800}
    assert account.items() >= expected.items()
    assert TIME.fullmatch(account["createdAt"]) and TIME.fullmatch(account["updatedAt"])

    entries = bank.get_when(
        "/api/accounts/acc-1/history?limit=50&offset=0", lambda found: len(found.get("entries", ())) == 3
    )["entries"]
    assert [(entry["streamVersion"], entry["eventType"], entry.get("amount")) for entry in entries] == [
        (1, "AccountCreated", None),
        (2, "MoneyDeposited", 1000),
        (3, "MoneyWithdrawn", 200),
    ]
    assert [entry.get("transactionId") for entry in entries] == [None, "txn-1", "txn-2"]
    assert all(entry["accountId"] == "acc-1" and TIME.fullmatch(entry["occurredAt"]) for entry in entries)

    frozen = bank.client.post("/api/accounts/acc-1/freeze", json={"reason": "compliance review"})
    assert frozen.status_code == 201
    deposit = {"amount": 1000, "currency": "USD", "transactionId": "txn-3"}
    refused = bank.client.post("/api/accounts/acc-1/deposits", json=deposit)
    assert (refused.status_code, refused.json()["code"]) == (422, "account_frozen")
    move_money(bank)


def move_money(bank: Demo) -> None:
    """Send what the README's tour sends once acc-1 is frozen, the transfer of the replaced system first of all."""
    tour = curl_lines((PROJECT_DIR / "README.md").read_text().split("## A tour")[1].split("## How it works")[0])
    line = "http://localhost:3000/api/transfers"
    [first] = [number for number, words in enumerate(tour) if line in words][:1]
    refused, unfrozen, opened, moved, history, listed = map(bank.send, tour[first:])
    assert (refused.status_code, refused.json()["code"]) == (422, "account_frozen")
    assert [answer.status_code for answer in (unfrozen, opened, moved)] == [201] * 3
    assert (moved.json()["state"], moved.json()["amount"]) == ("COMPLETED", 150)
    assert history.json()["accountId"] == "acc-2"
    assert {"nextCursor", "transfers"} == listed.json().keys()
    ends = [(moved, "COMPLETED"), (refused, "FAILED")]
    transfers = bank.get_when("/api/transfers?accountId=acc-1", lambda found: len(found["transfers"]) == 2)["transfers"]
    assert [(one["transferId"], one["state"]) for one in transfers] == [
        (answer.json()["transferId"], state) for answer, state in ends
    ]


def is_verified(account: dict) -> bool:
    """Tell whether the continuous verification has found all of the account sound."""
    return (account.get("verified") or {}).get("version") == account.get("version")


def sign_in(bank: Demo) -> httpx.Response:
    """Sign in to the back office with what the demo printed."""
    name, password = bank.staff()
    bank.client.get("/admin/login/")
    form = {"username": name, "password": password, "csrfmiddlewaretoken": bank.client.cookies["csrftoken"]}
    return bank.client.post("/admin/login/?next=/admin/", data=form)


def test_it_opens_gives_the_tour_closes_and_goes_on_with_its_data(env, var_dir):
    with demo(env) as bank:
        take_the_tour(bank)
        assert sign_in(bank).headers["Location"] == "/admin/"
        sample = bank.client.get("/api/accounts/keiko-current").json()
        assert (sample["currency"], sample["currencyExponent"]) == ("JPY", 0)
        staff = bank.staff()
        bank.end()
    assert processes_of(var_dir) == []
    wait_until_nothing_runs(var_dir)

    # The worker does one thing at a time: a shorter wait would be over before it comes to it.
    with demo({**env, "VERIFICATION_TICK_SECONDS": "6"}) as bank:
        account = bank.get_when("/api/accounts/acc-1", lambda found: found.get("version") == 6)
        assert (account["status"], account["balance"]) == ("ACTIVE", 650)
        # Verified it may have been meanwhile.
        again = bank.client.get("/api/accounts/keiko-current").json()
        assert again | {"verified": None} == sample | {"verified": None}
        assert bank.staff() == staff
        assert sign_in(bank).headers["Location"] == "/admin/"
        verified = bank.get_when("/api/accounts/acc-1", is_verified)["verified"]
        assert TIME.fullmatch(verified["at"])
        assert bank.client.get("/health/ready").json()["verification"]["status"] == "ok"
        bank.end(signal.SIGTERM)
    assert processes_of(var_dir) == []


def test_in_memory_it_gives_the_same_tour_with_no_other_process_than_the_web_server(tmp_path):
    with demo(environment(EVENT_STORE_KIND="in-memory", BANK_VAR_DIR=str(tmp_path))) as bank:
        take_the_tour(bank)
        assert sign_in(bank).headers["Location"] == "/admin/"
        command_lines = [" ".join(process.cmdline()) for process in processes_of(tmp_path)]
        assert all("granian" in line or "manage.py demo" in line for line in command_lines), command_lines
        [throw_away] = {process.environ().get("BANK_IN_MEMORY_DIR") for process in bank_children(bank)}
        assert throw_away and (Path(throw_away) / "bank.sqlite3").exists()
        bank.end()
    assert not Path(throw_away).exists()
    assert processes_of(tmp_path) == []
    assert not any((tmp_path / kind).exists() for kind in ("postgres", "valkey"))


def test_where_tokens_are_wanted_its_lines_bear_one(env, var_dir):
    with demo({**env, "API_AUTH": "token"}) as bank:
        assert [answer.status_code for answer in bank.run_printed_lines()] == [201, 201, 200]
        assert bank.client.get("/api/accounts/demo-1").status_code == 401
        bank.end()
    in_memory = start(environment(EVENT_STORE_KIND="in-memory", API_AUTH="token", BANK_VAR_DIR=str(var_dir)))
    output, errors = in_memory.communicate(timeout=30)
    assert (in_memory.returncode, output) == (1, "")
    assert "no tokens" in errors and len(errors.splitlines()) == 1


def bank_children(bank: Demo) -> list[psutil.Process]:
    return psutil.Process(bank.process.pid).children(recursive=True)


def nicenesses(bank: Demo, part: str) -> set[int]:
    """Return how far the processes of one part of the bank step back."""
    elders = [child for child in bank_children(bank) if part in " ".join(child.cmdline())]
    return {process.nice() for elder in elders for process in (elder, *elder.children(recursive=True))}


def test_a_second_one_on_the_same_data_is_refused_unless_in_memory_and_a_kill_leaves_nothing(env, var_dir):
    with demo(env) as bank:
        second = start({**env, "PORT": "1"})
        _, errors = second.communicate(timeout=30)
        assert second.returncode == 1
        assert "already running" in errors
        assert bank.client.get("/health").status_code == 200

        with demo(environment(EVENT_STORE_KIND="in-memory", BANK_VAR_DIR=str(var_dir))) as beside:
            assert beside.client.get("/health").status_code == 200
            assert beside.logs() != bank.logs()
            beside.end()
        assert bank.client.get("/health").status_code == 200

        assert len(bank_children(bank)) >= 3
        own = psutil.Process().nice()
        assert nicenesses(bank, "granian") == {own, max(own, 4)}
        assert nicenesses(bank, "--queues jobs") == {max(own, 4)}
        assert nicenesses(bank, "--queues projections") == {own}
        bank.process.kill()
        wait_until_nothing_runs(var_dir)


@pytest.mark.parametrize("victim", ["granian", "celery", "supervisor postgres"])
def test_when_a_part_of_it_dies_it_says_so_and_ends(env, var_dir, victim):
    with demo(env) as bank:
        matching = [process for process in processes_of(var_dir) if victim in " ".join(process.cmdline())]
        # The eldest is the one that the others are children of.
        min(matching, key=lambda process: process.create_time()).kill()
        _, errors = bank.process.communicate(timeout=30)
        assert bank.process.returncode == 1
        assert len(errors.splitlines()) == 1
        assert "log" in errors
    wait_until_nothing_runs(var_dir)


def test_a_taken_port_is_one_clear_line_and_nothing_is_left_running(env, var_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = start({**env, "PORT": str(port)})
        output, errors = refused.communicate(timeout=30)
    assert refused.returncode == 1
    assert output == ""
    [line] = errors.splitlines()
    assert str(port) in line and "PORT" in line
    assert processes_of(var_dir) == []
