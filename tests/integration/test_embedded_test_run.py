"""How a run of the tests itself gets its servers, and what it leaves behind."""

import subprocess
import sys
from pathlib import Path

from tests.own_bank import PROJECT_DIR, environment


def run_tests(temporary: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one small test file in a process of its own, with its temporary files in `temporary`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/accounts/test_money.py"]
    env = environment(TMPDIR=str(temporary), **variables)
    return subprocess.run(command, cwd=PROJECT_DIR, env=env, capture_output=True, text=True, timeout=90)


def test_it_starts_servers_of_its_own_and_takes_them_away(tmp_path):
    somebody_elses = tmp_path / "var"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = run_tests(temporary, BANK_EMBEDDED="1", BANK_VAR_DIR=str(somebody_elses))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert not somebody_elses.exists()
    assert list(temporary.glob("bank-*")) == []


def test_without_a_database_it_runs_what_needs_none(tmp_path):
    done = run_tests(tmp_path, EVENT_STORE_KIND="in-memory")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.glob("bank-*")) == []


def test_without_an_address_it_says_so_in_one_line(tmp_path):
    done = run_tests(tmp_path)
    assert done.returncode == 2
    assert len((done.stdout + done.stderr).splitlines()) == 1
    assert "DATABASE_URL" in done.stderr
