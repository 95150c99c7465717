"""The read models, and how far each projection has come."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.domain.account import AccountStatus
from accounts.domain.money import MAX_AMOUNT
from accounts.domain.own_accounts import RESERVED_PREFIX
from projections.job_models import ProjectionJob as ProjectionJob
from projections.rebuild_models import ProjectionRebuild as ProjectionRebuild
from projections.rebuild_models import RebuildPart as RebuildPart
from projections.verification_models import VerificationCycle as VerificationCycle
from projections.verification_models import VerificationDifference as VerificationDifference
from projections.verification_models import VerifiedStream as VerifiedStream
from transfers.domain.transfer import TransferState

STATUSES = tuple(status.value for status in AccountStatus if status is not AccountStatus.NEW)
"""What an account that exists can be."""

TRANSFER_STATES = tuple(
    state.value for state in TransferState if state not in (TransferState.NEW, TransferState.INITIATED)
)
"""What a transfer can be when all of a commit is in."""

TRANSFER_ROW_STATES = (*TRANSFER_STATES, TransferState.INITIATED.value)
"""What its row can say: a batch of the log may end between two events of one commit."""

IN_SUSPENSE = Q(refunded_to__startswith=RESERVED_PREFIX, released_to__isnull=True)
"""What is true of the transfers whose money stands in suspense."""


class AccountSummary(models.Model):
    """An account as it is now; `balance` is in minor units of `currency`, times are business time."""

    account_id = models.TextField(primary_key=True)
    owner_id = models.TextField()
    client_id = models.TextField(null=True)
    currency = models.TextField()
    status = models.TextField(choices=[(status, status.capitalize()) for status in STATUSES])
    balance = models.BigIntegerField()
    version = models.BigIntegerField()
    last_position = models.BigIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "account_summary"
        verbose_name = "account"
        verbose_name_plural = "accounts"
        # No index on what every movement changes: balances are then updated in place, with no index to maintain.
        indexes = (
            models.Index(fields=["owner_id", "account_id"], name="account_summary_owner"),
            models.Index(fields=["client_id", "account_id"], name="account_summary_client"),
            models.Index(fields=["status", "account_id"], name="account_summary_status"),
            models.Index(fields=["currency", "account_id"], name="account_summary_currency"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(balance__gte=0, balance__lte=MAX_AMOUNT), name="account_summary_balance_check"
            ),
            models.CheckConstraint(condition=Q(status__in=STATUSES), name="account_summary_status_check"),
            models.CheckConstraint(
                condition=Q(version__gt=0, last_position__gte=F("version")), name="account_summary_version_check"
            ),
        )

    def __str__(self) -> str:
        return self.account_id


class AccountStatement(models.Model):
    """One line of an account's statement, for each of its events; `balance` is what it left on the account.

    `currency` is the account's, on every line. What does not apply to the event is null.
    """

    position = models.BigIntegerField(primary_key=True)
    account_id = models.TextField()
    stream_version = models.BigIntegerField()
    event_id = models.UUIDField()
    event_type = models.TextField()
    amount = models.BigIntegerField(null=True)
    currency = models.TextField()
    balance = models.BigIntegerField()
    contra = models.TextField(null=True)
    transaction_id = models.TextField(null=True)
    transfer_id = models.TextField(null=True)
    counterparty = models.TextField(null=True)
    reason = models.TextField(null=True)
    description = models.TextField(null=True)
    metadata = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()

    class Meta:
        db_table = "account_statement"
        verbose_name = "statement line"
        verbose_name_plural = "statement lines"
        constraints = (
            # Serves every query of a history, by date and by type too: those read on along one account's lines.
            models.UniqueConstraint(fields=["account_id", "stream_version"], name="account_statement_version_key"),
            models.CheckConstraint(
                condition=Q(balance__gte=0, balance__lte=MAX_AMOUNT), name="account_statement_balance_check"
            ),
            models.CheckConstraint(
                # A check that comes out as null passes, so both must say that they are not.
                condition=Q(amount__isnull=True, contra__isnull=True)
                | Q(amount__isnull=False, amount__gte=1, contra__isnull=False),
                name="account_statement_movement_check",
            ),
            models.CheckConstraint(
                condition=Q(stream_version__gt=0, position__gte=F("stream_version")),
                name="account_statement_version_check",
            ),
        )

    def __str__(self) -> str:
        return f"{self.account_id} {self.stream_version}"


class TransferStatus(models.Model):
    """A transfer as it is now; `amount` is in minor units of `currency`, times are business time.

    `failure_code` and `failure_fields` name the rule that refused it, `refunded_to` is where debited money went then,
    `error` what it last got stuck with.
    """

    transfer_id = models.TextField(primary_key=True)
    client_id = models.TextField(null=True)
    source_account_id = models.TextField()
    destination_account_id = models.TextField()
    amount = models.BigIntegerField()
    currency = models.TextField()
    transaction_id = models.TextField(null=True)
    description = models.TextField(null=True)
    metadata = models.JSONField(default=dict)
    state = models.TextField(choices=[(state, state.capitalize()) for state in TRANSFER_STATES])
    failure_code = models.TextField(null=True)
    failure_fields = models.JSONField(default=dict)
    refunded_to = models.TextField(null=True)
    released_to = models.TextField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(null=True)
    version = models.BigIntegerField()
    first_position = models.BigIntegerField()
    last_position = models.BigIntegerField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "transfer_status"
        verbose_name = "transfer"
        verbose_name_plural = "transfers"
        indexes = (
            models.Index(fields=["source_account_id", "first_position"], name="transfer_status_source"),
            models.Index(fields=["destination_account_id", "first_position"], name="transfer_status_dest"),
            models.Index(fields=["client_id", "first_position"], name="transfer_status_client"),
            models.Index(fields=["state", "first_position"], name="transfer_status_state"),
            models.Index(fields=["first_position"], condition=IN_SUSPENSE, name="transfer_status_suspense"),
        )
        constraints = (
            models.UniqueConstraint(fields=["first_position"], name="transfer_status_position_key"),
            models.CheckConstraint(
                condition=Q(amount__gte=1, amount__lte=MAX_AMOUNT), name="transfer_status_amount_check"
            ),
            models.CheckConstraint(condition=Q(state__in=TRANSFER_ROW_STATES), name="transfer_status_state_check"),
            models.CheckConstraint(
                condition=Q(state="FAILED", failure_code__isnull=False)
                | Q(~Q(state="FAILED"), failure_code__isnull=True, refunded_to__isnull=True),
                name="transfer_status_failure_check",
            ),
            models.CheckConstraint(
                condition=Q(version__gt=0, first_position__gt=0, last_position__gte=F("first_position")),
                name="transfer_status_version_check",
            ),
        )

    def __str__(self) -> str:
        return self.transfer_id


class ProjectionCheckpoint(models.Model):
    """The position in the log up to which a projection has seen every event.

    `heartbeat_at` is when a runner last advanced it, or found that there was nothing to advance.
    """

    projection = models.TextField(primary_key=True)
    position = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)
    heartbeat_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "projection_checkpoints"
        verbose_name = "checkpoint"
        verbose_name_plural = "checkpoints"
        constraints = (
            models.CheckConstraint(condition=Q(position__gte=0), name="projection_checkpoints_position_check"),
        )

    def __str__(self) -> str:
        return self.projection


class ProjectionFailure(models.Model):
    """A parked stream: the event at which a projection could not go on; the stream's later events wait behind it.

    `attempts` failed so far, and from `next_attempt_at` a runner tries again: it goes on from the rows that there are,
    which know all events before `version`. While `rows_are_suspect` they are not to be trusted, and it begins anew.
    """

    projection = models.TextField()
    stream_id = models.TextField()
    version = models.BigIntegerField()
    position = models.BigIntegerField()
    event_id = models.UUIDField()
    error = models.TextField()
    traceback = models.TextField()
    attempts = models.PositiveIntegerField(default=1)
    first_failed_at = models.DateTimeField()
    last_failed_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(default=timezone.now)
    rows_are_suspect = models.BooleanField(default=False)

    class Meta:
        db_table = "projection_failures"
        verbose_name = "parked stream"
        verbose_name_plural = "parked streams"
        indexes = (models.Index(fields=["projection", "next_attempt_at"], name="projection_failures_due"),)
        constraints = (
            models.UniqueConstraint(fields=["projection", "stream_id"], name="projection_failures_stream_key"),
            models.CheckConstraint(condition=Q(version__gt=0, attempts__gt=0), name="projection_failures_check"),
        )

    def __str__(self) -> str:
        return f"{self.projection}: {self.stream_id}"
