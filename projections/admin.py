"""The read side in the back office: accounts, statements, checkpoints and parked streams, to be looked at."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.db.models import F, IntegerField, QuerySet, Value
from django.db.models.functions import Greatest
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.timezone import localtime

from accounts.domain.money import format_money
from accounts.repository import account_stream_id
from eventstore.read_only_admin import ReadOnlyAdmin, pretty_json
from eventstore.store import event_store
from projections.models import (
    AccountStatement,
    AccountSummary,
    ProjectionCheckpoint,
    ProjectionFailure,
    VerificationDifference,
    VerifiedStream,
)
from projections.statements import statement
from projections.transfer_admin import TransferStatusAdmin as TransferStatusAdmin
from projections.verification_admin import VerificationDifferenceAdmin as VerificationDifferenceAdmin

admin.site.site_header = "The bank's back office"
admin.site.site_title = "Back office"
admin.site.index_title = "The books"
admin.site.site_url = None

HAS_EVENT_PAGES = settings.EVENT_STORE_KIND == "postgres"
"""Only a log in the database has pages of its own."""


class CurrencyFilter(admin.SimpleListFilter):
    """Narrows accounts to one currency of those in use."""

    title = "currency"
    parameter_name = "currency"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the currencies that accounts are kept in."""
        with connection.cursor() as cursor:
            cursor.execute(statement("currencies_in_use"))
            return [(currency, currency) for (currency,) in cursor.fetchall()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AccountSummary]) -> QuerySet[AccountSummary]:
        """Return the accounts in the chosen currency."""
        return queryset.filter(currency=self.value()) if self.value() else queryset


@admin.register(AccountSummary)
class AccountSummaryAdmin(ReadOnlyAdmin):
    """Accounts as they are now."""

    list_display = ("account_id", "owner_id", "status", "money", "version", "updated_at", "statement")
    list_filter = ("status", CurrencyFilter)
    search_fields = ("account_id__startswith", "owner_id__startswith")
    search_help_text = "The beginning of an account's or an owner's id"
    ordering = ("account_id",)
    fields = (
        "account_id",
        "owner_id",
        "client_id",
        "status",
        "currency",
        "money",
        "version",
        "last_position",
        "created_at",
        "updated_at",
        "verified",
        "statement",
        "events",
    )

    @admin.display(description="balance")
    def money(self, account: AccountSummary) -> str:
        """Return the balance in major units."""
        return format_money(amount=account.balance, currency=account.currency)

    @admin.display(description="verified")
    def verified(self, account: AccountSummary) -> str:
        """Return how far the account was found sound, and how much that is not stands against that."""
        stream_id = account_stream_id(account.account_id)
        found = VerifiedStream.objects.filter(stream_id=stream_id).first()
        told = f"up to event {found.version} at {localize(localtime(found.verified_at))}" if found else "not yet"
        differences = VerificationDifference.objects.filter(stream_id=stream_id).count()
        return f"{told}; {differences} differences" if differences else told

    @admin.display(description="statement")
    def statement(self, account: AccountSummary) -> str:
        """Return a link to the account's statement."""
        address = reverse("admin:projections_accountstatement_changelist")
        return _link(f"{address}?{urlencode({'account_id': account.account_id})}", "statement")

    @admin.display(description="events")
    def events(self, account: AccountSummary) -> str:
        """Return a link to the account's events."""
        return _events_link(account_stream_id(account.account_id))


