"""What a caller of `append` owes the store, whatever the log holds."""

from collections.abc import Mapping, Sequence

from eventstore.chain import canonical_documents, check_json, check_text
from eventstore.exceptions import InvalidAppend
from eventstore.records import Commit, StreamAppend

HASH_BYTES = 32
MAX_SCHEMA_VERSION = 2**31 - 1


def check_commits(commits: Sequence[Commit]) -> None:
    """Raise InvalidAppend (InvalidEventData for a document that jsonb would refuse or change) for a broken contract."""
    for commit in commits:
        _check_commit(commit)


def _check_commit(commit: Commit) -> None:
    versions = {stream.stream_id: stream.expected_version + len(stream.events) for stream in commit.streams}
    if not versions:
        raise InvalidAppend("a commit needs at least one stream")
    if len(versions) < len(commit.streams):
        raise InvalidAppend("a stream is twice in one commit")
    for stream in commit.streams:
        _check_stream(stream)
    if commit.snapshots:
        _check_snapshots(commit, versions)
    if commit.command:
        _check_name(commit.command.key.scope, path="scope")
        _check_name(commit.command.key.key, path="key")
        check_text(commit.command.fingerprint, path="fingerprint")
        check_json(commit.command.result, path="result")


def _check_snapshots(commit: Commit, versions: Mapping[str, int]) -> None:
    if len({snapshot.stream_id for snapshot in commit.snapshots}) < len(commit.snapshots):
        raise InvalidAppend("a stream has two snapshots in one commit")
    for snapshot in commit.snapshots:
        if not snapshot.version or versions.get(snapshot.stream_id) != snapshot.version:
            raise InvalidAppend(f"snapshot of {snapshot.stream_id} is not at the commit's version of the stream")
        _check_schema_version(snapshot.schema_version)
        check_json(snapshot.state, path="state")


def _check_stream(stream: StreamAppend) -> None:
    _check_name(stream.stream_id, path="stream_id")
    if stream.expected_version < 0:
        raise InvalidAppend(f"expected version of {stream.stream_id} is below 0")
    if stream.previous_hash is not None and len(stream.previous_hash) != (HASH_BYTES if stream.expected_version else 0):
        raise InvalidAppend(f"previous hash of {stream.stream_id} is none of version {stream.expected_version}")
    if len(stream.hashes) != len(stream.events) or any(len(link) != HASH_BYTES for link in stream.hashes):
        raise InvalidAppend(f"{stream.stream_id} needs one hash of {HASH_BYTES} bytes for each event")
    for event in stream.events:
        _check_name(event.event_type, path="event_type")
        _check_schema_version(event.schema_version)
        if event.occurred_at.utcoffset() is None:
            raise InvalidAppend(f"occurred_at of {event.event_id} has no time zone")
        canonical_documents(event)


def _check_name(name: str, *, path: str) -> None:
    if not name:
        raise InvalidAppend(f"{path} is empty")
    check_text(name, path=path)


def _check_schema_version(schema_version: int) -> None:
    if not 1 <= schema_version <= MAX_SCHEMA_VERSION:
        raise InvalidAppend(f"schema version {schema_version} is not one of 1 to {MAX_SCHEMA_VERSION}")
