"""Documents: what is accepted comes back as it was, and belongs to whoever reads it."""

from typing import Any

import pytest

from eventstore.chain import MAX_WHOLE_NUMBER
from eventstore.records import JsonObject
from eventstore.store import EventStore
from tests.eventstore_contract.reading import append, assert_chain_holds, conflict, duplicate, events_of, load, load_one
from tests.factories import CommitFactory, NewCommandFactory, NewEventFactory, SnapshotFactory, StreamAppendFactory

DOCUMENTS = {
    "empty": {},
    "unicode": {"name": "Žofia Ångström 東京", "emoji": "💸👩‍👩‍👧", "right-to-left": "שלום", "clé": "ключ"},
    "combining": {"composed": "\u00e9", "decomposed": "e\u0301"},
    "escapes": {
        "quote": '"',
        "backslash": "\\",
        "slash": "/",
        "newline": "a\nb\r\n\tc",
        "control": "\x01\x1f\x7f\u2028",
    },
    "nested": {"a": [[1, [2, [3]]], {"b": {"c": [None, True, False]}}], "empty": [[], {}, ""]},
    "whole numbers": {"largest": MAX_WHOLE_NUMBER, "smallest": -MAX_WHOLE_NUMBER, "zero": 0, "one": 1, "true": True},
    "empty strings": {"": "", "blank": "  ", "numeric": "1.0"},
    "order of keys": {"zebra": 1, "b": 2, "aa": 3, "a": 4, "Z": 5, "é": 6, "10": 7, "9": 8},
    "long": {"text": "x" * 100_000, "many": list(range(2_000))},
}


def typed(value: Any) -> Any:
    """Return `value` with types and order of list items spelt out, as 1 == True and (1,) != [1] would mislead."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [typed(item) for item in value]
    return (type(value).__name__, value)


class Documents:
    """Data, metadata, snapshot states and results."""

    @pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
    def test_a_document_comes_back_as_it_was(self, store: EventStore, document: JsonObject):
        stream = StreamAppendFactory.build(events=(NewEventFactory.build(data=document, metadata=document),))
        command = NewCommandFactory.build(result=document)
        append(store, stream, command=command, snapshots=(SnapshotFactory.build(of=stream, state=document),))

        (event,) = events_of(store, stream)
        loaded = load(store, stream, key=command.key)
        for read in (event.data, event.metadata, loaded.command.result, load_one(store, stream).snapshot.state):
            assert typed(read) == typed(document)
        assert_chain_holds([event])

    @pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
    def test_an_unseen_event_and_a_duplicates_verdict_come_back_as_they_were(
        self, store: EventStore, document: JsonObject
    ):
        events = (NewEventFactory.build(), NewEventFactory.build(data=document, metadata=document))
        stream, command = StreamAppendFactory.build(events=events), NewCommandFactory.build(result=document)
        commit = CommitFactory.build(streams=(stream,), command=command)
        store.append([commit])
        assert typed(duplicate(store, commit).command.result) == typed(document)

        stale = StreamAppendFactory.build(stream_id=stream.stream_id, expected_version=1)
        answer = conflict(store, CommitFactory.build(streams=(stale,)))
        assert answer.unseen[stream.stream_id] == tuple(events_of(store, stream)[1:])
        assert typed(answer.unseen[stream.stream_id][0].data) == typed(document)

    def test_a_tuple_becomes_a_list(self, store: EventStore):
        stream = StreamAppendFactory.build(events=(NewEventFactory.build(data={"pair": (1, (2, 3))}),))
        append(store, stream)
        (event,) = events_of(store, stream)
        assert event.data == {"pair": [1, [2, 3]]}
        assert_chain_holds([event])

    def test_the_writers_documents_are_his_own(self, store: EventStore):
        data, state, verdict = {"list": [1]}, {"list": [1]}, {"list": [1]}
        stream = StreamAppendFactory.build(events=(NewEventFactory.build(data=data),))
        command = NewCommandFactory.build(result=verdict)
        append(store, stream, command=command, snapshots=(SnapshotFactory.build(of=stream, state=state),))
        for document in (data, state, verdict):
            document["list"].append(2)
            document["more"] = []

        loaded = load(store, stream, key=command.key)
        assert events_of(store, stream)[0].data == {"list": [1]}
        assert loaded.streams[stream.stream_id].snapshot.state == {"list": [1]}
        assert loaded.command.result == {"list": [1]}

    def test_a_readers_documents_are_his_own(self, store: EventStore):
        stream = StreamAppendFactory.build(events=(NewEventFactory.build(data={"list": [1]}),))
        command = NewCommandFactory.build(result={"list": [1]})
        snapshot = SnapshotFactory.build(of=stream, state={"list": [1]})
        append(store, stream, command=command, snapshots=(snapshot,))

        def documents() -> list[Any]:
            loaded = load(store, stream, key=command.key)
            return [
                events_of(store, stream)[0].data,
                loaded.streams[stream.stream_id].snapshot.state,
                loaded.command.result,
            ]

        for document in documents():
            document["list"].append(2)
        assert documents() == [{"list": [1]}] * 3
