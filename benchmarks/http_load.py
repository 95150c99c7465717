"""Load over HTTP: one run of wrk, and what came of it."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")


class NoLoadGenerator(Exception):
    """wrk is not installed."""

    def __str__(self) -> str:
        return "the rows over HTTP need wrk, which is not installed: `apt-get install wrk`, or `brew install wrk`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk saw: `requests` were done, `overloaded` answered 503, `refused` any other error, `broken` nothing.

    The times are those of all that were answered.
    """

    requests: int
    overloaded: int
    refused: int
    broken: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """How many requests a second were done."""
        return self.requests / self.seconds


def offer(
    *,
    url: str,
    kind: str,
    connections: int,
    seconds: float,
    token: str,
    prefix: str,
    accounts: int,
    may_be_overloaded: bool = False,
) -> Load:
    """Send requests of one `kind` (of load.lua) over so many connections; return what came of them.

    Each connection sends its next request when it has the last one's answer. Raises NoLoadGenerator, and
    AssertionError if a request was refused or got no answer: figures of a bank that fails mean nothing. 503 is such a
    refusal, unless it `may_be_overloaded`.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NoLoadGenerator
    shape = ("-t", "1", "-c", str(connections), "-d", f"{seconds:.0f}s", "--timeout", "30s")
    command = [wrk, *shape, "-s", str(SCRIPT), url, "--", kind, token, prefix, str(accounts)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own
    seen = json.loads(output.splitlines()[-1])
    load = Load(
        requests=seen["requests"] - seen["refused"],
        overloaded=seen["overloaded"],
        refused=seen["refused"] - seen["overloaded"],
        broken=seen["broken"] + seen["timeouts"],
        seconds=seen["microseconds"] / 1e6,
        p50_ms=seen["p50_us"] / 1e3,
        p99_ms=seen["p99_us"] / 1e3,
    )
    if load.refused or load.broken or not load.requests or (load.overloaded and not may_be_overloaded):
        raise AssertionError(f"{kind} over {connections} connections: {load}")
    return load
