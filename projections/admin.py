"""The read side in the back office: accounts and their statements; what else it shows has modules of its own."""

from typing import Any

from django.contrib import admin
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.http import urlencode
from django.utils.timezone import localtime

from accounts.domain.money import format_money
from accounts.permissions import Permission
from accounts.repository import account_stream_id
from eventstore.read_only_admin import ReadOnlyAdmin, pretty_json
from eventstore.records import JsonObject
from projections.acting_admin import Act, ActingAdmin
from projections.admin_links import HAS_EVENT_PAGES, events_link, link
from projections.job_admin import ProjectionJobAdmin as ProjectionJobAdmin
from projections.models import AccountStatement, AccountSummary, VerificationDifference, VerifiedStream
from projections.projection_admin import ProjectionCheckpointAdmin as ProjectionCheckpointAdmin
from projections.projection_admin import ProjectionFailureAdmin as ProjectionFailureAdmin
from projections.repair import rebuild_account
from projections.statements import statement
from projections.transfer_admin import TransferStatusAdmin as TransferStatusAdmin
from projections.verification_admin import VerificationDifferenceAdmin as VerificationDifferenceAdmin

admin.site.site_header = "The bank's back office"
admin.site.site_title = "Back office"
admin.site.index_title = "The books"
admin.site.site_url = None


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


def _rebuild(account: AccountSummary, metadata: JsonObject, *, reason: str) -> str:
    standings = rebuild_account(account_id=account.account_id, reason=reason, metadata=metadata)
    return "Now " + "; ".join(f"{one.projection} is {one.state} at version {one.version}" for one in standings) + "."


@admin.register(AccountSummary)
class AccountSummaryAdmin(ActingAdmin):
    """Accounts as they are now; operations can have one projected anew."""

    acts = (
        Act(
            name="rebuild_account",
            title="Rebuild from its events",
            permission=Permission.REBUILD_PROJECTIONS,
            is_in_order=lambda account: True,
            perform=_rebuild,
        ),
    )

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
        return link(f"{address}?{urlencode({'account_id': account.account_id})}", "statement")

    @admin.display(description="events")
    def events(self, account: AccountSummary) -> str:
        """Return a link to the account's events."""
        return events_link(account_stream_id(account.account_id))


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
        return link(reverse("admin:projections_accountsummary_change", args=(line.account_id,)), line.account_id)

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
        return link(reverse("admin:projections_transferstatus_change", args=(line.transfer_id,)), line.transfer_id)

    @admin.display(description="metadata")
    def pretty_metadata(self, line: AccountStatement) -> str:
        """Return the note's metadata."""
        return pretty_json(line.metadata)

    @admin.display(description="event")
    def event(self, line: AccountStatement) -> str:
        """Return a link to the event behind the line."""
        text = f"position {line.position}"
        return link(reverse("admin:eventstore_event_change", args=(line.position,)), text) if HAS_EVENT_PAGES else text
