"""What the settings read is what .env.example and the README tell, no more and no less."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
COMPOSE_ALONE = {"POSTGRES_APP_PASSWORD"}


def variables_read() -> set[str]:
    return set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', (PROJECT / "bank/settings.py").read_text()))


def test_every_variable_is_in_the_example_commented_out():
    lines = (PROJECT / ".env.example").read_text().splitlines()
    listed = [match[1] for line in lines if (match := re.fullmatch(r"# ([A-Z_]+)=.*", line))]
    assert len(listed) == len(set(listed))
    assert set(listed) - COMPOSE_ALONE == variables_read()
    assert all(line.startswith("#") for line in lines if line)


def test_every_variable_is_in_the_readme():
    table = (PROJECT / "README.md").read_text().split("### Environment")[1].split("## ")[0]
    assert set(re.findall(r"`([A-Z][A-Z_]{3,})`", table)) == variables_read()


def test_nothing_else_reads_the_environment():
    readers = {
        path.relative_to(PROJECT).as_posix()
        for app in ("accounts", "bank", "eventstore", "projections", "transfers")
        for path in (PROJECT / app).rglob("*.py")
        if re.search(r"os\.getenv|os\.environ(\[|\.(?!setdefault))|Env\(\)", path.read_text())
    }
    # The embedded servers are started before there are settings; see manage.py.
    assert {reader for reader in readers if not reader.startswith("bank/embedded/")} == {"bank/settings.py"}
