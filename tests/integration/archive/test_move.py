"""A bank is moved: exported, imported into an empty one, and is the same there."""

from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from knox.auth import TokenAuthentication
from rest_framework.test import APIRequestFactory

from accounts.handlers import create_account, deposit_money, freeze_account, withdraw_money
from accounts.repository import account_stream_id
from bank.models import AccountGrant
from eventstore.chain import event_hash
from eventstore.records import CommandContext, CommandKey, RecordedEvent
from eventstore.store import event_store
from projections.lag import projection_lags
from projections.operations import record_act
from projections.runner import catch_up
from tests.factories import (
    CreateAccountFactory,
    DepositMoneyFactory,
    FreezeAccountFactory,
    InitiateTransferFactory,
    WithdrawMoneyFactory,
)
from tests.integration.archive.files import documents, export, import_file
from tests.integration.archive.other_banks import using
from tests.integration.projections.account_log import assert_read_models_match
from tests.integration.transfers.settlements import no_settlements
from tests.journeys.principals import bearer, issue_token
from tests.own_bank import PROJECT_DIR
from tests.transfer_books import OPEN, books_of, transfer, transfer_id_of
from transfers.domain.commands import InitiateTransfer
from transfers.handlers import initiate_transfer, resume_transfer
from transfers.in_flight import due_transfers


def keyed(**more) -> CommandContext:
    return CommandContext(key=CommandKey("client:7", str(uuid4())), fingerprint="as sent", **more)


def opened(account_id: str, balance: int) -> str:
    create_account(command=CreateAccountFactory.build(account_id=account_id), context=keyed())
    if balance:
        deposit_money(command=DepositMoneyFactory.build(account_id=account_id, amount=balance), context=keyed())
    return account_id


def fill_bank(settings) -> str:
    """Do some of all that a bank does, and return the transfer whose money is in flight."""
    a, b, c = (opened(account_id, 10_000) for account_id in ("a", "b", "c"))
    note = {"description": 'señal — ✓ \N{PILE OF POO} \\ " \u2028', "metadata": {"clé": "värde"}}
    withdraw_money(
        command=WithdrawMoneyFactory.build(account_id=a, **note), context=keyed(metadata={"actor": "teller"})
    )
    transfer(a, b, 500, keyed())
    transfer(a, "nobody", 500, keyed())
    settings.TRANSFER_STEPS = "apart"
    settings.TRANSFER_RESUME_SECONDS = 0
    transfer(b, c, 70, keyed())
    with no_settlements():
        in_flight = transfer_id_of(transfer(c, a, 30, keyed()))
    freeze_account(command=FreezeAccountFactory.build(account_id=b), context=keyed())
    record_act(event_type="RebuildRequested", data={"projection": "all"}, metadata={"actor": "operator"})
    return in_flight


def whole_log() -> list[RecordedEvent]:
    return event_store().read_all(after_position=0, limit=10_000)


def table(name: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name} ORDER BY 1, 2")
        return cursor.fetchall()


def assert_chained(events: list[RecordedEvent]) -> None:
    links: dict[str, bytes] = {}
    for position, event in enumerate(events, start=1):
        assert event.position == position
        previous_hash = links.get(event.stream_id, b"")
        links[event.stream_id] = event_hash(
            previous_hash=previous_hash, stream_id=event.stream_id, version=event.version, event=event
        )
        assert event.hash == links[event.stream_id]


