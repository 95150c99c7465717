"""Transfers in the back office: a list, the timeline of each one's events, and what operations can do about it."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from accounts.domain.access import EVERY_ACCOUNT
from accounts.domain.money import format_money
from accounts.domain.own_accounts import is_reserved
from accounts.permissions import Permission
from accounts.serializers import IDENTIFIER
from eventstore.read_only_admin import pretty_json
from eventstore.records import CommandContext, JsonObject, Outcome, RecordedEvent
from eventstore.store import event_store
from projections.acting_admin import Act, ActingAdmin, NotDone, ReasonForm
from projections.models import IN_SUSPENSE, TransferStatus
from projections.transfer_reads import visible_transfers
from transfers.domain.commands import ReleaseSuspense, RetryTransfer
from transfers.handlers import release_suspense, retry_transfer
from transfers.repository import transfer_stream_id

MAX_TIMELINE_EVENTS = 200


class ReleaseForm(ReasonForm):
    """Where the money in suspense goes."""

    account_id = forms.RegexField(
        regex=rf"\A{IDENTIFIER.pattern}\Z", label="To account", widget=forms.TextInput({"size": 64})
    )
    field_order = ("account_id", "reason")


class SuspenseFilter(admin.SimpleListFilter):
    """Narrows transfers to those whose money stands in suspense, or stood there."""

    title = "suspense"
    parameter_name = "suspense"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return what can be asked for."""
        return [("waiting", "Waits to be released"), ("released", "Was released")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TransferStatus]) -> QuerySet[TransferStatus]:
        """Return the transfers asked for."""
        if self.value() == "waiting":
            return queryset.filter(IN_SUSPENSE)
        return queryset.exclude(released_to=None) if self.value() == "released" else queryset


def _retry(transfer: TransferStatus, metadata: JsonObject, *, reason: str) -> str:
    command = RetryTransfer(transfer_id=transfer.transfer_id, reason=reason)
    return _told(retry_transfer(command=command, context=_context(metadata)))


def _release(transfer: TransferStatus, metadata: JsonObject, *, reason: str, account_id: str) -> str:
    command = ReleaseSuspense(transfer_id=transfer.transfer_id, account_id=account_id, reason=reason)
    return _told(release_suspense(command=command, context=_context(metadata)))


def _context(metadata: JsonObject) -> CommandContext:
    """Return the context of an act of staff. A form sent twice needs no key: the transfer's own rules refuse it."""
    return CommandContext(metadata=metadata)


def _told(outcome: Outcome) -> str:
    if outcome.refused:
        raise NotDone(f"Refused: {outcome.result['code']}.")
    return "Done. The page follows the log after a moment."


def _is_in_suspense(transfer: TransferStatus) -> bool:
    return transfer.refunded_to is not None and is_reserved(transfer.refunded_to) and transfer.released_to is None


@admin.register(TransferStatus)
class TransferStatusAdmin(ActingAdmin):
    """Transfers, the latest first. Whatever operations do about one is an event of its own."""

    list_display = ("transfer_id", "created_at", "state", "source_account_id", "destination_account_id", "money")
    list_filter = ("state", SuspenseFilter)
    search_fields = ("transfer_id__exact", "source_account_id__exact", "destination_account_id__exact")
    search_help_text = "The id of a transfer, or of an account"
    ordering = ("-first_position",)
    acts = (
        Act(
            name="retry_transfer",
            title="Retry",
            permission=Permission.RETRY_TRANSFER,
            is_in_order=lambda transfer: transfer.state == "STUCK",
            perform=_retry,
        ),
        Act(
            name="release_suspense",
            title="Release from suspense",
            permission=Permission.RELEASE_SUSPENSE,
            is_in_order=_is_in_suspense,
            perform=_release,
            form=ReleaseForm,
        ),
    )
    fields = (
        "transfer_id",
        "state",
        "source",
        "destination",
        "money",
        "transaction_id",
        "description",
        "failure_code",
        "refunded",
        "released",
        "attempts",
        "error",
        "created_at",
        "updated_at",
        "timeline",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[TransferStatus]:
        """Return the transfers whose first commit the read model has seen in full."""
        return visible_transfers(reach=EVERY_ACCOUNT)

    @admin.display(description="amount")
    def money(self, transfer: TransferStatus) -> str:
        """Return the amount in major units."""
        return format_money(amount=transfer.amount, currency=transfer.currency)

    @admin.display(description="source account")
    def source(self, transfer: TransferStatus) -> str:
        """Return a link to the account that the money comes from."""
        return _account_link(transfer.source_account_id)

    @admin.display(description="destination account")
    def destination(self, transfer: TransferStatus) -> str:
        """Return a link to the account that the money goes to; there may be no such account."""
        return _account_link(transfer.destination_account_id)

    @admin.display(description="refunded to")
    def refunded(self, transfer: TransferStatus) -> str:
        """Return a link to the account that was given the money back."""
        return _account_link(transfer.refunded_to)

    @admin.display(description="released to")
    def released(self, transfer: TransferStatus) -> str:
        """Return a link to the account that was paid out of suspense."""
        return _account_link(transfer.released_to)

    @admin.display(description="timeline")
    def timeline(self, transfer: TransferStatus) -> str:
        """Return the transfer's last events, straight from the log."""
        events = _last_events(transfer.transfer_id)
        left_out = events[0].version - 1 if events else 0
        rows = (
            (
                event.occurred_at.isoformat(" ", "milliseconds"),
                event.event_type,
                event.metadata.get("actor", ""),
                pretty_json({name: value for name, value in event.data.items() if name != "transferId"}),
            )
            for event in events
        )
        return format_html(
            "{}<table><tr><th>When</th><th>What</th><th>Who</th><th>In these words</th></tr>{}</table>",
            format_html("<p>Earlier events that are left out: {}.</p>", left_out) if left_out else "",
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )


def _last_events(transfer_id: str) -> Sequence[RecordedEvent]:
    # From the log alone: the row may be behind it, and a history that makes no sense is to be looked at all the same.
    last: deque[RecordedEvent] = deque(maxlen=MAX_TIMELINE_EVENTS)
    while page := event_store().read_stream(
        transfer_stream_id(transfer_id), after_version=last[-1].version if last else 0, limit=MAX_TIMELINE_EVENTS
    ):
        last += page
    return last


def _account_link(account_id: str | None) -> str:
    if account_id is None:
        return "-"
    return format_html(
        '<a href="{}">{}</a>', reverse("admin:projections_accountsummary_change", args=(account_id,)), account_id
    )
