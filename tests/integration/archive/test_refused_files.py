"""A file that is not what the bank wrote is refused with the line that shows it, and nothing of it is imported."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError
from django.db import connection

from accounts.handlers import create_account, deposit_money
from eventstore.archive.lines import MAX_LINE_BYTES
from eventstore.chain import canonical_time, event_hash
from eventstore.records import CommandContext, CommandKey, RecordedEvent
from eventstore.store import event_store
from tests.factories import NOON, CreateAccountFactory, DepositMoneyFactory
from tests.integration.archive.files import documents, export, forged, import_lines
from tests.integration.archive.other_banks import bank_like, using

Lines = list[bytes]
Documents = list[dict[str, Any]]

HEADER, FIRST_COMMAND, SECOND_COMMAND, FIRST_EVENT, SECOND_EVENT, THIRD_EVENT, END = 0, 1, 2, 4, 5, 6, 7


def fill(name: str) -> None:
    """Make two accounts, of two events and of one, each under a key."""
    for number in (0, 1):
        create_account(
            command=CreateAccountFactory.build(account_id=f"{name}-{number + 1}"), context=keyed(name, number)
        )
    deposit_money(command=DepositMoneyFactory.build(account_id=f"{name}-1"), context=keyed(name, 2))


def keyed(name: str, number: int) -> CommandContext:
    return CommandContext(key=CommandKey("open", f"{name}-{number}"), fingerprint="as sent")


@pytest.fixture(scope="module")
def exported(model_bank, django_db_blocker, tmp_path_factory) -> Lines:
    """A file of three verdicts and three events."""
    with django_db_blocker.unblock():
        with bank_like(model_bank) as bank, using(bank):
            fill("a")
            return export(tmp_path_factory.mktemp("export") / "bank.jsonl").splitlines(keepends=True)


@pytest.fixture(scope="module")
def empty_bank(model_bank, django_db_blocker) -> Iterator[str]:
    """A bank that stays empty, as all that is brought to it is refused."""
    with django_db_blocker.unblock(), bank_like(model_bank) as name:
        yield name


@pytest.fixture
def refusal(empty_bank, tmp_path) -> Iterator[Callable[..., str]]:
    """Import lines that are refused into an empty bank, and return what is said of them."""

    def refusal(lines: Lines) -> str:
        with pytest.raises(CommandError) as refused:
            import_lines(tmp_path, lines)
        assert str(refused.value).endswith("was refused: nothing was imported")
        assert event_store().head_position() == 0
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM commands")
            assert cursor.fetchone() == (0,)
        return str(refused.value)

    with using(empty_bank):
        yield refusal


def test_the_file_itself_is_good(new_bank, exported, tmp_path):
    with using(new_bank):
        assert import_lines(tmp_path, exported).startswith("3 events and 3 verdicts imported")


def changed(place: int, old: bytes, new: bytes) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        assert lines[place].count(old) >= 1
        return [*lines[:place], lines[place].replace(old, new, 1), *lines[place + 1 :]]

    return change


DAMAGES: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "empty": (lambda lines: [], "line 1: there is none"),
    "header missing": (lambda lines: lines[1:], "line 1: not the first line of a bank-log file"),
    "newer": (
        changed(HEADER, b'"format_version":1', b'"format_version":2'),
        "line 1: format version 2; this release reads version 1",
    ),
    "header of another head": (changed(HEADER, b'"head":3', b'"head":4'), "line 8: the last position is 3, not 4"),
    "header of another beginning": (
        changed(HEADER, b'"after_position":0', b'"after_position":1'),
        "line 1: the log ends at position 0, and the file goes on after 1",
    ),
    "header with more": (changed(HEADER, b'"head":3', b'"head":3,"x":1'), "line 1: missing, or too many: x"),
    "header alone": (lambda lines: lines[:1], "line 2: the file is cut off: its last line is missing"),
    "end missing": (lambda lines: lines[:END], "line 8: the file is cut off: its last line is missing"),
    "cut in a line": (lambda lines: [*lines[:SECOND_EVENT], lines[SECOND_EVENT][:99]], "line 6: the line is cut off"),
    "cut between lines": (lambda lines: lines[:SECOND_EVENT], "line 6: the file is cut off"),
    "amount": (changed(THIRD_EVENT, b'"amount":1000', b'"amount":9000'), "line 7: not as it was written: its seal"),
    "time of recording": (changed(THIRD_EVENT, b'"recorded_at":"20', b'"recorded_at":"19'), "line 7: not as it was"),
    "verdict": (changed(SECOND_COMMAND, b'"refused":false', b'"refused":true'), "line 3: not as it was written"),
    "two events swapped": (
        lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
        "line 5: position 2 stands where 1 is due",
    ),
    "two verdicts swapped": (
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        "line 3: the verdicts are not in the order of their keys",
    ),
    "verdict after events": (
        lambda lines: [lines[0], *lines[2:7], lines[1], lines[7]],
        "line 2: not as it was written",
    ),
    "event twice": (lambda lines: [*lines[:6], lines[5], *lines[6:]], "line 7: position 2 stands where 3 is due"),
    "verdict twice": (lambda lines: [*lines[:3], lines[2], *lines[3:]], "line 4: the verdicts are not in the order"),
    "event missing": (lambda lines: [*lines[:5], *lines[6:]], "line 6: position 3 stands where 2 is due"),
    "verdict missing": (lambda lines: [*lines[:2], *lines[3:]], "line 3: not as it was written"),
    "more after the end": (lambda lines: [*lines, lines[-1]], "line 9: comes after the end"),
    "an empty line": (lambda lines: [*lines[:5], b"\n", *lines[5:]], "line 6: not JSON"),
    "not JSON": (changed(FIRST_EVENT, b'{"kind"', b'{"kind'), "line 5: not JSON"),
    "no object": (lambda lines: [*lines[:5], b"[]\n", *lines[5:]], "line 6: not a JSON object"),
    "not UTF-8": (changed(THIRD_EVENT, b"external", b"\xff\xfe"), "line 7: not JSON"),
    "nested without end": (lambda lines: [*lines[:5], b"[" * 100_000 + b"\n", *lines[5:]], "line 6: not JSON"),
    "kind": (changed(FIRST_EVENT, b'"kind":"event"', b'"kind":["event"]'), "line 5: kind ['event'] is unknown"),
    "huge line": (lambda lines: [*lines[:5], b"x" * (3 * MAX_LINE_BYTES)], "line 6: longer than 1048576 bytes"),
    "one line without end": (lambda lines: [b"0" * (3 * MAX_LINE_BYTES)], "line 1: longer than 1048576 bytes"),
    "header of JSON cut off": (lambda lines: [lines[0][:20]], "line 1: the line is cut off"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(refusal, exported, damage):
    change, said = DAMAGES[damage]
    assert f"\n{said}" in f"\n{refusal(change(exported))}"


FORGERIES: dict[str, tuple[int, dict[str, Any], str]] = {
    "amount": (
        THIRD_EVENT,
        {"data": {"accountId": "a-1", "amount": 1}},
        "line 7: the bank does not know such an event",
    ),
    "reason": (FIRST_EVENT, {"metadata": {"actor": "another"}}, "line 5: its hash is not that of what it says"),
    "time": (FIRST_EVENT, {"occurred_at": "2020-01-01T00:00:00.000000Z"}, "line 5: its hash is not that"),
    "event type": (
        FIRST_EVENT,
        {"event_type": "AccountBurnt"},
        "line 5: the bank does not know such an event: Account",
    ),
    "schema version": (THIRD_EVENT, {"schema_version": 99}, "MoneyDeposited, schema version 99"),
    "stream of no kind": (FIRST_EVENT, {"stream_id": "thing-1"}, "line 5: the bank knows no stream like 'thing-1'"),
    "stream of another": (FIRST_EVENT, {"stream_id": "account-x"}, "line 5: it stands in account-x, and is of a-1"),
    "version": (THIRD_EVENT, {"version": 3}, "line 7: version 3 of account-a-1 comes without the one before it"),
    "version again": (THIRD_EVENT, {"version": 1}, "line 7: its hash is not that"),
    "version 0": (THIRD_EVENT, {"version": 0}, "line 7: version: not above 0"),
    "NUL": (FIRST_EVENT, {"metadata": {"actor": "\0"}}, "line 5: metadata: it.actor: NUL in text"),
    "NUL in a name": (FIRST_EVENT, {"stream_id": "account-\0"}, "line 5: stream_id: text: NUL in text"),
    "NUL in a verdict": (FIRST_COMMAND, {"result": {"\0": 1}}, "line 2: result: it: NUL in text"),
    "fraction": (FIRST_EVENT, {"metadata": {"n": 0.5}}, "line 5: metadata: it.n: float is not exact in JSON"),
    "huge number": (FIRST_EVENT, {"metadata": {"n": 2**60}}, "line 5: metadata: it.n: number beyond 2^53-1"),
    "huge position": (FIRST_EVENT, {"position": 2**63}, "line 5: position: not a whole number from 0 to 2^53-1"),
    "huge version": (FIRST_EVENT, {"schema_version": 2**31}, "line 5: schema_version: too large"),
    "truth as a number": (FIRST_EVENT, {"version": True}, "line 5: version: not a whole number"),
    "id": (FIRST_EVENT, {"event_id": "1"}, "line 5: event_id: "),
    "id in capitals": (FIRST_EVENT, {"event_id": str(uuid4()).upper()}, "line 5: event_id: not written as the bank"),
    "data": (FIRST_EVENT, {"data": []}, "line 5: data: it: not an object"),
    "a time without zone": (
        FIRST_EVENT,
        {"occurred_at": "2026-03-22T10:00:00.000000"},
        "line 5: occurred_at: not writ",
    ),
    "no time": (FIRST_EVENT, {"occurred_at": "never"}, "line 5: occurred_at: "),
    "a time before all times": (
        FIRST_EVENT,
        {"occurred_at": "0001-01-01T00:00:00.000000+14:00"},
        "line 5: occurred_at: ",
    ),
    "hash": (FIRST_EVENT, {"hash": "00"}, "line 5: hash: not 64 hexadecimal digits"),
    "one too many": (FIRST_EVENT, {"more": 1}, "line 5: missing, or too many: more"),
    "no key": (FIRST_COMMAND, {"key": ""}, "line 2: key: empty"),
    "refused": (FIRST_COMMAND, {"refused": 0}, "line 2: refused: neither true nor false"),
    "positions": (FIRST_COMMAND, {"first_position": 2, "last_position": 1}, "line 2: first_position and last_position"),
    "half of positions": (FIRST_COMMAND, {"first_position": None}, "line 2: first_position and last_position do not"),
    "beyond the head": (FIRST_COMMAND, {"last_position": 4}, "line 2: first_position and last_position do not"),
    "count": (END, {"events": 4}, "line 8: the end counts 3 verdicts and 4 events, but there are 3 and 3"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_whose_seals_fit(refusal, exported, forgery):
    place, replacement, said = FORGERIES[forgery]
    written = documents(b"".join(exported))
    written[place] |= replacement
    assert said in refusal(forged(written))


def rechained(event: dict[str, Any], previous_hash: bytes) -> dict[str, Any]:
    """Return the document of an event with the hash that it should have."""
    facts = {name: event[name] for name in ("stream_id", "version", "event_id", "event_type", "schema_version")}
    record = RecordedEvent(
        **facts,
        data=event["data"],
        metadata=event["metadata"],
        occurred_at=NOON,
        recorded_at=NOON,
        position=event["position"],
        hash=b"",
    )
    link = event_hash(previous_hash=previous_hash, stream_id=event["stream_id"], version=event["version"], event=record)
    return event | {"occurred_at": canonical_time(NOON), "hash": link.hex()}


def test_an_event_dated_before_its_predecessor(refusal, exported):
    written = documents(b"".join(exported))
    written[THIRD_EVENT] = rechained(written[THIRD_EVENT], bytes.fromhex(written[FIRST_EVENT]["hash"]))
    assert "line 7: it is dated before version 1 of account-a-1" in refusal(forged(written))


def test_all_lines_that_are_wrong_by_themselves_are_told_up_to_a_limit(refusal, exported):
    written = documents(b"".join(exported))
    for place in (FIRST_COMMAND, FIRST_EVENT, THIRD_EVENT):
        written[place]["recorded_at"] = "never"
    said = refusal(forged(written)).splitlines()
    assert [line.split(":")[0] for line in said[:3]] == ["line 2", "line 5", "line 6"]
    many = refusal([*exported[:-1], *[b"{}\n"] * 5_000]).splitlines()
    assert len(many) == 21


def test_a_bank_with_other_events_at_those_positions(new_bank, exported, tmp_path):
    with using(new_bank):
        fill("b")
        with pytest.raises(CommandError, match="line 5: the log holds another event at position 1\n"):
            import_lines(tmp_path, exported)
        assert event_store().head_position() == 3


def test_a_bank_with_other_events_at_those_versions(new_bank, exported, tmp_path):
    with using(new_bank):
        fill("a")
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE commands DISABLE TRIGGER USER")
            cursor.execute("DELETE FROM commands")
        with pytest.raises(CommandError, match="line 5: the log holds another event as version 1 of account-a-1\n"):
            import_lines(tmp_path, exported)


def test_a_bank_with_another_verdict_under_a_key(new_bank, exported, tmp_path):
    with using(new_bank):
        context = CommandContext(key=CommandKey("open", "a-1"), fingerprint="another")
        create_account(command=CreateAccountFactory.build(), context=context)
        with pytest.raises(CommandError, match="line 3: the log holds another verdict under key 'a-1'\n"):
            import_lines(tmp_path, exported)


def test_a_bank_that_has_the_events_with_other_times(new_bank, exported, tmp_path):
    with using(new_bank):
        import_lines(tmp_path, exported)
        written = documents(b"".join(exported))
        written[FIRST_EVENT]["recorded_at"] = canonical_time(NOON)
        with pytest.raises(CommandError, match="line 5: the log holds this event at another position, or recorded at"):
            import_lines(tmp_path, forged(written))


def test_a_file_that_goes_on_from_another_bank(new_bank, other_new_bank, exported, tmp_path):
    with using(other_new_bank):
        import_lines(tmp_path, exported)
        fill("b")
        rest = export(tmp_path / "rest.jsonl", after=3).splitlines(keepends=True)
    with using(new_bank):
        fill("c")
        with pytest.raises(CommandError, match="line 1: the file goes on after another event than the log holds at po"):
            import_lines(tmp_path, rest)
        assert event_store().head_position() == 3