def test_all_of_a_bank_is_the_same_where_it_was_moved_to(new_bank, other_new_bank, settings, tmp_path):
    with using(new_bank):
        in_flight = fill_bank(settings)
        exported = export(tmp_path / "bank.jsonl")
        events, verdicts, listed = whole_log(), table("commands"), table("transfers_in_flight")

    with using(other_new_bank):
        assert import_file(tmp_path / "bank.jsonl").startswith(f"{len(events)} events and {len(verdicts)} verdicts")
        assert whole_log() == events
        assert_chained(events)
        assert table("commands") == verdicts
        assert table("transfers_in_flight") == listed
        assert len(listed) == 1

        again = export(tmp_path / "again.jsonl")
        assert exported.split(b"\n")[1:] == again.split(b"\n")[1:]
        [first, *_], [first_again, *_] = documents(exported), documents(again)
        assert {**first, "exported_at": ""} == {**first_again, "exported_at": ""}

        catch_up()
        assert {(lag.position, lag.parked_streams) for lag in projection_lags()} == {(len(events), 0)}
        assert_read_models_match([account_stream_id(account_id) for account_id in "abc"])
        call_command("verify")
        assert due_transfers(limit=10) == [in_flight]
        assert resume_transfer(transfer_id=in_flight).state == "COMPLETED"
        assert table("transfers_in_flight") == []
        assert books_of(whole_log()).balance()


def test_a_retry_of_an_old_key_is_replayed(new_bank, other_new_bank, tmp_path):
    accepted, refused = keyed(), keyed()
    deposit, withdrawal = DepositMoneyFactory.build(account_id="a"), WithdrawMoneyFactory.build(account_id="a")
    too_much = WithdrawMoneyFactory.build(account_id="a", amount=5_000)
    order: InitiateTransfer = InitiateTransferFactory.build(source_account_id="a", destination_account_id="b", amount=1)
    sent = keyed()
    with using(new_bank):
        opened("a", 0), opened("b", 0)
        before = [
            deposit_money(command=deposit, context=accepted),
            withdraw_money(command=too_much, context=refused),
            initiate_transfer(command=order, context=sent),
        ]
        deposit_money(command=DepositMoneyFactory.build(account_id="a", amount=9_000), context=OPEN)
        export(tmp_path / "bank.jsonl")
    with using(other_new_bank):
        import_file(tmp_path / "bank.jsonl")
        head = event_store().head_position()
        after = [
            deposit_money(command=deposit, context=accepted),
            withdraw_money(command=too_much, context=refused),
            initiate_transfer(command=order, context=sent),
        ]
        assert [outcome.replayed for outcome in after] == [True] * 3
        assert [outcome.result for outcome in after] == [outcome.result for outcome in before]
        assert event_store().head_position() == head
        assert not withdraw_money(command=withdrawal, context=keyed()).refused


def test_principals_travel_with_their_ids_tokens_and_grants(new_bank, other_new_bank, settings, tmp_path):
    """As docs/operations.md says: the log knows principals by their ids."""
    what = ("auth.user", "knox.authtoken", "bank.accountgrant")
    assert f"dumpdata {' '.join(what)} --natural-foreign" in (PROJECT_DIR / "docs" / "operations.md").read_text()
    file = str(tmp_path / "principals.json")
    with using(new_bank):
        issue_token("first")
        get_user_model().objects.get(username="first").delete()
        token = issue_token("shop", role="teller")
        client = get_user_model().objects.get(username="shop")
        AccountGrant.objects.create(client=client, account_id="a")
        call_command("dumpdata", *what, use_natural_foreign_keys=True, output=file, verbosity=0)
    with using(other_new_bank):
        call_command("loaddata", file, verbosity=0)
        assert client.pk > 1
        request = APIRequestFactory().get("/", headers=bearer(token))
        user, _ = TokenAuthentication().authenticate(request)
        assert (user.pk, user.username) == (client.pk, "shop")
        assert [group.name for group in user.groups.all()] == ["teller"]
        assert AccountGrant.objects.get().client_id == client.pk
        issue_token("next")
        assert get_user_model().objects.get(username="next").pk > client.pk


def test_the_same_file_again_brings_nothing_new(new_bank, other_new_bank, settings, tmp_path):
    with using(new_bank):
        fill_bank(settings)
        export(tmp_path / "bank.jsonl")
        head = event_store().head_position()
        assert import_file(tmp_path / "bank.jsonl").startswith(f"nothing new: {head} events")
        # Not even by a bank that has gone on since.
        opened("later", 5)
        assert import_file(tmp_path / "bank.jsonl").startswith(f"nothing new: {head} events")
        assert event_store().head_position() == head + 2


