"""The tables of docs/access.md, as the tests read them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "access.md"
ROLES = ("client", "teller", "auditor", "operations")
ANYBODY = "anybody"
REFUSED = "no"


@dataclass(frozen=True, slots=True)
class ApiRow:
    """One request of the API: its permission, and by role whether it is open for `own` accounts, for `all` or not."""

    method: str
    path: str
    permission: str
    by_role: dict[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def api_rows() -> list[ApiRow]:
    """Return the table of the API."""
    return [
        ApiRow(method, path, permission, dict(zip(ROLES, by_role, strict=True)))
        for request, permission, *by_role in _rows("## The API")
        for method, path in [request.split(" ")]
    ]


def admin_rows() -> dict[str, dict[str, str]]:
    """Return the table of the admin: by page, what each role may do there."""
    return {cells[0]: dict(zip(ROLES, cells[1:], strict=True)) for cells in _rows("## The admin")}


def _rows(heading: str) -> Iterator[list[str]]:
    section = DOCUMENT.read_text().split(heading)[1].split("\n## ")[0]
    header, _, *rows = re.findall(r"(?m)^\|(.*)\|$", section)
    assert tuple(header.replace(" ", "").split("|")[-len(ROLES) :]) == ROLES
    for row in rows:
        yield [cell.strip().strip("`") for cell in row.split("|")]
