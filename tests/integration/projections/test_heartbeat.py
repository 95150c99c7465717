"""A runner shows that it lives, also when there is nothing to project, and burdens nobody with it."""

from datetime import datetime

from projections.engine import advance, keep_alive
from projections.lag import projection_lags
from projections.models import ProjectionCheckpoint
from projections.projectors import PROJECTORS
from projections.runner import HEARTBEAT_SECONDS, advance_all, catch_up
from tests.integration.projections.account_log import append, busy_account
from tests.integration.projections.test_run_projections import run_projections
from tests.integration.projections.totals import checkpoint_held
from tests.polling import DEADLINE_SECONDS, wait_until
from tests.round_trips import round_trips

SUMMARY, *OTHERS = [projector.name for projector in PROJECTORS]


def heartbeats() -> dict[str, datetime]:
    return {name: at for name, at in ProjectionCheckpoint.objects.values_list("projection", "heartbeat_at") if at}


def stop_hearts() -> None:
    catch_up()
    ProjectionCheckpoint.objects.update(heartbeat_at=None)


def test_an_idle_runner_shows_that_it_lives_again_and_again():
    stop_hearts()
    positions = set(ProjectionCheckpoint.objects.values_list("projection", "position"))
    with run_projections():
        first = wait_until(lambda: heartbeats() if len(heartbeats()) == len(PROJECTORS) else None)
        wait_until(lambda: all(at > first[name] for name, at in heartbeats().items()))
    # Killed: whatever it wrote last stays.
    last = heartbeats()
    assert set(ProjectionCheckpoint.objects.values_list("projection", "position")) == positions
    assert heartbeats() == last


def test_one_slice_shows_it_once_a_second_and_not_at_every_look(monkeypatch):
    shown: list[object] = []
    monkeypatch.setattr("projections.runner.keep_alive", lambda *, projectors: shown.append(projectors))
    catch_up()
    looks = 0

    def enough() -> bool:
        nonlocal looks
        looks += 1
        return looks > 20

    monkeypatch.setattr("projections.runner.HEARTBEAT_SECONDS", DEADLINE_SECONDS)
    advance_all(slice_seconds=DEADLINE_SECONDS, should_stop=enough)
    assert len(shown) == 1
    assert HEARTBEAT_SECONDS >= 1


def test_a_projection_with_nothing_to_do_shows_it_while_another_catches_up(settings):
    stop_hearts()
    settings.PROJECTION_BATCH_EVENTS = 1
    append(busy_account(20))
    while (made := advance(projector=PROJECTORS[0])) is None or made.events:
        pass
    ProjectionCheckpoint.objects.update(heartbeat_at=None)
    looks = iter([False, False, True])
    advance_all(slice_seconds=DEADLINE_SECONDS, should_stop=lambda: next(looks))
    lags = {lag.projection: lag for lag in projection_lags()}
    assert lags[SUMMARY].lag_events == 0
    assert {lags[name].lag_events for name in OTHERS} == {18}
    assert lags[SUMMARY].heartbeat_age_seconds is not None
    settings.PROJECTION_BATCH_EVENTS = 1_000
    catch_up()


def test_it_is_one_update_for_all_projections():
    stop_hearts()
    # BEGIN, UPDATE, COMMIT.
    assert round_trips(lambda: keep_alive(projectors=PROJECTORS)) == 3
    assert heartbeats().keys() == {SUMMARY, *OTHERS}


def test_a_checkpoint_that_somebody_advances_is_left_to_him():
    stop_hearts()
    with checkpoint_held(SUMMARY):
        keep_alive(projectors=PROJECTORS)
        assert heartbeats().keys() == set(OTHERS)
