"""What the bank does a second over HTTP, each kind of request beside its reference, in turns."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from benchmarks.http_load import Load, offer
from benchmarks.rows import Row
from benchmarks.served_bank import ACCOUNTS, Server, issued_token, projecting, served, wait_for_projections

SECTION = "Over HTTP"
DEPOSITS_IN_A_BULK = 200
"""As load.lua has it."""

WARM_UP_CONNECTIONS = 64

_runs = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Both servers, ready; `seconds` is how long each load lasts, and `rounds` how often it takes its turn."""

    bank: str
    reference: str
    reference_of_fibers: str
    is_of_fibers: bool
    token: str
    seconds: float
    rounds: int

    def of_bank(self, kind: str, connections: int) -> Load:
        """Offer one load to the bank, and check that exactly what it answered for is in the log."""
        prefix = f"{uuid4()}-{next(_runs)}"
        wait_for_projections()
        load = offer(
            url=self.bank,
            kind=kind,
            connections=connections,
            seconds=self.seconds,
            token=self.token,
            prefix=prefix,
            accounts=ACCOUNTS,
        )
        require_all_in_the_log(prefix, kind, load, connections)
        return load

    def of_reference(self, kind: str, connections: int) -> Load:
        """Offer the same load to the reference."""
        return self._without_a_bank(self.reference, kind, connections)

    def of_reference_of_fibers(self, kind: str, connections: int) -> Load:
        """Offer the same load to the reference, served as the bank is."""
        return self._without_a_bank(self.reference_of_fibers, kind, connections)

    def _without_a_bank(self, url: str, kind: str, connections: int) -> Load:
        wait_for_projections()
        return offer(
            url=url,
            kind=kind,
            connections=connections,
            seconds=self.seconds,
            token="",
            prefix="reference",
            accounts=ACCOUNTS,
        )


@contextmanager
def scene(*, server: Server, seconds: float, rounds: int) -> Iterator[Scene]:
    """Serve a bank, its projections advancing, and the reference on the same log."""
    with TemporaryDirectory(prefix="bank-bench-logs-") as directory, ExitStack() as stack:
        logs = Path(directory)
        stack.enter_context(projecting(log=logs / "worker.log"))
        bank = stack.enter_context(served(application="bank.rsgi:application", server=server, log=logs / "web.log"))
        reference = stack.enter_context(
            served(application="benchmarks.reference_wsgi:application", server=server, log=logs / "reference.log")
        )
        of_fibers = stack.enter_context(
            served(application="benchmarks.reference_rsgi:application", server=server, log=logs / "reference-rsgi.log")
        )
        made = Scene(
            bank=bank,
            reference=reference,
            reference_of_fibers=of_fibers,
            is_of_fibers=server.kind == "granian",
            token=issued_token(),
            seconds=seconds,
            rounds=rounds,
        )
        # Until each process has met each account once; that is not what is measured.
        made.of_reference("deposits", WARM_UP_CONNECTIONS)
        made.of_reference_of_fibers("deposits", WARM_UP_CONNECTIONS)
        made.of_bank("deposits", WARM_UP_CONNECTIONS)
        yield made


def rows(*, scene: Scene) -> Iterator[Row]:
    """Measure deposits beside the reference, then what else clients ask for."""
    for connections in (1, 16, 64):
        yield from _beside_reference(scene, connections)
    spread = next(_each(scene, [("hot_deposits", 16, "deposits to one hot account"), ("deposits", 16, "")]))
    yield spread
    # One client's gain, and the machine's: beside as many requests of one deposit each as do best.
    yield _bulks(scene, 1, beside=1)
    yield _bulks(scene, 4, beside=64)
    others = [
        ("transfers", 16, "transfers between 2,000 accounts"),
        ("balances", 16, "GET balance"),
        ("accounts", 16, "GET account"),
        ("histories", 16, "GET history, 100 lines"),
        ("mixed", 16, "5 balances, 3 deposits, 1 withdrawal, 1 transfer"),
    ]
    for kind, connections, what in others:
        yield _row(what, connections, [scene.of_bank(kind, connections) for _ in range(scene.rounds)])


