"""A measurement, the table of all of one run, and where it is kept."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"
_LATEST = re.compile(r"(<!-- latest -->\n).*(<!-- end of latest -->\n)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured: `per_second` of `what` under `load`, and how it compares with something of the same run."""

    section: str
    what: str
    load: str
    per_second: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    ratio: float | None = None
    ratio_to: str = ""
    note: str = ""

    def cells(self) -> list[str]:
        """Return the row's cells of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} of {self.ratio_to}"
        rate = "" if self.per_second is None else f"{self.per_second:,.0f}"
        return [self.what, self.load, rate, _milliseconds(self.p50_ms), _milliseconds(self.p99_ms), ratio, self.note]


def tell(*, rows: Iterable[Row]) -> None:
    """Print rows as they come: for people, or with --json one document a line for who started this process."""
    for row in rows:
        print(json.dumps(asdict(row)) if "--json" in sys.argv else " | ".join(row.cells()), flush=True)


def rows_from(*, module: str) -> Iterator[Row]:
    """Yield the rows of a measurement that has a process and servers of its own."""
    command = [sys.executable, "-m", module, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        for line in process.stdout or ():
            yield Row(**json.loads(line))
    if process.returncode:
        raise AssertionError(f"{module} ended with {process.returncode}")


def report(*, rows: Sequence[Row], versions: Sequence[str], began: datetime, quick: bool) -> str:
    """Return the run as a Markdown document: when, on what, and one table for each section."""
    length = ", shortened: the figures say little" if quick else ""
    lines = [f"{began:%Y-%m-%d %H:%M} UTC{length}. {_machine()}. {', '.join(versions)}.", ""]
    for section, group in groupby(rows, key=lambda row: row.section):
        lines += [f"### {section}", "", *_table(row.cells() for row in group), ""]
    return "\n".join(lines)


def keep(*, document: str, began: datetime, as_latest: bool) -> Path:
    """Write the document into results/, and into the README if it is the latest whole run; return where it is."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{began:%Y-%m-%d-%H%M}.md"
    path.write_text(f"# What a run of `make bench` measured\n\n{document}")
    if as_latest:
        text = README.read_text()
        README.write_text(_LATEST.sub(lambda found: f"{found[1]}{document}\n{found[2]}", text))
    return path


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    heads = ["what", "load", "per second", "p50 ms", "p99 ms", "ratio", "note"]
    return [f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows]]


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.+)", cpuinfo.read_text())):
        model = found[1]
    return f"{os.cpu_count()} cores ({model}), {platform.system()}, Python {sys.version.split()[0]}"


def now() -> datetime:
    """Return this moment, for the name and the head of a run."""
    return datetime.now(UTC)
