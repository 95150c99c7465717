"""A projector that joins a bank with history, as docs/projections.md says: it is filled, and the others go on."""

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from eventstore.store import event_store
from projections import lag, runner
from projections.models import ProjectionCheckpoint, ProjectionFailure
from projections.projectors import PROJECTORS
from projections.runner import advance_all, catch_up
from tests.integration.projections.account_log import append, assert_read_models_match, busy_account, events_of
from tests.own_bank import PROJECT_DIR
from tests.polling import DEADLINE_SECONDS


@pytest.fixture
def example(db, monkeypatch) -> Iterator[ModuleType]:
    """The file that the documentation shows, its table, and its line in the tuple."""
    [code] = re.findall(r"```python\n(.*?)```", (PROJECT_DIR / "docs" / "projections.md").read_text(), re.DOTALL)
    module = ModuleType("projections.projectors.last_movement")
    exec(compile(code, "docs/projections.md", "exec"), module.__dict__)  # noqa: S102
    for user in (runner, lag):
        monkeypatch.setattr(user, "PROJECTORS", (*PROJECTORS, module.LastMovementProjector()))
    with connection.schema_editor() as editor:
        editor.create_model(module.LastMovement)
    yield module
    with connection.schema_editor() as editor:
        editor.delete_model(module.LastMovement)
    del apps.all_models["projections"]["lastmovement"]
    apps.clear_cache()
    ProjectionCheckpoint.objects.filter(projection="last_movement").delete()
    ProjectionFailure.objects.filter(projection="last_movement").delete()


def last_movement(stream_id: str) -> tuple[int, int, Any]:
    """Return what the read model should say, by the events alone."""
    events = events_of(stream_id)
    moved = [event for event in events if event.event_type.startswith("Money")]
    return events[-1].version, len(moved), moved[-1].occurred_at if moved else None


def test_it_is_filled_with_all_history_while_the_others_go_on(example, settings):
    history = [busy_account(number) for number in (1, 2, 30)]
    append(*history)
    catch_up(projectors=PROJECTORS)
    settings.PROJECTION_BATCH_EVENTS = max(event_store().head_position() // 4, 8)
    assert not example.LastMovement.objects.exists()
    newcomers = []
    seen = event_store().head_position()

    def is_filled() -> bool:
        """Append another account in each round, until the new projection knows all; the others always know the last."""
        nonlocal seen
        positions = dict(ProjectionCheckpoint.objects.values_list("projection", "position"))
        mine = positions.pop("last_movement", 0)
        assert min(positions[projector.name] for projector in PROJECTORS) >= seen
        if mine == event_store().head_position():
            return True
        newcomers.append(busy_account(3))
        append(newcomers[-1])
        seen = event_store().head_position()
        return False

    advance_all(slice_seconds=DEADLINE_SECONDS, should_stop=is_filled)
    accounts = [one.stream_id for one in (*history, *newcomers)]
    assert len(newcomers) > 3
    assert_read_models_match(accounts)
    for stream_id in accounts:
        row = example.LastMovement.objects.get(account_id=stream_id.removeprefix("account-"))
        assert (row.version, row.movements, row.moved_at) == last_movement(stream_id)
    everyone = {event.stream_id for event in _whole_log() if event.stream_id.startswith("account-")}
    parked = set(ProjectionFailure.objects.filter(projection="last_movement").values_list("stream_id", flat=True))
    assert example.LastMovement.objects.count() == len(everyone - parked)
    [standing] = [one for one in lag.projection_lags() if one.projection == "last_movement"]
    assert (standing.lag_events, standing.status) in ((0, "ok"), (0, "parked"))


def _whole_log() -> Iterator[Any]:
    position = 0
    while events := event_store().read_all(after_position=position, limit=10_000):
        yield from events
        position = events[-1].position
