"""Commands over HTTP: what they answer, what they leave in the log, and what the rules refuse."""

from uuid import uuid4

import pytest

from tests.journeys.account_api import deposit, events_of, open_account, problem, withdraw

LARGEST = 2**53 - 1


def test_an_account_from_its_opening_to_its_end(api):
    account_id = open_account(api)
    account = f"/api/accounts/{account_id}"
    steps = [
        ("deposits", {"amount": 500, "currency": "USD"}, 500),
        ("freeze", {"reason": "a look"}, 500),
        ("unfreeze", {}, 500),
        ("withdrawals", {"amount": 500, "currency": "USD"}, 0),
        ("close", {"reason": "owner's wish"}, 0),
    ]
    for version, (step, content, balance) in enumerate(steps, start=2):
        response = api.post(f"{account}/{step}", json=content)
        assert response.status_code == 201, response.text
        assert (response.json()["version"], response.json()["balance"]) == (version, balance)
        assert response.headers["ETag"] == f'"{version}"'
        assert response.headers["Content-Type"] == "application/json"
    assert [event.event_type for event in events_of(account_id)] == [
        "AccountCreated",
        "MoneyDeposited",
        "AccountFrozen",
        "AccountUnfrozen",
        "MoneyWithdrawn",
        "AccountClosed",
    ]


def test_what_surrounds_a_command_is_kept_with_its_event(api):
    account_id = open_account(api)
    key = str(uuid4())
    response = deposit(
        api,
        account_id,
        headers={"X-Correlation-Id": "corr-1", "Idempotency-Key": f'"{key}"'},
        actor="teller 7",
        description="Rent, März",
        metadata={"invoice": "2026/3"},
        transactionId="txn 1/2",
    )
    assert response.status_code == 201
    event = events_of(account_id)[-1]
    assert event.metadata == {"correlationId": "corr-1", "commandId": key, "onBehalfOf": "teller 7"}
    assert event.data["description"] == "Rent, März"
    assert event.data["metadata"] == {"invoice": "2026/3"}
    assert event.data["transactionId"] == "txn 1/2"
    assert event.data["contra"] == "external"


def test_a_request_without_ids_gets_one_and_starts_a_correlation(api):
    account_id = open_account(api)
    response = deposit(api, account_id)
    assert events_of(account_id)[-1].metadata == {"correlationId": response.headers["X-Request-Id"]}
    assert deposit(api, account_id, headers={"X-Request-Id": "req-1"}).headers["X-Request-Id"] == "req-1"


@pytest.mark.parametrize(("currency", "exponent"), [("USD", 2), ("JPY", 0), ("BHD", 3)])
def test_amounts_are_in_minor_units_and_the_answer_says_of_what(api, currency, exponent):
    account_id = open_account(api, currency=currency)
    answer = deposit(api, account_id, amount=1234, currency=currency).json()
    assert (answer["balance"], answer["currency"], answer["currencyExponent"]) == (1234, currency, exponent)


@pytest.mark.parametrize(
    ("prepare", "step", "content", "code"),
    [
        ((), "withdrawals", {"amount": 1001, "currency": "USD"}, "insufficient_funds"),
        ((), "deposits", {"amount": LARGEST, "currency": "USD"}, "balance_limit_exceeded"),
        ((), "deposits", {"amount": 1, "currency": "EUR"}, "currency_mismatch"),
        ((), "unfreeze", {}, "account_not_frozen"),
        ((), "close", {}, "balance_not_zero"),
        (("freeze",), "withdrawals", {"amount": 1, "currency": "USD"}, "account_frozen"),
        (("freeze",), "deposits", {"amount": 1, "currency": "USD"}, "account_frozen"),
    ],
)
def test_what_the_rules_refuse_leaves_no_event(api, prepare, step, content, code):
    account_id = open_account(api, balance=1000)
    for earlier in prepare:
        assert api.post(f"/api/accounts/{account_id}/{earlier}", json={}).status_code == 201
    before = events_of(account_id)
    document = problem(api.post(f"/api/accounts/{account_id}/{step}", json=content), status=422, code=code)
    assert document["accountId"] == account_id
    assert events_of(account_id) == before


