"""Embedded servers: shared by their users, stopped by the last one, and never left behind."""

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from bank.embedded.server_files import is_free, lock, locked
from tests.own_bank import PROJECT_DIR, embedded, environment, manage, processes_of, wait_until_nothing_runs
from tests.polling import wait_until

# A process that uses the embedded servers until its standard input is closed.
USER = """
import os, sys
from bank.embedded.environment import embedded_servers
with embedded_servers(os.environ):
    print(os.environ["DATABASE_URL"], os.environ["REDIS_URL"], flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the embedded servers."""

    def __init__(self, env: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", USER], cwd=PROJECT_DIR, env=env, stdin=pipe, stdout=pipe)

    def wait_until_attached(self) -> "User":
        assert self.process.stdout is not None
        self.database_url, self.redis_url = self.process.stdout.readline().decode().split()
        return self

    def execute(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def supervisors(var_dir: Path) -> list[psutil.Process]:
    return [process for process in processes_of(var_dir) if "bank.embedded.supervisor" in process.cmdline()]


def postmaster(var_dir: Path) -> psutil.Process:
    pid = int((var_dir / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    return psutil.Process(pid)


def test_users_that_start_at_once_share_servers_and_the_last_one_stops_them(env, var_dir):
    first, second, third = [User(env).wait_until_attached() if i == 2 else User(env) for i in range(3)]
    first.wait_until_attached()
    second.wait_until_attached()
    assert first.database_url == second.database_url == third.database_url
    assert first.redis_url == second.redis_url == third.redis_url
    assert len(supervisors(var_dir)) == 2

    first.end()
    third.end()
    assert second.execute("SELECT 1") == [(1,)]
    with redis.Redis.from_url(second.redis_url) as broker:
        assert broker.ping()

    second.end()
    wait_until_nothing_runs(var_dir)


def test_the_last_user_has_stopped_them_when_it_ends(env, var_dir):
    user = User(env).wait_until_attached()
    user.end()
    with pytest.raises(psycopg.OperationalError):
        user.execute("SELECT 1")
    # The supervisors let go of their locks before they have quite ended.
    wait_until_nothing_runs(var_dir)


def test_the_servers_outlive_the_kill_of_the_user_that_started_them_but_not_of_the_last(env, var_dir):
    starter = User(env).wait_until_attached()
    other = User(env).wait_until_attached()
    starter.kill()
    assert other.execute("SELECT 1") == [(1,)]
    other.kill()
    wait_until_nothing_runs(var_dir)


@pytest.mark.parametrize("victims", ["supervisors", "everything"])
def test_after_a_kill_nothing_is_left_and_the_next_start_goes_on_with_the_data(env, var_dir, victims):
    user = User(env).wait_until_attached()
    user.execute(f"CREATE TABLE kept_{victims} AS SELECT 42 AS answer")
    killed = supervisors(var_dir)
    if victims == "everything":
        # The server first: it must not get to know of the others' end, and stop in good order.
        server = postmaster(var_dir)
        killed = [server, *server.children(), *killed, psutil.Process(user.process.pid)]
    for process in killed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if victims == "supervisors":
        user.end()
    else:
        user.process.communicate()
    wait_until_nothing_runs(var_dir)

    user = User(env).wait_until_attached()
    assert user.execute(f"SELECT answer FROM kept_{victims}") == [(42,)]
    user.end()


def test_a_server_that_died_under_its_users_is_started_again_by_the_next(env, var_dir):
    bereft = User(env).wait_until_attached()
    postmaster(var_dir).kill()
    with pytest.raises(psycopg.OperationalError):
        bereft.execute("SELECT 1")

    user = User(env)
    # The supervisor needs a moment to see the death; a user that comes in that moment finds the old address.
    user.wait_until_attached()
    if user.database_url == bereft.database_url:
        user.end()
        user = User(env).wait_until_attached()
    assert user.execute("SELECT 1") == [(1,)]
    user.end()
    bereft.end()
    wait_until_nothing_runs(var_dir)


def test_a_server_that_is_stopped_for_a_while_goes_on(env, var_dir):
    user = User(env).wait_until_attached()
    server, supervised_by = postmaster(var_dir), supervisors(var_dir)
    server.suspend()
    wait_until(lambda: server.status() == psutil.STATUS_STOPPED)
    server.resume()
    # By the time that another user has come, the supervisors have long had their signals.
    other = User(env).wait_until_attached()
    assert other.database_url == user.database_url
    assert other.execute("SELECT 1") == [(1,)]
    assert supervisors(var_dir) == supervised_by
    other.end()
    user.end()


def test_taken_ports_do_not_matter(env):
    with ExitStack() as taken:
        for port in (5432, 6379):
            listener = taken.enter_context(socket.socket())
            # A server of this machine may have the port already: then it is taken as well.
            with suppress(OSError):
                listener.bind(("127.0.0.1", port))
                listener.listen()
        user = User(env).wait_until_attached()
        assert user.execute("SELECT 1") == [(1,)]
        user.end()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_where_no_user_namespace_is_allowed_root_runs_postgres_as_nobody(tmp_path):
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    # pytest's own directories are closed to everybody else.
    directory = Path(tempfile.mkdtemp(prefix="bank-nobody-"))
    directory.chmod(0o755)
    env = embedded(directory, PATH=f"{tmp_path}:{os.environ['PATH']}")
    try:
        user = User(env).wait_until_attached()
        assert user.execute("SELECT 1") == [(1,)]
        assert postmaster(directory).uids().real == pwd.getpwnam("nobody").pw_uid
        user.end()
        wait_until_nothing_runs(directory)
        # And back: the cluster changes hands with the account that can run it.
        user = User(embedded(directory)).wait_until_attached()
        assert user.execute("SELECT 1") == [(1,)]
        user.end()
    finally:
        wait_until_nothing_runs(directory)
        shutil.rmtree(directory)


def test_a_command_uses_them_for_its_own_duration(env, var_dir):
    done = manage("shell", "-c", "from django.db import connection as c; c.ensure_connection(); print('up')", env=env)
    assert done.returncode == 0, done.stderr
    assert "up" in done.stdout
    assert processes_of(var_dir) == []


@pytest.mark.parametrize(
    ("real", "started"),
    [
        ({"DATABASE_URL": "postgres://bank@127.0.0.1:1/bank", "REDIS_URL": "redis://127.0.0.1:1/0"}, set()),
        ({"POSTGRES_HOST": "127.0.0.1", "REDIS_URL": "redis://127.0.0.1:1/0"}, set()),
        ({"POSTGRES_USER": "someone", "REDIS_URL": "redis://127.0.0.1:1/0"}, set()),
        ({"DATABASE_URL": "postgres://bank@127.0.0.1:1/bank"}, {"valkey"}),
        ({"EVENT_STORE_KIND": "in-memory"}, set()),
    ],
)
def test_real_servers_win(tmp_path, real, started):
    done = manage("version", env=embedded(tmp_path, **real))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == started


def test_without_an_address_a_command_says_so_in_one_line(tmp_path):
    done = manage("migrate", env=environment(BANK_VAR_DIR=str(tmp_path)))
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "DATABASE_URL" in line
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_used_is_said_in_one_line(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    done = manage("version", env=embedded(in_the_way))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert str(in_the_way) in line


def reset(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bank.embedded.reset"]
    return subprocess.run(command, env=env, cwd=PROJECT_DIR, capture_output=True, text=True)


def test_reset_starts_over_but_not_while_the_bank_is_used(tmp_path):
    var_dir = tmp_path / "var"
    env = embedded(var_dir)
    user = User(env).wait_until_attached()
    refused = reset(env)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert user.execute("SELECT 1") == [(1,)]
    user.end()
    secrets = ("secret_key", "staff_password", "client_token")
    for made in ("log/web.log", "metrics/slot-0.lock", *secrets, "celerybeat-schedule.db"):
        (var_dir / made).parent.mkdir(exist_ok=True)
        (var_dir / made).touch()
    assert reset(env).returncode == 0
    assert not var_dir.exists()
    assert reset(env).returncode == 0


def test_reset_leaves_alone_what_the_bank_did_not_make(tmp_path):
    foreign = {"thesis.txt", "photos", "postgres"}
    (tmp_path / "thesis.txt").touch()
    for directory in ("photos", "postgres", "log"):
        (tmp_path / directory).mkdir()
    (tmp_path / "postgres" / "cluster").touch()
    done = reset(embedded(tmp_path))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == foreign
    assert (tmp_path / "postgres" / "cluster").exists()
    [line] = done.stdout.splitlines()
    assert all(name in line for name in foreign)


@pytest.mark.parametrize("held", ["demo.lock", "postgres/gate.lock", "valkey/gate.lock"])
def test_reset_touches_nothing_while_somebody_starts(tmp_path, held):
    for path in ("secret_key", "postgres/data/PG_VERSION", "valkey/data/dump", held):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    before = sorted(tmp_path.rglob("*"))
    with locked(tmp_path / held):
        refused = reset(embedded(tmp_path))
    assert refused.returncode == 1
    assert "running" in refused.stderr
    assert set(before) <= set(tmp_path.rglob("*"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists who waits for a lock")
def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path):
    path = tmp_path / "some.lock"
    with ThreadPoolExecutor(1) as pool:
        with locked(path):
            waiting = pool.submit(lock, path, operation=fcntl.LOCK_EX)
            wait_until(lambda: waits_for_a_lock(path))
            path.unlink()
        with waiting.result():
            assert not is_free(path)


def waits_for_a_lock(path: Path) -> bool:
    """Say whether this process waits for a lock of `path`: the kernel lists who waits with an arrow."""
    waiting = [line for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return any(line.split()[6].endswith(f":{path.stat().st_ino}") for line in waiting)
