"""What a command is told, when it is not simply its outcome."""

import logging
from collections.abc import Sequence

from django.conf import settings

from eventstore import metrics
from eventstore.exceptions import (
    Contention,
    EventStoreError,
    IdempotencyKeyReused,
    OutcomeUnknown,
    StoreUnavailable,
)
from eventstore.pending import Pending
from eventstore.records import Outcome

logger = logging.getLogger(__name__)


def replay(pending: Pending, fingerprint: str, outcome: Outcome) -> None:
    """Answer with the verdict that its key has, unless the key is that of another command."""
    context = pending.execution.context
    if context.key and fingerprint != context.fingerprint:
        pending.answer = IdempotencyKeyReused(key=context.key.key)
        return
    metrics.DUPLICATES.inc()
    pending.answer = outcome


def unavailable(pending: Pending, error: StoreUnavailable) -> None:
    """Answer, or leave it to the key to find out, as the log cannot be reached."""
    if isinstance(error, OutcomeUnknown):
        pending.outcome_unknown(error)
    elif pending.answer is None:
        pending.answer = pending.unknown or again(error)


def failed(together: Sequence[Pending], error: Exception) -> None:
    """Tell who asked that something went wrong that nobody foresaw, and so nobody knows what was written."""
    if len(together) == 1:
        together[0].answer = error
        return
    logger.error("an append of %d commits failed", len(together), exc_info=error)
    for pending in together:
        pending.answer = again(OutcomeUnknown(repr(error)))


def again(error: EventStoreError) -> EventStoreError:
    """Return an error of each caller's own: it is raised in a thread of its own, and grows a traceback there."""
    copy = type(error)(*error.args)
    copy.__cause__ = error
    return copy


def tried(pending: Pending) -> None:
    """Count an attempt that came to nothing; there are so many, and no more."""
    pending.attempts += 1
    if pending.attempts >= settings.EXECUTE_MAX_ATTEMPTS:
        metrics.CONTENTION.inc()
        pending.answer = pending.unknown or Contention(f"{pending.attempts} attempts met a conflict")