def test_a_closed_account_takes_nothing(api):
    account_id = open_account(api)
    assert api.post(f"/api/accounts/{account_id}/close", json={}).status_code == 201
    problem(deposit(api, account_id), status=422, code="account_closed")
    problem(api.post(f"/api/accounts/{account_id}/freeze", json={}), status=422, code="account_closed")


def test_an_account_is_opened_once(api):
    account_id = open_account(api)
    content = {"accountId": account_id, "ownerId": "somebody-else", "currency": "EUR"}
    document = problem(api.post("/api/accounts", json=content), status=409, code="account_exists")
    assert account_id in document["detail"]
    assert len(events_of(account_id)) == 1


def test_an_unknown_account_is_not_found(api):
    account_id = f"acc-{uuid4()}"
    for response in (deposit(api, account_id), api.post(f"/api/accounts/{account_id}/close", json={})):
        problem(response, status=404, code="account_not_found")
    assert events_of(account_id) == []
    for read in ("", "/balance", "/history"):
        problem(api.get(f"/api/accounts/{account_id}{read}"), status=404, code="account_not_found")


def test_the_expected_version_is_kept_to(api):
    account_id = open_account(api)
    first = deposit(api, account_id, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["ETag"]) == (201, '"2"')
    second = deposit(api, account_id, headers={"If-Match": first.headers["ETag"]})
    assert second.status_code == 201
    assert deposit(api, account_id, expectedVersion=3).status_code == 201

    for stale in (deposit(api, account_id, expectedVersion=3), deposit(api, account_id, headers={"If-Match": '"3"'})):
        document = problem(stale, status=409, code="version_conflict")
        assert (document["expectedVersion"], document["actualVersion"]) == (3, 4)
    problem(deposit(api, account_id, expectedVersion=9), status=409, code="version_conflict")
    assert len(events_of(account_id)) == 4


def test_an_account_can_be_expected_not_to_exist(api):
    account_id = f"acc-{uuid4()}"
    content = {"accountId": account_id, "ownerId": "user-1", "currency": "USD", "expectedVersion": 0}
    assert api.post("/api/accounts", json=content).status_code == 201
    problem(api.post("/api/accounts", json=content), status=409, code="version_conflict")


@pytest.mark.parametrize("header", ["*", 'W/"1"', '"1", "2"', "abc"])
def test_an_if_match_that_names_no_version_is_refused(api, header):
    account_id = open_account(api)
    document = problem(deposit(api, account_id, headers={"If-Match": header}), status=400, code="validation_error")
    assert [error["header"] for error in document["errors"]] == ["If-Match"]
    assert len(events_of(account_id)) == 1


def test_a_request_that_contradicts_itself_is_refused(api):
    account_id = open_account(api)
    version = deposit(api, account_id, headers={"If-Match": '"1"'}, expectedVersion=2)
    key = deposit(api, account_id, headers={"Idempotency-Key": "a"}, commandId="b")
    assert problem(version, status=400, code="validation_error")["errors"][0]["header"] == "If-Match"
    assert problem(key, status=400, code="validation_error")["errors"][0]["header"] == "Idempotency-Key"
    assert len(events_of(account_id)) == 1


def test_an_answer_over_the_limit_of_a_balance_is_not_given(api):
    account_id = open_account(api, balance=LARGEST)
    document = problem(deposit(api, account_id, amount=1), status=422, code="balance_limit_exceeded")
    assert document["amount"] == 1
    assert withdraw(api, account_id, amount=LARGEST).json()["balance"] == 0


def test_chunked_content_is_read(api):
    account_id = f"acc-{uuid4()}"
    content = [b'{"accountId": "', account_id.encode(), b'", "ownerId": "user-1", ', b'"currency": "USD"}']
    headers = {"Content-Type": "application/json"}
    assert api.post("/api/accounts", content=iter(content), headers=headers).status_code == 201
    problem(api.post("/api/accounts", content=iter([b""]), headers=headers), status=400, code="malformed_json")
