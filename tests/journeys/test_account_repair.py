"""The repair of one account over HTTP: from its stream alone, while live, and known as such afterwards."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.test import Client

from projections.models import AccountStatement, AccountSummary, ProjectionFailure
from projections.runner import catch_up, rebuild_all_suspects
from tests.integration.admin.test_repair import acts_on
from tests.journeys.account_api import deposit, open_account, problem
from tests.journeys.principals import bearer, issue_token

ADMIN = "/api/admin/projections/accounts"


@pytest.fixture
def account_id(api) -> str:
    account_id = open_account(api, balance=1000)
    for _ in range(3):
        assert deposit(api, account_id, amount=10).status_code == 201
    catch_up()
    return account_id


def damage(account_id: str) -> None:
    AccountSummary.objects.filter(account_id=account_id).update(balance=1)
    AccountStatement.objects.filter(account_id=account_id, stream_version__gte=3).delete()


def is_right(api: httpx.Client, account_id: str) -> bool:
    account = api.get(f"/api/accounts/{account_id}").json()
    entries = api.get(f"/api/accounts/{account_id}/history").json()["entries"]
    return (account["balance"], [entry["balance"] for entry in entries]) == (1030, [0, 1000, 1010, 1020, 1030])


def states(response: Any) -> dict[str, tuple[str, int]]:
    return {one["projection"]: (one["state"], one["version"]) for one in response.json()["projections"]}


CURRENT = {"account_summary": ("CURRENT", 5), "account_statement": ("CURRENT", 5)}


@pytest.mark.parametrize("content", [None, {}, {"reason": "a row was changed by hand"}])
def test_an_account_is_rebuilt_from_its_events(api, account_id, content):
    damage(account_id)
    assert not is_right(api, account_id)
    rebuilt = api.post(f"{ADMIN}/{account_id}/rebuild", **({} if content is None else {"json": content}))
    assert rebuilt.status_code == 200, rebuilt.text
    assert (rebuilt.json()["accountId"], states(rebuilt)) == (account_id, CURRENT)
    assert is_right(api, account_id)
    assert len(api.get(f"/api/accounts/{account_id}/history").json()["entries"]) == 5


def test_a_long_account_is_rebuilt_by_a_worker_and_shows_what_it_showed_until_then(api, account_id, settings):
    damage(account_id)
    settings.PROJECTION_BATCH_EVENTS = 2
    begun = rebuild_in_this_process(account_id)
    assert begun.status_code == 202
    assert states(begun)["account_summary"] == ("REBUILDING", 5)
    assert api.get(f"/api/accounts/{account_id}/balance").json()["balance"] == 1
    assert states(api.get(f"{ADMIN}/{account_id}"))["account_statement"] == ("REBUILDING", 2)
    rebuild_all_suspects(slice_seconds=30)
    assert states(api.get(f"{ADMIN}/{account_id}")) == CURRENT
    assert is_right(api, account_id)


def rebuild_in_this_process(account_id: str) -> Any:
    return Client().post(f"{ADMIN}/{account_id}/rebuild", {}, content_type="application/json")


def test_an_account_that_cannot_be_gone_on_with_says_so(api, account_id, monkeypatch):
    def faulty(**event):
        raise ValueError("what is this?")

    with monkeypatch.context() as patch:
        patch.setattr("projections.projectors.account_streams.decode", faulty)
        answer = rebuild_in_this_process(account_id)
    assert answer.status_code == 200
    assert states(answer)["account_summary"] == ("PARKED", 0)
    assert answer.json()["projections"][0]["error"] == "ValueError: what is this?"
    assert states(api.post(f"{ADMIN}/{account_id}/rebuild")) == CURRENT
    assert not ProjectionFailure.objects.filter(stream_id=f"account-{account_id}").exists()


def test_who_did_it_and_why_is_kept(guarded, account_id):
    headers = bearer(issue_token(f"operations-{uuid4()}", role="operations"))
    content = {"reason": "a row was changed by hand"}
    assert guarded.post(f"{ADMIN}/{account_id}/rebuild", json=content, headers=headers).status_code == 200
    assert acts_on(f"account-{account_id}") == [("StreamRebuilt", "operations", content["reason"], None)]


def test_an_account_that_is_not_there(api):
    for answer in (api.post(f"{ADMIN}/acc-{uuid4()}/rebuild"), api.get(f"{ADMIN}/acc-{uuid4()}")):
        problem(answer, status=404, code="account_not_found")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "malformed_json"),
        (b'{"reason": 7}', "validation_error"),
        (b'{"reason": "\\u0000"}', "validation_error"),
        (b'{"amount": 7}', "validation_error"),
        (b"[]", "validation_error"),
    ],
)
def test_bad_input_rebuilds_nothing(api, account_id, content, code):
    headers = {"Content-Type": "application/json"}
    problem(api.post(f"{ADMIN}/{account_id}/rebuild", content=content, headers=headers), status=400, code=code)
    problem(api.post(f"{ADMIN}/a%00b/rebuild"), status=400, code="validation_error")
    problem(api.post(f"{ADMIN}/{account_id}/rebuild?reason=x"), status=400, code="validation_error")
