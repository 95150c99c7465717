"""A web server and a jobs worker that die at the boundary of a transfer, beside a beat that does not."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from bank.embedded.child_process import start_child, stop_child
from tests.integration.transfers.death import NOTE
from tests.journeys.web_server import WebServer, database_url, running_web_server
from tests.own_bank import environment
from tests.polling import DEADLINE_SECONDS


@dataclass(frozen=True)
class MortalBank:
    """The bank's processes, as production runs them, on the tests' database."""

    web: WebServer
    directory: Path
    environment: dict[str, str]

    def kill_worker(self, boundary: str) -> str:
        """Let a worker take up what has stopped until it dies at `boundary`; return the stream it died at."""
        with self._celery("worker", DEATH=boundary) as process:
            assert process.wait(DEADLINE_SECONDS) == -signal.SIGKILL
        return place_of_death(self.directory / "worker.log")

    @contextmanager
    def living_worker(self) -> Iterator[None]:
        """Let a worker take up what has stopped, undisturbed."""
        with self._celery("worker"):
            yield

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Let beat ask for stopped transfers to be taken up, whoever lives to do it."""
        with self._celery("beat"):
            yield

    @contextmanager
    def _celery(self, part: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        # It need not wait for other workers to say that they are there.
        of_worker = ["--pool", "threads", "--concurrency", "2", "--queues", "jobs", "--without-mingle"]
        options = of_worker if part == "worker" else []
        celery = ["celery", "-A", "tests.integration.transfers.mortal_jobs:app"]
        process = start_child(
            command=[sys.executable, "-m", *celery, part, *options],
            log=self.directory / f"{part}.log",
            death_signal=signal.SIGKILL,
            environment=self.environment | variables,
        )
        try:
            yield process
        finally:
            stop_child(process=process, stop_signal=signal.SIGTERM, patience_seconds=8)


@contextmanager
def mortal_bank(*, directory: Path, steps: str) -> Iterator[MortalBank]:
    """Run web server and beat of a bank whose stopped transfers are due at once and never given up."""
    variables = {
        "API_AUTH": "open",
        "TRANSFER_STEPS": steps,
        "TRANSFER_RESUME_SECONDS": "0",
        "TRANSFER_MAX_ATTEMPTS": "1000",
        "TRANSFER_TICK_SECONDS": "0.2",
    }
    application = "tests.integration.transfers.mortal_web:application"
    with running_web_server(var_dir=directory, application=application, **variables) as web:
        of_workers = environment(
            DATABASE_URL=database_url(),
            REDIS_URL=settings.CELERY_BROKER_URL,
            SECRET_KEY=settings.SECRET_KEY,
            BANK_VAR_DIR=str(directory),
            PYTHONPATH=os.getcwd(),
            **variables,
        )
        bank = MortalBank(web=web, directory=directory, environment=of_workers)
        with bank.beating():
            yield bank


def place_of_death(log: Path) -> str:
    """Return the stream at which the last process that wrote to `log` died."""
    notes = [line for line in log.read_text().splitlines() if line.startswith(NOTE)]
    return notes[-1].removeprefix(NOTE)
