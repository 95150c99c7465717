"""Cuts the streams of a rebuild into parts, and has them filled: by processes of their own, if there is much to do."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Sum

from projections.projector import Projector
from projections.rebuild_models import ProjectionRebuild, RebuildPart
from projections.rebuilding.copying import Copying
from projections.rebuilding.exceptions import PartProcessDied
from projections.rebuilding.part_process import begin, fill
from projections.rebuilding.shadows import run

LAST_CHARACTER = "\U0010ffff"
BATCHES_WORTH_PROCESSES = 40
"""Below, they would take longer to start than they save."""

PARTS_PER_PROCESS = 4
"""Parts are never of one size: who is done with a small one takes another."""

SAMPLED_EVENTS = 20_000
LOOK_SECONDS = 0.25


def end_of(*, prefix: str) -> str:
    """Return what comes right after all texts that begin with `prefix`, by their bytes."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else LAST_CHARACTER


def cut_into_parts(*, projector: Projector[Any], rebuild: ProjectionRebuild) -> None:
    """Make the parts of a new rebuild: one, or some of about one size."""
    prefix = projector.stream_prefix
    bounds = {"from": prefix, "before": end_of(prefix=prefix)}
    number = settings.REBUILD_PROCESSES * PARTS_PER_PROCESS if _is_worth_processes(rebuild) else 1
    shares = [share / number for share in range(1, number)]
    percent = min(100.0, 100.0 * SAMPLED_EVENTS / max(rebuild.until_position, 1))
    [cuts] = run("cut_streams", shares=shares, percent=percent, **bounds) if shares else ([],)
    edges = [prefix, *sorted(set(cuts) - {prefix}), bounds["before"]]
    RebuildPart.objects.bulk_create(
        RebuildPart(rebuild=rebuild, number=number, stream_id=first, before=before)
        for number, (first, before) in enumerate(pairwise(edges), start=1)
    )


def events_done(*, rebuild: ProjectionRebuild) -> int:
    """Return how many events are in the shadow, of those that there were when the rebuild began."""
    return int(rebuild.parts.aggregate(done=Sum("events_done"))["done"] or 0)


def fill_parts(*, projector: Projector[Any], rebuild: ProjectionRebuild, goes_on: Callable[[], bool]) -> None:
    """Fill all parts that are not full; what `goes_on` raises, now and then, ends that after the batches at hand.

    Raises PartProcessDied if one of the processes is killed, and the database's errors.
    """
    parts = list(rebuild.parts.filter(is_done=False).order_by("number"))
    processes = min(settings.REBUILD_PROCESSES, len(parts))
    if processes > 1 and _is_worth_processes(rebuild):
        _fill_by_processes(projector, parts, processes, goes_on)
        return
    for part in parts:
        copying = Copying(projector=projector, part=part)
        while goes_on() and copying.next_batch():
            pass


def _is_worth_processes(rebuild: ProjectionRebuild) -> bool:
    return bool(settings.REBUILD_PROCESSES > 1) and bool(
        rebuild.events_total >= BATCHES_WORTH_PROCESSES * settings.REBUILD_BATCH_EVENTS
    )


def _fill_by_processes(
    projector: Projector[Any], parts: list[RebuildPart], processes: int, goes_on: Callable[[], bool]
) -> None:
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    about = (os.getpid(), stop, connection.settings_dict["NAME"], projector.name)
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=begin, initargs=about) as pool:
        filling: set[Future[None]] = {pool.submit(fill, projector, part.pk) for part in parts}
        try:
            while filling:
                goes_on()
                done, filling = wait(filling, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
                for one in done:
                    one.result()
        except BrokenProcessPool as error:
            raise PartProcessDied(
                f"a process that rebuilt {projector.name} died; the next rebuild goes on from there"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
