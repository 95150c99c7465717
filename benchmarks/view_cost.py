"""What the bank's Python spends on a request, in process: no socket and no append, so that little disturbs the figures.

`python -m benchmarks.view_cost` prints the processor time of each kind of request beside that of the bare view, and
with `--profile KIND` where it goes.
"""

import argparse
import cProfile
import io
import json
import os
import pstats
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any
from uuid import uuid4

from benchmarks.rows import Row

SECTION = "Processor time in process"
REQUESTS = 3_000
WARM_UP = 300
ACCOUNTS = 20
LINES = 120
PROFILED_LINES = 45
KINDS = ("deposits", "whole deposits", "balances", "accounts", "histories")

Exchange = Callable[[int], Any]


def rows(*, token: str, rounds: int) -> Iterator[Row]:
    """Measure each kind of request beside the bare view, in processes of their own, in turns."""
    seen: dict[str, list[float]] = {}
    for _ in range(rounds):
        for side in ("reference", "bank"):
            for kind, microseconds in _measured_elsewhere(side, token).items():
                seen.setdefault(kind, []).append(microseconds)
    bare = min(seen["bare deposits"])
    for kind, values in seen.items():
        microseconds = min(values)
        yield Row(
            section=SECTION,
            what=kind,
            load="one after another",
            ratio=microseconds / bare,
            ratio_to="the bare deposit",
            note=f"{microseconds:.0f} µs of processor time a request",
        )


def prepared() -> str:
    """Make the accounts that are asked for; return a token."""
    from benchmarks.served_bank import issued_token, open_accounts
    from projections.runner import catch_up

    open_accounts(accounts=ACCOUNTS, long_histories=ACCOUNTS, lines=LINES)
    catch_up()
    return issued_token()


def _measured_elsewhere(side: str, token: str) -> Mapping[str, float]:
    command = [sys.executable, "-m", "benchmarks.view_cost", "--side", side, "--token", token]
    with open(os.devnull, "w") as nowhere:
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=nowhere, text=True).stdout  # noqa: S603
    measured: Mapping[str, float] = json.loads(output.splitlines()[-1])
    return measured


def exchanges(side: str, token: str) -> Mapping[str, Exchange]:
    """Return what sends one request of each kind to the application of `side`."""
    if side == "reference":
        from benchmarks.reference_wsgi import application

        bare = _exchange(application, "POST", "deposits", token, 201)
        return {"bare deposits": _bare_without_append(bare), "whole bare deposits": bare}
    from bank.wsgi import application

    deposit = _exchange(application, "POST", "deposits", token, 201)
    return {
        "deposits": _without_append(deposit),
        "whole deposits": deposit,
        "balances": _exchange(application, "GET", "balance", token, 200),
        "accounts": _exchange(application, "GET", "", token, 200),
        "histories": _exchange(application, "GET", "history", token, 200),
    }


def _bare_without_append(exchange: Exchange) -> Exchange:
    """Return `exchange` with nothing written, and with accounts of its own: they are in no log."""
    from benchmarks import reference_view

    append, accounts = reference_view._appended, reference_view._idle_accounts
    own_accounts = type(accounts)(accounts.default_factory)

    def exchange_without(number: int) -> None:
        reference_view._appended = lambda account, *_: (account, 1)
        reference_view._idle_accounts = own_accounts
        try:
            exchange(number)
        finally:
            reference_view._appended, reference_view._idle_accounts = append, accounts

    return exchange_without


def _without_append(exchange: Exchange) -> Exchange:
    """Return `exchange` with an outcome made up, in place of what executes commands."""
    from accounts import handlers
    from eventstore.records import Outcome

    result = {
        "status": "accepted",
        "accountId": "bench-1",
        "eventId": str(uuid4()),
        "version": 2,
        "balance": 1000,
        "currency": "USD",
        "currencyExponent": 2,
    }
    outcome = Outcome(result=result, refused=False, replayed=False, first_position=7, last_position=7)
    execute = handlers.carry_out

    def exchange_without(number: int) -> None:
        handlers.carry_out = lambda **_: outcome
        try:
            exchange(number)
        finally:
            handlers.carry_out = execute

    return exchange_without


def _exchange(application: Any, method: str, part: str, token: str, expected: int) -> Exchange:
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "3000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:3000",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    run, sent = uuid4(), count()

    def exchange(number: int) -> None:
        about = environ | {"PATH_INFO": f"/api/accounts/bench-{number % ACCOUNTS + 1}/{part}".removesuffix("/")}
        if method == "POST":
            content = b'{"amount":1,"currency":"USD","transactionId":"%d"}' % number
            about["CONTENT_TYPE"] = "application/json"
            about["CONTENT_LENGTH"] = str(len(content))
            about["HTTP_IDEMPOTENCY_KEY"] = f"{run}-{next(sent)}"
            about["wsgi.input"] = io.BytesIO(content)
        seen = []
        answer = application(about, lambda status, headers, *_: seen.append(status))
        b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if not seen[0].startswith(str(expected)):
            raise AssertionError(seen)

    return exchange


def measure(exchange: Exchange) -> float:
    """Return the microseconds of processor time that one exchange takes, in the least disturbed of ten runs."""
    for number in range(WARM_UP):
        exchange(number)
    return min(_timed(exchange, REQUESTS // 10) for _ in range(10))


def _timed(exchange: Exchange, requests: int) -> float:
    began = time.process_time()
    for number in range(requests):
        exchange(number)
    return (time.process_time() - began) / requests * 1e6


def profile(exchange: Exchange) -> str:
    """Return where the time of an exchange goes: calls and own time, function by function."""
    for number in range(WARM_UP):
        exchange(number)
    profiler = cProfile.Profile()
    profiler.enable()
    for number in range(REQUESTS):
        exchange(number)
    profiler.disable()
    text = io.StringIO()
    statistics_of = pstats.Stats(profiler, stream=text)
    statistics_of.strip_dirs().sort_stats("tottime").print_stats(PROFILED_LINES)
    return text.getvalue()


def main() -> None:
    """Print the table, or what a child of `rows` measured, or a profile."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.view_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("bank", "reference"), help=argparse.SUPPRESS)
    parser.add_argument("--token", help=argparse.SUPPRESS)
    parser.add_argument("--profile", choices=KINDS)
    options = parser.parse_args()
    if options.side:
        kinds = exchanges(options.side, options.token)
        print(json.dumps({kind: measure(exchange) for kind, exchange in kinds.items()}))
        return
    from benchmarks.served_bank import ENVIRONMENT
    from benchmarks.throw_away_bank import throw_away_bank

    os.environ |= ENVIRONMENT
    with throw_away_bank():
        token = prepared()
        if options.profile:
            print(profile(exchanges("bank", token)[options.profile]))
            return
        for row in rows(token=token, rounds=options.rounds):
            print(" | ".join(row.cells()), flush=True)


if __name__ == "__main__":
    main()
