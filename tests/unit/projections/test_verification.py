"""The parts of a verification that need no database: ranges of streams, the books, and what is told of a difference."""

from collections.abc import Generator

import pytest

from accounts.domain.account import Account, AccountStatus
from accounts.domain.events import MoneyDeposited, MoneyWithdrawn
from projections.verification.books import Books, bucket_of
from projections.verification.canonical import canonical, canonical_text
from projections.verification.differences import KEPT_OF_A_STREAM, Findings, Report, difference
from projections.verification.sorted_rows import SortedRows, StreamRange
from transfers.domain.events import TransferCompleted, TransferDebited, TransferInitiated
from transfers.domain.transfer import Transfer

ORDER = TransferInitiated(
    transfer_id="trf-1", source_account_id="a", destination_account_id="b", amount=5, currency="USD"
)


def moved(kind: type, account_id: str, amount: int, contra: str = "transit", transfer_id: str | None = "trf-1"):
    return kind(account_id=account_id, amount=amount, currency="USD", contra=contra, transfer_id=transfer_id)


def account(account_id: str, balance: int) -> Account:
    return Account(account_id=account_id, currency="USD", balance=balance, status=AccountStatus.ACTIVE)


@pytest.mark.parametrize(
    "streams, within",
    [
        (StreamRange(), StreamRange()),
        (StreamRange(least="account-"), StreamRange()),
        (StreamRange(least="account-b"), StreamRange(least="b")),
        (StreamRange.after("account-b"), StreamRange(least="b\x01")),
        (StreamRange.after("accoun"), StreamRange()),
        (StreamRange.after("account."), None),
        (StreamRange.after("transfer-1"), None),
        (StreamRange.of("account-b"), StreamRange(least="b", most="b")),
        (StreamRange.of("transfer-b"), None),
        (StreamRange(least="a", most="account-c"), StreamRange(most="c")),
        (StreamRange(least="a", most="accoun"), None),
        (StreamRange(least="a", most="b"), StreamRange()),
    ],
)
def test_which_accounts_are_in_a_range_of_streams(streams, within):
    assert streams.within("account-") == within


def test_rows_are_read_stream_by_stream():
    def rows() -> Generator[tuple[str, int], None, None]:
        yield from [("a", 1), ("a", 2), ("c", 3)]

    sorted_rows = SortedRows(rows())
    assert list(sorted_rows.of("0")) == []
    assert (sorted_rows.next_id, list(sorted_rows.of("a"))) == ("a", [1, 2])
    assert list(sorted_rows.of("b")) == []
    sorted_rows.skip("c")
    assert sorted_rows.next_id is None


def test_books_of_a_transfer_on_its_way_and_at_its_end():
    books = Books()
    books.add_event(moved(MoneyDeposited, "a", 9, contra="external", transfer_id=None))
    books.add_event(moved(MoneyWithdrawn, "a", 5))
    under_way = Transfer().apply(ORDER).apply(TransferDebited(transfer_id="trf-1", resume_at="2026-03-22T12:00:00Z"))
    pending, ended = books.copy(), books.copy()

    pending.add_account(account("a", 4))
    pending.add_transfer(under_way)
    assert (list(pending.differences()), pending.bad_buckets()) == ([], [])

    ended.add_event(moved(MoneyDeposited, "b", 5))
    ended.add_account(account("a", 4))
    ended.add_account(account("suspense:USD", 5))
    ended.add_transfer(under_way.apply(TransferCompleted(transfer_id="trf-1")))
    assert (list(ended.differences()), ended.bad_buckets()) == ([], [])
    assert Books.from_json(ended.to_json()) == ended


@pytest.mark.parametrize("movement", [moved(MoneyWithdrawn, "a", 4), moved(MoneyDeposited, "a", 5), None])
def test_a_movement_that_does_not_make_the_transfer(movement):
    books = Books()
    books.add_transfer(
        Transfer().apply(ORDER).apply(TransferDebited(transfer_id="trf-1", resume_at="2026-03-22T12:00:00Z"))
    )
    if movement:
        books.add_event(movement)
    assert books.bad_buckets() == [bucket_of("trf-1")]
    [wrong] = books.differences()
    assert (wrong.check, wrong.key) == ("books", "USD")


def test_documents_that_python_takes_for_equal():
    assert len({canonical({"a": value}) for value in (1, 1.0, True)}) == 3
    assert canonical_text('{"b": 1, "a": 2}') == canonical({"a": 2, "b": 1})
    too_deep = "[" * 2000 + "]" * 2000
    assert canonical_text(too_deep) == too_deep


def test_what_is_told_can_be_stored_whatever_it_is():
    told = difference(check="chain", place="event", key=1, column="data", expected="\0", actual="\ud800" + "x" * 999)
    assert told.expected == "\N{REPLACEMENT CHARACTER}"
    assert told.actual.encode().startswith(b"?xxx")
    assert len(told.actual) == 301


def test_all_differences_are_counted_and_the_first_are_kept():
    findings = Findings(stream_id="account-a")
    for number in range(KEPT_OF_A_STREAM + 5):
        findings.add(check="read_model", place="account_statement", key=number, column="row", expected=1, actual=2)
    assert findings.log_is_sound
    assert len(findings.differences) == KEPT_OF_A_STREAM
    findings.add(check="chain", place="event", key=1, column="hash", expected=b"a", actual=b"b")
    assert not findings.log_is_sound

    report = Report(limit=3)
    report.add_findings(findings)
    assert (report.total, report.remaining, len(report.differences)) == (KEPT_OF_A_STREAM + 6, KEPT_OF_A_STREAM + 6, 3)
    assert len({found.identity for found in findings.differences}) == KEPT_OF_A_STREAM
