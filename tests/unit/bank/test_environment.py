"""What the settings read is what .env.example and the README tell, no more and no less."""

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
COMPOSE_ALONE = {"POSTGRES_APP_PASSWORD"}
NOT_THE_DEFAULT = {
    "API_AUTH": "open for a bank on one machine",
    "REQUIRE_IDEMPOTENCY_KEY": "follows API_AUTH",
    "HTTPS_ONLY": "follows ALLOWED_HOSTS",
    "BANK_VAR_DIR": "in the project's directory, wherever that is",
    "METRICS_DIR": "in BANK_VAR_DIR",
    "POSTGRES_HOST": "an address must be named; localhost is for who names another part of it",
}


def variables_read() -> set[str]:
    return set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', (PROJECT / "bank/settings.py").read_text()))


def test_every_variable_is_in_the_example_commented_out():
    lines = (PROJECT / ".env.example").read_text().splitlines()
    listed = [match[1] for line in lines if (match := re.fullmatch(r"# ([A-Z_]+)=.*", line))]
    assert len(listed) == len(set(listed))
    assert set(listed) - COMPOSE_ALONE == variables_read()
    assert all(line.startswith("#") for line in lines if line)


def test_the_values_in_the_example_are_the_defaults():
    example = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    defaults = defaults_written_out()
    assert defaults.keys() | NOT_THE_DEFAULT.keys() == variables_read()
    assert {name: example[name] for name in defaults} == defaults


def defaults_written_out() -> dict[str, str]:
    """Return the defaults that stand in the settings as they are, in the words of the example."""
    defaults: dict[str, str] = {}
    for call in ast.walk(ast.parse((PROJECT / "bank/settings.py").read_text())):
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="env")),
                args=[ast.Constant(value=str() as name)],
                keywords=[ast.keyword(arg="default", value=ast.Constant() | ast.List() as value), *_],
            ) if name not in NOT_THE_DEFAULT:
                defaults[name] = in_words(ast.literal_eval(value))
    return defaults


def in_words(default: object) -> str:
    if isinstance(default, list):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


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
