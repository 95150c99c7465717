"""SIGKILL at any moment of live projection, retry and repair: the read models are always what the events add up to."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command

from projections.runner import catch_up
from tests.integration.projections.busy_log import (
    Writer,
    assert_all_is_projected,
    assert_rows_are_what_the_checkpoints_say,
    checkpoints,
    has_moved,
)
from tests.integration.projections.test_run_projections import running
from tests.polling import wait_until


def kill_at_random(*, rounds: int, seed: int) -> None:
    dice = random.Random(seed)
    catch_up()
    writer = Writer(seed)
    for number in range(rounds):
        before = checkpoints()
        with writer.writing(), killed_later(writer, dice, number):
            wait_until(partial(has_moved, before))
            # Any moment is as good as another.
            time.sleep(dice.uniform(0, 0.3))
        assert_rows_are_what_the_checkpoints_say(writer)
    finish(writer)


@contextmanager
def killed_later(writer: Writer, dice: random.Random, number: int) -> Iterator[None]:
    """Run two runners at once, and every other round the repair of a long account; at the end kill all of them."""
    variables = {"PROJECTION_BATCH_EVENTS": str(dice.choice([7, 50, 1_000])), "PROJECTION_RETRY_SECONDS": "0"}
    repair = ("manage.py", "rebuild_stream", writer.long_account.stream_id, "to be killed")
    with running("manage.py", "run_projections", **variables):
        with running(*(repair if number % 2 else ("manage.py", "run_projections")), **variables):
            yield


def finish(writer: Writer) -> None:
    """Let everything be done that is to be done, and compare all of it."""
    call_command("rebuild_stream", writer.long_account.stream_id, "at last", stdout=StringIO())
    catch_up()
    assert_all_is_projected(writer)


@pytest.mark.timeout(120)
def test_killed_at_any_moment_the_read_models_are_the_fold():
    kill_at_random(rounds=3, seed=uuid4().int)


@pytest.mark.heavy
@pytest.mark.timeout(1_800)
def test_killed_fifty_times_the_read_models_are_the_fold_every_time():
    kill_at_random(rounds=50, seed=uuid4().int)
