"""docs/api.md tells of every problem."""

import re

from bank.problems import PROBLEM_TYPES
from tests.own_bank import PROJECT_DIR


def test_every_problem_is_told_with_its_status():
    guide = (PROJECT_DIR / "docs" / "api.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", guide, flags=re.MULTILINE)
    assert {code: int(status) for code, status in told} == {code: kind.status for code, kind in PROBLEM_TYPES.items()}
