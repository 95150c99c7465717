"""Several commands of one caller."""

from typing import Any
from uuid import uuid4

import pytest

from eventstore.exceptions import (
    IdempotencyKeyReused,
    Overloaded,
    VersionConflict,
)
from eventstore.execution import execute_many
from tests.unit.eventstore.purses import (
    Crowd,
    carry_out,
    elsewhere,
    new_purse,
    putting,
    raising,
    taking,
)


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


class TestExecuteMany:
    """Several commands of one caller."""

    def test_each_is_answered_on_its_own_and_in_order(self, crowd):
        one, other = new_purse(), new_purse()
        answers = execute_many(
            executions=[
                putting(one, coins=5, key="k"),
                taking(one, coins=3),
                taking(one, coins=3),
                putting(other, decide=raising(RuntimeError("odd"))),
                putting(one, coins=5, key="k"),
                taking(one, other, coins=-1),
            ],
            store=crowd.store,
        )
        assert [answer.refused for answer in answers[:3]] == [False, False, True]
        assert isinstance(answers[3], RuntimeError)
        assert answers[4].replayed
        assert crowd.store.coins(one) == [5, -3, 1]
        # All but the one that raised and the one that repeats a key, and then those that came after the former.
        assert crowd.store.sizes[0] == 4

    def test_what_is_put_off_holds_back_what_comes_after_it(self, crowd):
        purse = new_purse()
        carry_out(putting(purse), crowd.store)
        # The second expects what the first does not leave, so it is looked up; the third must not come before it.
        answers = execute_many(
            executions=[
                putting(purse),
                putting(purse, coins=7, expected_versions={purse: 1}),
                putting(purse, expected_versions={purse: 2}),
            ],
            store=crowd.store,
        )
        assert isinstance(answers[1], VersionConflict)
        assert [answers[0].result, answers[2].result] == [{"version": 2}, {"version": 3}]

    def test_what_has_to_be_looked_up_does_not_overtake_what_met_a_conflict(self, crowd):
        purse = new_purse()
        carry_out(putting(purse), crowd.store)
        elsewhere(putting(purse), crowd.store)
        # The first is overtaken by the other process; the second expects what the first leaves.
        answers = execute_many(
            executions=[putting(purse, coins=5), putting(purse, coins=7, expected_versions={purse: 3})],
            store=crowd.store,
        )
        assert [answer.result for answer in answers] == [{"version": 3}, {"version": 4}]
        assert crowd.store.coins(purse) == [1, 1, 5, 7]

    def test_what_has_to_be_looked_up_is_not_refused_for_what_comes_before_it(self, crowd):
        purse, busy = new_purse(), new_purse()
        carry_out(putting(purse), crowd.store)
        carry_out(putting(busy, coins=500), crowd.store)
        elsewhere(putting(purse), crowd.store)
        for _ in range(201):
            # More than a conflict brings: whoever needs this one looks it up.
            elsewhere(putting(busy), crowd.store)
        answers = execute_many(
            executions=[putting(purse, coins=100, key="a"), taking(purse, busy, coins=50, key="b")], store=crowd.store
        )
        assert [answer.refused for answer in answers] == [False, False]
        assert crowd.store.coins(purse) == [1, 1, 100, -50]

    def test_a_key_belongs_to_the_first_that_has_it_though_that_is_put_off(self, crowd):
        purse, other = new_purse(), new_purse()
        carry_out(putting(purse), crowd.store)
        # The first is put off and holds back the second, on the same purse; the third could be done at once.
        answers = execute_many(
            executions=[
                putting(purse, expected_versions={purse: 0}),
                putting(purse, key="k"),
                putting(other, key="k", fingerprint="other"),
            ],
            store=crowd.store,
        )
        assert isinstance(answers[0], VersionConflict)
        assert answers[1].result == {"version": 2}
        assert isinstance(answers[2], IdempotencyKeyReused)
        assert crowd.store.coins(other) == []

    def test_more_than_one_batch_and_more_than_may_wait(self, crowd, settings):
        settings.EXECUTE_BATCH_COMMANDS, settings.EXECUTE_QUEUE_COMMANDS = 10, 1
        purse = new_purse()
        answers = execute_many(executions=[putting(purse) for _ in range(35)], store=crowd.store)
        assert [answer.result["version"] for answer in answers] == list(range(1, 36))
        assert crowd.store.sizes == [10, 10, 10, 5]

    def test_none_are_answered_with_nothing(self, crowd):
        assert execute_many(executions=[], store=crowd.store) == []

    def test_those_that_are_turned_away_say_so(self, crowd, settings):
        settings.EXECUTE_QUEUE_COMMANDS = 1
        answers: list[Any] = []
        crowd.together(
            putting(new_purse()),
            meanwhile=lambda: answers.extend(
                execute_many(executions=[putting(new_purse()) for _ in range(2)], store=crowd.store)
            ),
        )
        assert [type(answer) for answer in answers] == [Overloaded, Overloaded]

    def test_what_follows_one_that_was_turned_away_is_not_begun(self, crowd, settings):
        """Or a withdrawal would be refused for good, as the deposit before it has not been made yet."""
        settings.EXECUTE_QUEUE_COMMANDS = settings.EXECUTE_BATCH_COMMANDS = 1
        purse = new_purse()
        keys = [str(uuid4()) for _ in range(3)]
        executions = [
            putting(purse, coins=10, key=keys[0]),
            taking(purse, coins=5, key=keys[1]),
            taking(purse, coins=5, key=keys[2]),
        ]
        answers: list[Any] = []

        def send_too_many() -> None:
            answers.extend(execute_many(executions=executions, store=crowd.store))

        crowd.together(putting(new_purse()), meanwhile=send_too_many)
        assert [type(answer) for answer in answers] == [Overloaded] * 3
        again = execute_many(executions=executions, store=crowd.store)
        assert [(answer.refused, answer.replayed) for answer in again] == [(False, False)] * 3
        assert crowd.store.coins(purse) == [10, -5, -5]
