"""The hash chain, and which documents the log keeps unchanged."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.chain import MAX_DEPTH, MAX_WHOLE_NUMBER, canonical_time, chain_hashes, check_json, event_hash
from eventstore.exceptions import InvalidAppend, InvalidEventData
from eventstore.records import NewEvent, RecordedEvent
from tests.factories import NewEventFactory

EVENT = NewEvent(
    event_id=UUID("00000000-0000-4000-8000-000000000001"),
    event_type="MoneyDeposited",
    schema_version=2,
    data={"currency": "USD", "amount": 1000, "note": "Grüße 💸", "list": [True, None, {}]},
    metadata={"actor": "amy"},
    occurred_at=datetime(2026, 3, 22, 10, 0, 0, 120, tzinfo=UTC),
)
CANONICAL = (
    '{"data":{"amount":1000,"currency":"USD","list":[true,null,{}],"note":"Grüße 💸"},'
    '"event_id":"00000000-0000-4000-8000-000000000001","event_type":"MoneyDeposited","metadata":{"actor":"amy"},'
    '"occurred_at":"2026-03-22T10:00:00.000120Z","schema_version":2,"stream_id":"account-1","version":7}'
)
PREVIOUS_HASH = bytes(range(32))


def hash_of(event: NewEvent | RecordedEvent = EVENT, **where: Any) -> bytes:
    """Return the hash of an event at its usual place, or `where` else it is said to be."""
    place: dict[str, Any] = {"previous_hash": PREVIOUS_HASH, "stream_id": "account-1", "version": 7} | where
    return event_hash(event=event, **place)


def nested(levels: int) -> dict[str, Any]:
    """Return an object around which nothing can be put any more if `levels` is the deepest allowed."""
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"in": document}
    return document


class TestEventHash:
    """sha256 over the previous hash and the canonical JSON."""

    def test_the_hash_is_the_digest_of_the_canonical_json(self):
        assert hash_of() == hashlib.sha256(PREVIOUS_HASH + CANONICAL.encode()).digest()

    def test_the_first_event_has_nothing_before_it(self):
        canonical = CANONICAL.replace('"version":7', '"version":1')
        assert hash_of(previous_hash=b"", version=1) == hashlib.sha256(canonical.encode()).digest()

    @pytest.mark.parametrize(
        "change",
        [
            {"event_id": UUID(int=7)},
            {"event_type": "MoneyWithdrawn"},
            {"schema_version": 3},
            {"data": {**EVENT.data, "amount": 1001}},
            {"data": {**EVENT.data, "amount": "1000"}},
            {"data": {**EVENT.data, "list": [None, True, {}]}},
            {"data": {**EVENT.data, "more": None}},
            {"metadata": {"actor": "bob"}},
            {"metadata": {}},
            {"data": EVENT.metadata, "metadata": EVENT.data},
            {"occurred_at": EVENT.occurred_at + timedelta(microseconds=1)},
        ],
        ids=str,
    )
    def test_a_change_of_the_event_changes_the_hash(self, change: dict[str, Any]):
        assert hash_of(replace(EVENT, **change)) != hash_of()

    @pytest.mark.parametrize(
        "where", [{"previous_hash": bytes(32)}, {"stream_id": "account-2"}, {"version": 8}], ids=str
    )
    def test_a_change_of_place_changes_the_hash(self, where: dict[str, Any]):
        assert hash_of(**where) != hash_of()

    def test_the_order_of_keys_does_not_change_the_hash(self):
        assert hash_of(replace(EVENT, data=dict(reversed(list(EVENT.data.items()))))) == hash_of()

    def test_a_tuple_hashes_as_the_list_it_becomes(self):
        assert hash_of(replace(EVENT, data={**EVENT.data, "list": (True, None, {})})) == hash_of()

    def test_the_time_zone_of_the_writer_does_not_change_the_hash(self):
        in_tokyo = EVENT.occurred_at.astimezone(timezone(timedelta(hours=9)))
        assert hash_of(replace(EVENT, occurred_at=in_tokyo)) == hash_of()
        assert canonical_time(in_tokyo) == "2026-03-22T10:00:00.000120Z"

    def test_an_event_hashes_the_same_before_and_after_it_is_recorded(self):
        recorded = RecordedEvent(
            event_id=EVENT.event_id,
            stream_id="account-1",
            version=7,
            position=99,
            event_type=EVENT.event_type,
            schema_version=EVENT.schema_version,
            data=EVENT.data,
            metadata=EVENT.metadata,
            occurred_at=EVENT.occurred_at,
            recorded_at=datetime(2026, 3, 23, tzinfo=UTC),
            hash=b"",
        )
        assert hash_of(recorded) == hash_of()

    @pytest.mark.parametrize("field", ["data", "metadata"])
    def test_what_the_log_cannot_keep_is_not_hashed(self, field: str):
        refused: dict[str, Any] = {field: {"amount": 1.0}}
        with pytest.raises(InvalidEventData) as raised:
            hash_of(replace(EVENT, **refused))
        assert raised.value.path == f"{field}.amount"


class TestChainHashes:
    """The links of several events."""

    def test_each_link_holds_the_one_before(self):
        events = NewEventFactory.build_batch(3)
        links = chain_hashes(stream_id="account-1", version=4, previous_hash=PREVIOUS_HASH, events=events)
        previous_hash = PREVIOUS_HASH
        for version, (event, link) in enumerate(zip(events, links, strict=True), start=5):
            assert link == hash_of(event, previous_hash=previous_hash, version=version)
            previous_hash = link

    def test_a_chain_goes_on_where_it_was_left(self):
        events = NewEventFactory.build_batch(4)
        whole = chain_hashes(stream_id="account-1", version=0, previous_hash=b"", events=events)
        rest = chain_hashes(stream_id="account-1", version=2, previous_hash=whole[1], events=events[2:])
        assert whole[2:] == rest

    def test_no_events_have_no_links(self):
        assert chain_hashes(stream_id="account-1", version=4, previous_hash=PREVIOUS_HASH, events=()) == ()


class TestCheckJson:
    """What jsonb would refuse or change."""

    @pytest.mark.parametrize(
        "document, path",
        [
            ({"amount": 1.5}, "data.amount"),
            ({"amount": 1.0}, "data.amount"),
            ({"amount": float("nan")}, "data.amount"),
            ({"amount": float("-inf")}, "data.amount"),
            ({"amount": MAX_WHOLE_NUMBER + 1}, "data.amount"),
            ({"amount": -MAX_WHOLE_NUMBER - 1}, "data.amount"),
            ({"amount": 10**400}, "data.amount"),
            ({"a": "x\x00"}, "data.a"),
            ({"x\x00": 1}, "data"),
            ({"a": {"b": "x\x00"}}, "data.a.b"),
            ({"a": {"x\x00": 1}}, "data.a"),
            ({"a": [{"b": "\ud83d"}]}, "data.a.b"),
            ({"\udc00": 1}, "data"),
            ({1: "one"}, "data"),
            ({"a": {None: "none"}}, "data.a"),
            ({"a": {True: "true"}}, "data.a"),
            ({"a": b"bytes"}, "data.a"),
            ({"a": {1, 2}}, "data.a"),
            ({"a": UUID(int=7)}, "data.a"),
            ({"a": datetime(2026, 3, 22, tzinfo=UTC)}, "data.a"),
            ([], "data"),
            ("text", "data"),
            (None, "data"),
        ],
        ids=repr,
    )
    def test_it_is_refused_by_the_path_to_it(self, document: Any, path: str):
        with pytest.raises(InvalidEventData) as raised:
            check_json(document, path="data")
        assert raised.value.path == path
        assert raised.value.problem
        assert isinstance(raised.value, InvalidAppend)

    def test_what_only_looks_like_nul_is_accepted(self):
        check_json({r"\u0000": r"a\u0000"}, path="data")

    def test_depth_is_bounded(self):
        check_json(nested(MAX_DEPTH - 1), path="data")
        with pytest.raises(InvalidEventData, match="nested too deeply"):
            check_json(nested(MAX_DEPTH), path="data")

    def test_endless_depth_is_refused_too(self):
        endless: dict[str, Any] = {}
        endless["in"] = endless
        with pytest.raises(InvalidEventData, match="nested too deeply"):
            check_json(endless, path="data")

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )

    @given(document=st.dictionaries(st.text(), json_values, max_size=4))
    def test_what_is_accepted_survives_json_unchanged(self, document: dict[str, Any]):
        try:
            check_json(document, path="data")
        except InvalidEventData:
            return
        read_back = orjson.loads(orjson.dumps(document))
        assert read_back == document
        assert repr(read_back) == repr(document)
