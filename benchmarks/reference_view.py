"""What HTTP rows are compared with: a bare view that parses JSON and does one append, shared with others, and no more.

No token, no key, no validation, no domain, no state, no throttle, no metric and no log line: what a bank on this
server and this log could reach if all that made it a bank were free.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from uuid import uuid4

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from eventstore.chain import chain_hashes
from eventstore.records import Appended, AppendResult, Commit, NewEvent, StreamAppend
from eventstore.store import event_store
from eventstore.waiting import new_waiter

MAX_BATCH = 128


class _Waiting:
    """One request's commit, and whoever waits for what becomes of it."""

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self.result: AppendResult | Exception | None = None
        self.waiter = new_waiter()


class SharedAppends:
    """Lets requests that come while an append is under way share the next one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[_Waiting] = []
        self._is_busy = False

    def append(self, commit: Commit) -> AppendResult:
        """Append `commit` with others; return what became of it."""
        mine = _Waiting(commit)
        with self._lock:
            self._waiting.append(mine)
            leads, self._is_busy = not self._is_busy, True
        if leads:
            # As a fiber it would else be alone each time: the others come to be fibers when this one leaves.
            mine.waiter.let_the_ready_go_first()
        else:
            mine.waiter.wait(timeout_seconds=None)
        # Woken with a result, or without one, to lead.
        if mine.result is None:
            self._lead()
        if isinstance(mine.result, Exception):
            raise mine.result
        if mine.result is None:
            raise AssertionError("a leader's own commit is in its batch")
        return mine.result

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        results: Sequence[AppendResult | Exception]
        try:
            results = event_store().append([waiting.commit for waiting in batch])
        except Exception as error:
            results = [error] * len(batch)
        for waiting, result in zip(batch, results, strict=True):
            waiting.result = result
        with self._lock:
            heir = self._waiting[0] if self._waiting else None
            self._is_busy = heir is not None
        if heir:
            heir.waiter.wake()
        for waiting in batch[1:]:
            waiting.waiter.wake()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """An account that only this process writes to, one request at a time: so its next event needs no look at it."""

    account_id: str
    version: int
    hash: bytes


_shared = SharedAppends()
_idle_accounts: defaultdict[str, deque[_Account]] = defaultdict(deque)


@csrf_exempt
def deposit(request: HttpRequest, account_id: str) -> HttpResponse:
    """Append the request as one deposit, on the account that this process keeps for the one that the path names.

    So as many accounts are written to, in the same order, as by the bank: the log and the projections have the same
    work with both.
    """
    fields = orjson.loads(request.body)
    idle = _idle_accounts[account_id]
    try:
        account = idle.popleft()
    except IndexError:
        # There is none yet, or another request has it just now: from then on there are two.
        account = _new_account()
    account, position = _appended(account, "MoneyDeposited", 2, {**fields, "contra": "external"})
    idle.append(account)
    content = orjson.dumps({"status": "accepted", "position": position})
    return HttpResponse(content, status=201, content_type="application/json")


def bare(request: HttpRequest) -> HttpResponse:
    """Answer at once: what the web server and Django take alone."""
    return HttpResponse(b"{}", content_type="application/json")


def _new_account() -> _Account:
    account = _Account(account_id=f"reference-{uuid4()}", version=0, hash=b"")
    account, _ = _appended(account, "AccountCreated", 1, {"ownerId": "bench", "currency": "USD"})
    return account


def _appended(
    account: _Account, event_type: str, schema_version: int, fields: Mapping[str, Any]
) -> tuple[_Account, int]:
    stream_id = f"account-{account.account_id}"
    event = NewEvent(
        event_id=uuid4(),
        event_type=event_type,
        schema_version=schema_version,
        data={"accountId": account.account_id, **fields},
        metadata={"actor": "bench"},
        occurred_at=datetime.now(UTC),
    )
    [link] = hashes = chain_hashes(
        stream_id=stream_id, version=account.version, previous_hash=account.hash, events=[event]
    )
    stream = StreamAppend(stream_id=stream_id, expected_version=account.version, events=(event,), hashes=hashes)
    commit = Commit(streams=(stream,))
    if settings.REFERENCE_APPENDS == "shared":
        result = _shared.append(commit)
    else:
        [result] = event_store().append([commit])
    if not isinstance(result, Appended) or result.last_position is None:
        raise AssertionError(result)
    return replace(account, version=account.version + 1, hash=link), result.last_position


urlpatterns = [path("api/accounts/<str:account_id>/deposits", deposit), path("bare", bare)]
