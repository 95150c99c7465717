"""The same engine and the same reads in the bank that keeps nothing: one process, SQLite, a thread that projects."""

import subprocess
import sys

from tests.own_bank import PROJECT_DIR, environment

BANK = """
import django
django.setup()

from threading import Event, Thread

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from accounts.domain.commands import CreateAccount, DepositMoney, FreezeAccount, WithdrawMoney
from accounts.handlers import create_account, deposit_money, freeze_account, withdraw_money
from eventstore.records import CommandContext
from projections.lag import projection_lags
from projections.projectors import PROJECTORS
from projections.runner import catch_up, run_forever
from projections.streams import rebuild_stream
from tests.polling import wait_until

call_command("migrate", verbosity=0)
stop = Event()
projecting = Thread(target=run_forever, kwargs={"stop": stop})
projecting.start()
context = CommandContext()
create_account(command=CreateAccount(account_id="acc-1", owner_id="user-1", currency="USD"), context=context)
for _ in range(50):
    deposit_money(command=DepositMoney(account_id="acc-1", amount=20, currency="USD"), context=context)
withdraw_money(command=WithdrawMoney(account_id="acc-1", amount=200, currency="USD"), context=context)
wait_until(lambda: not any(lag.lag_events for lag in projection_lags()))
stop.set()
projecting.join()

client = Client(SERVER_NAME="localhost")

def told(**query):
    reads = [client.get(f"/api/accounts/acc-1{view}", query) for view in ("", "/balance", "/history")]
    assert [read.status_code for read in reads] == [200] * 3
    return [(read.json(), read.headers["ETag"], read.headers["X-Projection-Position"]) for read in reads]

freeze_account(command=FreezeAccount(account_id="acc-1"), context=context)
early = told(minVersion=53)
assert {(etag, position) for _, etag, position in early} == {('"53"', "52")}
catch_up()
late = told()
assert [content for content, _, _ in early] == [content for content, _, _ in late]
assert {(etag, position) for _, etag, position in late} == {('"53"', "53")}
assert client.get("/api/accounts").headers["X-Projection-Age-Ms"] == "0"
assert client.get("/api/accounts/acc-1?minVersion=54").status_code == 409

def answers():
    assert client.get("/api/accounts/acc-1").json()["status"] == "FROZEN"
    assert client.get("/api/accounts/acc-1/balance").json()["balance"] == 800
    entries = client.get("/api/accounts/acc-1/history?limit=500").json()["entries"]
    assert [entry["streamVersion"] for entry in entries] == list(range(1, 54))
    assert [entry["balance"] for entry in entries] == [0, *range(20, 1001, 20), 800, 800]
    assert client.get("/api/accounts?ownerId=user-1&status=FROZEN&currency=USD").json()["accounts"]

answers()
for projector in PROJECTORS[:2]:
    assert rebuild_stream(projector=projector, stream_id="account-acc-1").error is None
answers()

client.force_login(User.objects.create_superuser(username="staff"))
for page in ("accountsummary", "accountsummary/acc-1/change", "accountstatement", "accountstatement/2/change"):
    shown = client.get(f"/admin/projections/{page}/")
    assert shown.status_code == 200
    assert b"USD 8.00" in shown.content or b"USD 0.20" in shown.content
assert client.get("/admin/projections/projectioncheckpoint/").status_code == 200
assert client.get("/admin/eventstore/event/").status_code == 404
"""


def test_the_bank_that_keeps_nothing_projects_and_answers(tmp_path):
    env = environment(
        EVENT_STORE_KIND="in-memory",
        DJANGO_SETTINGS_MODULE="bank.settings",
        BANK_IN_MEMORY_DIR=str(tmp_path),
        BANK_VAR_DIR=str(tmp_path / "var"),
        API_AUTH="open",
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", BANK],
        cwd=PROJECT_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