def sound_books() -> Row:
    """Verify the whole log and all read models after the loads. Raises AssertionError if anything differs."""
    from projections.projectors import PROJECTORS
    from projections.runner import catch_up
    from projections.verification.differences import Report
    from projections.verification.run import Run

    catch_up()
    report = Report(limit=10)
    Run(projectors=PROJECTORS, report=report).verify_bank()
    if report.remaining or report.parked_streams:
        raise AssertionError(report)
    found = f"no difference in {report.events:,} events of {report.streams:,} streams"
    return Row(section="After these loads", what="verify of the log and of every read model", load="", note=found)


def _beside_reference(scene: Scene, connections: int) -> Iterator[Row]:
    deposits, references, of_fibers = [], [], []
    for _ in range(scene.rounds):
        of_fibers.append(scene.of_reference_of_fibers("deposits", connections))
        references.append(scene.of_reference("deposits", connections))
        deposits.append(scene.of_bank("deposits", connections))
    reference = _row("the reference: a bare view with one shared append", connections, references)
    yield reference
    row = _row("the same view, its requests as fibers like the bank's", connections, of_fibers)
    if scene.is_of_fibers:
        yield _compared(row, reference, "the reference", of_fibers, references)
    yield _compared(
        _row("deposits over 2,000 accounts", connections, deposits), reference, "the reference", deposits, references
    )


def _each(scene: Scene, kinds: Sequence[tuple[str, int, str]]) -> Iterator[Row]:
    [(kind, connections, what), (other, other_connections, _)] = kinds
    loads, others = [], []
    for _ in range(scene.rounds):
        others.append(scene.of_bank(other, other_connections))
        loads.append(scene.of_bank(kind, connections))
    row = _row(what, connections, loads)
    yield _compared(row, _row("", other_connections, others), "deposits over 2,000", loads, others)


def _bulks(scene: Scene, connections: int, *, beside: int) -> Row:
    """Measure deposits in bulks, in deposits a second, beside single ones by that many connections."""
    bulks, deposits = [], []
    for _ in range(scene.rounds):
        deposits.append(scene.of_bank("deposits", beside))
        bulk = scene.of_bank("bulks", connections)
        bulks.append(replace(bulk, requests=bulk.requests * DEPOSITS_IN_A_BULK))
    what, note = f"deposits in bulks of {DEPOSITS_IN_A_BULK}", "times are those of a bulk"
    row = replace(_row(what, connections, bulks), note=note)
    single = _row("", beside, deposits)
    return _compared(row, single, f"single deposits, {single.load}", bulks, deposits)


def _compared(row: Row, other: Row, ratio_to: str, loads: Sequence[Load], others: Sequence[Load]) -> Row:
    """Return `row` with the median of its ratios round by round: what disturbs the machine disturbs both of a round."""
    ratios = [load.per_second / beside.per_second for load, beside in zip(loads, others, strict=True)]
    return replace(row, ratio=statistics.median(ratios), ratio_to=ratio_to)


def _row(what: str, connections: int, loads: Sequence[Load]) -> Row:
    return Row(
        section=SECTION,
        what=what,
        load=f"{connections} connection{'s' if connections > 1 else ''}",
        per_second=statistics.median(load.per_second for load in loads),
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
    )


def require_all_in_the_log(prefix: str, kind: str, load: Load, connections: int) -> None:
    """Raise AssertionError unless each command answered with 2xx is in the log, once.

    wrk counts answers that it saw. At its end it leaves as many requests as there are connections: they may be done
    too, and nobody waits for their answers.
    """
    from django.db import connection

    if not kind.endswith(("deposits", "bulks")):
        return
    # What is kept under the key of a bulk itself is one command more.
    per_request = DEPOSITS_IN_A_BULK + 1 if kind == "bulks" else 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE refused), count(DISTINCT key), sum(last_position - first_position)"
            " FROM commands WHERE key LIKE %s",
            [f"{prefix}-%"],
        )
        commands, refused, keys, more_events = cursor.fetchone()
    least, most = load.requests * per_request, (load.requests + connections) * per_request
    if not least <= commands <= most or refused or keys != commands or more_events:
        raise AssertionError(f"{load.requests} answers, but the log has {commands} commands, {refused} of them refused")
