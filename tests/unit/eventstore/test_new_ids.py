"""Ids are random, of the right form, and nobody's twice: neither in threads nor in a forked process."""

import os
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from eventstore.new_ids import ID_BYTES, IDS_AT_ONCE, new_id

THREADS = 8
IDS_OF_EACH = 10 * IDS_AT_ONCE


def test_ids_are_of_version_4() -> None:
    assert {(made.version, made.variant) for made in (new_id() for _ in range(IDS_AT_ONCE + 1))} == {(4, RFC_4122)}


def test_threads_never_get_the_same() -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(lambda _: [new_id() for _ in range(IDS_OF_EACH)], range(THREADS)))
    ids = [one for ids in made for one in ids]
    assert len(set(ids)) == len(ids) == THREADS * IDS_OF_EACH


def test_a_forked_process_makes_its_own() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"".join(new_id().bytes for _ in range(IDS_AT_ONCE)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    of_child = {UUID(bytes=told[at : at + ID_BYTES]) for at in range(0, len(told), ID_BYTES)}
    assert status == 0
    assert len(of_child) == IDS_AT_ONCE
    assert not of_child & {new_id() for _ in range(IDS_AT_ONCE)}
