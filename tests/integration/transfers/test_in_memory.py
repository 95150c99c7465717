"""A bank that keeps nothing resumes transfers by itself, in the process that serves it."""

import subprocess
import sys

from tests.own_bank import PROJECT_DIR, environment

BANK = """
import django
django.setup()

from unittest.mock import patch

from django.test import Client

from bank.in_memory import open_in_this_process
from tests.polling import wait_until
from transfers import handlers

with patch("bank.opening.seed_sample_data"):
    open_in_this_process()
client, json = Client(SERVER_NAME="localhost"), {"content_type": "application/json"}
for account_id in ("acc-1", "acc-2"):
    content = {"accountId": account_id, "ownerId": "user-1", "currency": "USD"}
    assert client.post("/api/accounts", content, **json).status_code == 201
assert client.post("/api/accounts/acc-1/deposits", {"amount": 1000, "currency": "USD"}, **json).status_code == 201

settle, calls = handlers._settle, []

def settle_from_the_third_time_on(transfer_id, context):
    calls.append(transfer_id)
    if len(calls) < 3:
        raise RuntimeError("the second step is out of order")
    return settle(transfer_id, context)

order = {"sourceAccountId": "acc-1", "destinationAccountId": "acc-2", "amount": 150, "currency": "USD"}
with patch.object(handlers, "_settle", settle_from_the_third_time_on):
    asked = client.post("/api/transfers", order, **json)
    assert (asked.status_code, asked.json()["state"]) == (202, "PENDING")
    address = "/api/transfers/" + asked.json()["transferId"]
    shown = wait_until(lambda: found if (found := client.get(address).json())["state"] == "COMPLETED" else None)

assert len(calls) == 3
assert shown["version"] == 5
metrics = client.get("/metrics").content.decode()
assert "transfers_in_flight 0.0" in metrics
entries = wait_until(lambda: client.get("/api/accounts/acc-2/history").json()["entries"][1:])
assert [(entry["amount"], entry["counterparty"]) for entry in entries] == [(150, "acc-1")]
"""


def test_a_transfer_that_stopped_is_taken_up_by_a_thread(tmp_path):
    env = environment(
        EVENT_STORE_KIND="in-memory",
        DJANGO_SETTINGS_MODULE="bank.settings",
        BANK_IN_MEMORY_DIR=str(tmp_path),
        BANK_VAR_DIR=str(tmp_path / "var"),
        API_AUTH="open",
        TRANSFER_STEPS="apart",
        TRANSFER_RESUME_SECONDS="0",
        TRANSFER_TICK_SECONDS="0.1",
    )
    ran = subprocess.run(
        [sys.executable, "-c", BANK], cwd=PROJECT_DIR, env=env, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
