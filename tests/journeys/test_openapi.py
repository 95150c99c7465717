"""The bank keeps the promises of its OpenAPI schema, whatever schemathesis makes of them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from string import Template
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command

from tests.access_table import api_rows
from tests.journeys.account_api import deposit
from tests.journeys.principals import bearer, issue_token
from tests.journeys.test_access import account_for, send
from tests.journeys.test_every_command import almighty
from tests.journeys.web_server import web_server
from tests.own_bank import PROJECT_DIR

SEED = 20260322


@pytest.fixture(scope="module")
def guarded(django_db_setup, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of a bank that wants tokens, has time for whoever asks often, and is ready without a worker."""
    variables = {"THROTTLE_REQUESTS_PER_MINUTE": "10000000", "READY_MAX_AGE_SECONDS": "86400"}
    with web_server(var_dir=tmp_path_factory.mktemp("openapi"), API_AUTH="token", **variables) as client:
        yield client


@pytest.fixture
def token() -> str:
    """A token of a client that may do everything, on accounts of its own: those of other tests are not as tidy."""
    username = f"client-{uuid4()}"
    token = issue_token(username)
    everything = Permission.objects.filter(content_type__app_label="bank").exclude(codename="reach_every_account")
    get_user_model().objects.get(username=username).user_permissions.set(everything)
    return token


def projected_accounts(api: httpx.Client, token: str) -> dict[str, str]:
    """Return, by their names in schemathesis.toml, accounts that reads know as well as writes."""
    accounts = {name: f"acc-{uuid4()}" for name in ("RICH_ACCOUNT", "OTHER_ACCOUNT", "EMPTY_ACCOUNT")}
    headers = bearer(token)
    for name, account_id in accounts.items():
        content = {"accountId": account_id, "ownerId": "user-1", "currency": "USD", "commandId": f"open-{account_id}"}
        assert api.post("/api/accounts", json=content, headers=headers).is_success
        if name != "EMPTY_ACCOUNT":
            assert deposit(api, account_id, amount=10**12, commandId=f"fill-{account_id}", headers=headers).is_success
    ends = {"sourceAccountId": accounts["RICH_ACCOUNT"], "destinationAccountId": accounts["OTHER_ACCOUNT"]}
    transfer_id = f"trf-{uuid4()}"
    order = {"amount": 1, "currency": "USD", "transferId": transfer_id, "commandId": str(uuid4())}
    assert api.post("/api/transfers", json=ends | order, headers=headers).is_success
    call_command("run_projections", once=True, stdout=StringIO())
    return accounts | {"TRANSFER": transfer_id}


def described_operations(api: httpx.Client) -> set[str]:
    """Return every operation of the schema, but for the one that schemathesis leaves out: to read the schema itself."""
    paths: dict[str, Any] = api.get("/api/schema").json()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} - {"GET /api/schema"}


def assert_the_schema_is_kept(api: httpx.Client, token: str, directory: Path, *options: str) -> None:
    """Run schemathesis with all of its checks, and see that it got beyond being turned away."""
    config, answers = directory / "schemathesis.toml", directory / "answers.json"
    names = {"BANK_TOKEN": token, **projected_accounts(api, token)}
    config.write_text(Template(Path(__file__).with_name("schemathesis.toml").read_text()).substitute(names))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"]
    run = subprocess.run(
        [*command, f"{api.base_url}/api/schema", "--checks=all", "--no-color", f"--seed={SEED}", *options],
        env=os.environ | {"ANSWERS_FILE": str(answers)},
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
    )
    # It prints its seed, and each request that failed, as curl would send it.
    assert run.returncode == 0, run.stdout + run.stderr
    succeeded = {answer.rpartition(" ")[0] for answer in orjson.loads(answers.read_bytes()) if " 20" in answer}
    assert succeeded == described_operations(api), run.stdout


def test_the_page_finds_all_that_it_needs_under_its_policy(api):
    page = api.get("/api/docs")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    # The directives come in any order.
    assert "default-src 'self'" in page.headers["Content-Security-Policy"].split("; ")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    for address in re.findall(r'(?:src|href|data-schema)="([^"]*)"', page.text):
        assert api.get(address).status_code == 200, address


@pytest.mark.timeout(400)
def test_the_schema_is_kept(guarded, token, tmp_path):
    assert_the_schema_is_kept(guarded, token, tmp_path, "--max-examples=4")


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_the_schema_is_kept_whatever_is_sent(guarded, token, tmp_path):
    assert_the_schema_is_kept(guarded, token, tmp_path, "--max-examples=200")


# What HTTP itself, the web server and Django put there for browsers and caches, whatever the request is.
OF_EVERY_ANSWER = {
    *("content-type", "content-length", "transfer-encoding", "connection", "date", "server", "cache-control"),
    *("x-content-type-options", "referrer-policy", "cross-origin-opener-policy", "content-security-policy"),
}


def test_every_header_of_an_answer_is_described(guarded):
    described = guarded.get("/api/schema").json()["paths"]
    missing = set()
    for row in api_rows():
        me = almighty()
        account_id = account_for(row, me)
        # Good, repeated, and without a token.
        for token in (me.token, me.token, None):
            answer = send(guarded, row, account_id, token)
            headers = described[row.path][row.method.lower()]["responses"][str(answer.status_code)].get("headers", {})
            undescribed = set(answer.headers) - {name.lower() for name in headers} - OF_EVERY_ANSWER
            missing |= {(str(row), answer.status_code, name) for name in undescribed}
    assert missing == set()