@admin.register(AccountStatement)
class AccountStatementAdmin(ReadOnlyAdmin):
    """Statements, the latest line of an account first."""

    list_display = (
        "stream_version",
        "account",
        "occurred_at",
        "event_type",
        "movement",
        "balance_after",
        "transaction_id",
        "transfer",
        "counterparty",
        "reason",
    )
    search_fields = ("account_id__exact",)
    search_help_text = "The id of an account"
    ordering = ("account_id", "-stream_version")
    fields = (
        "account",
        "stream_version",
        "event_type",
        "movement",
        "balance_after",
        "contra",
        "transaction_id",
        "transfer",
        "counterparty",
        "reason",
        "description",
        "pretty_metadata",
        "occurred_at",
        "event_id",
        "event",
    )

    @admin.display(description="account")
    def account(self, line: AccountStatement) -> str:
        """Return a link to the account."""
        return _link(reverse("admin:projections_accountsummary_change", args=(line.account_id,)), line.account_id)

    @admin.display(description="amount")
    def movement(self, line: AccountStatement) -> str | None:
        """Return the amount in major units, if money moved."""
        return None if line.amount is None else format_money(amount=line.amount, currency=line.currency)

    @admin.display(description="balance")
    def balance_after(self, line: AccountStatement) -> str:
        """Return the balance that the event left, in major units."""
        return format_money(amount=line.balance, currency=line.currency)

    @admin.display(description="transfer")
    def transfer(self, line: AccountStatement) -> str | None:
        """Return a link to the transfer that the movement is a leg of."""
        if line.transfer_id is None:
            return None
        return _link(reverse("admin:projections_transferstatus_change", args=(line.transfer_id,)), line.transfer_id)

    @admin.display(description="metadata")
    def pretty_metadata(self, line: AccountStatement) -> str:
        """Return the note's metadata."""
        return pretty_json(line.metadata)

    @admin.display(description="event")
    def event(self, line: AccountStatement) -> str:
        """Return a link to the event behind the line."""
        text = f"position {line.position}"
        return _link(reverse("admin:eventstore_event_change", args=(line.position,)), text) if HAS_EVENT_PAGES else text


@admin.register(ProjectionCheckpoint)
class ProjectionCheckpointAdmin(ReadOnlyAdmin):
    """How far each projection has come, and how many events it is behind."""

    list_display = ("projection", "position", "lag", "updated_at", "heartbeat_at")
    ordering = ("projection",)
    fields = ("projection", "position", "lag", "updated_at", "heartbeat_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProjectionCheckpoint]:
        """Return the checkpoints with their lag; the log goes on meanwhile, so one may have passed the head read."""
        lag = Greatest(Value(event_store().head_position()) - F("position"), 0, output_field=IntegerField())
        checkpoints: QuerySet[ProjectionCheckpoint] = super().get_queryset(request)
        return checkpoints.annotate(lag_events=lag)

    @admin.display(description="lag (events)")
    def lag(self, checkpoint: Any) -> int:
        """Return how many events of the log it has not seen."""
        return int(checkpoint.lag_events)


@admin.register(ProjectionFailure)
class ProjectionFailureAdmin(ReadOnlyAdmin):
    """Streams that a projection could not go on with."""

    list_display = ("stream_id", "projection", "version", "error", "attempts", "last_failed_at")
    list_filter = ("projection",)
    search_fields = ("stream_id__exact",)
    search_help_text = "The id of a stream, such as account-acc-1"
    ordering = ("projection", "stream_id")
    fields = (
        "projection",
        "stream_id",
        "version",
        "position",
        "event_id",
        "error",
        "pretty_traceback",
        "attempts",
        "first_failed_at",
        "last_failed_at",
        "events",
    )

    @admin.display(description="traceback")
    def pretty_traceback(self, failure: ProjectionFailure) -> str:
        """Return where the projection failed."""
        return format_html("<pre>{}</pre>", failure.traceback)

    @admin.display(description="events")
    def events(self, failure: ProjectionFailure) -> str:
        """Return a link to the stream's events."""
        return _events_link(failure.stream_id)


def _events_link(stream_id: str) -> str:
    if not HAS_EVENT_PAGES:
        return stream_id
    return _link(f"{reverse('admin:eventstore_event_changelist')}?{urlencode({'q': stream_id})}", stream_id)


def _link(address: str, text: str) -> str:
    return format_html('<a href="{}">{}</a>', address, text)