def test_a_bank_is_moved_in_parts(new_bank, other_new_bank, settings, tmp_path):
    with using(new_bank):
        opened("first", 10)
        export(tmp_path / "first.jsonl")
        middle = event_store().head_position()
        fill_bank(settings)
        withdraw_money(command=WithdrawMoneyFactory.build(account_id="first", amount=11), context=keyed())
        rest = export(tmp_path / "rest.jsonl", after=middle)
        whole = export(tmp_path / "whole.jsonl")
        events = whole_log()
        nothing = export(tmp_path / "nothing.jsonl", after=len(events))
    assert [document["position"] for document in documents(rest) if document["kind"] == "event"] == list(
        range(middle + 1, len(events) + 1)
    )
    assert {"event"} & {document["kind"] for document in documents(nothing)} == set()

    with using(other_new_bank):
        with pytest.raises(CommandError, match="line 1: the log ends at position 0, and the file goes on after 2\n"):
            import_file(tmp_path / "rest.jsonl")
        import_file(tmp_path / "first.jsonl")
        import_file(tmp_path / "rest.jsonl")
        assert import_file(tmp_path / "nothing.jsonl").startswith("nothing new")
        assert whole_log() == events
        assert export(tmp_path / "again.jsonl").split(b"\n")[1:] == whole.split(b"\n")[1:]
        assert import_file(tmp_path / "whole.jsonl").startswith("nothing new")


def test_a_whole_file_brings_what_a_part_of_it_did_not(new_bank, other_new_bank, settings, tmp_path):
    with using(new_bank):
        opened("first", 10)
        export(tmp_path / "first.jsonl")
        fill_bank(settings)
        export(tmp_path / "whole.jsonl")
        events = whole_log()
    with using(other_new_bank):
        import_file(tmp_path / "first.jsonl")
        assert import_file(tmp_path / "whole.jsonl").startswith(f"{len(events) - 2} events")
        assert whole_log() == events


def test_a_log_with_a_hole_is_not_exported(new_bank, tmp_path):
    with using(new_bank):
        opened("a", 10)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE events DISABLE TRIGGER USER")
            cursor.execute("DELETE FROM events WHERE position = 1")
        with pytest.raises(CommandError, match="no event at position 1"):
            export(tmp_path / "bank.jsonl")
        assert list(tmp_path.iterdir()) == []


def test_a_file_is_there_when_it_is_whole(new_bank, tmp_path, monkeypatch):
    path = tmp_path / "bank.jsonl"
    path.write_text("of yesterday")
    with using(new_bank):
        opened("a", 10)
        with monkeypatch.context() as patched, pytest.raises(RuntimeError):
            patched.setattr("eventstore.archive.export.end_document", lambda **_: (_ for _ in ()).throw(RuntimeError))
            export(path)
        assert path.read_text() == "of yesterday"
        assert list(tmp_path.iterdir()) == [path]
        export(path)
    assert documents(path.read_bytes())[-1]["events"] == 2
    assert path.stat().st_mode & 0o077 == 0


def test_what_cannot_be_exported_is_said(new_bank, tmp_path):
    with using(new_bank):
        with pytest.raises(CommandError, match="the log ends at position 0"):
            export(tmp_path / "bank.jsonl", after=1)
        with pytest.raises(CommandError, match="must not be below 0"):
            export(tmp_path / "bank.jsonl", after=-1)
        with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
            export(tmp_path / "nowhere" / "bank.jsonl")
        export(tmp_path / "bank.jsonl")
        assert import_file(tmp_path / "bank.jsonl").startswith("nothing new: 0 events")
    assert list(tmp_path.iterdir()) == [tmp_path / "bank.jsonl"]
