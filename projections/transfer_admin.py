"""Transfers in the back office: a list, the timeline of each one's events, and what operations can do about it."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from rest_framework import serializers

from accounts.domain.access import EVERY_ACCOUNT
from accounts.domain.money import format_money
from accounts.domain.own_accounts import is_reserved
from accounts.serializers import IDENTIFIER, StrictCharField
from eventstore.read_only_admin import ReadOnlyAdmin, pretty_json
from eventstore.records import CommandContext, Outcome
from eventstore.store import event_store
from projections.models import IN_SUSPENSE, TransferStatus
from projections.transfer_reads import visible_transfers
from transfers.domain.commands import ReleaseSuspense, RetryTransfer
from transfers.handlers import release_suspense, retry_transfer
from transfers.repository import transfer_stream_id

MAX_TIMELINE_EVENTS = 200
MAX_REASON_LENGTH = 500

_REASON = StrictCharField(max_length=MAX_REASON_LENGTH)


class ReasonForm(forms.Form):
    """Why somebody does what he does."""

    reason = forms.CharField(
        max_length=MAX_REASON_LENGTH, widget=forms.TextInput({"size": 80}), help_text="Kept in the transfer's history."
    )

    def clean_reason(self) -> str:
        """Return the reason. Raises ValidationError for what the API would not take either."""
        try:
            return _REASON.to_internal_value(self.cleaned_data["reason"])
        except serializers.ValidationError as error:
            raise forms.ValidationError([str(detail) for detail in error.detail]) from None


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


@admin.register(TransferStatus)
class TransferStatusAdmin(ReadOnlyAdmin):
    """Transfers, the latest first. Whatever operations do about one is an event of its own."""

    list_display = ("transfer_id", "created_at", "state", "source_account_id", "destination_account_id", "money")
    list_filter = ("state", SuspenseFilter)
    search_fields = ("transfer_id__exact", "source_account_id__exact", "destination_account_id__exact")
    search_help_text = "The id of a transfer, or of an account"
    ordering = ("-first_position",)
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
        """Return the transfer's events, straight from the log."""
        events = event_store().read_stream(transfer_stream_id(transfer.transfer_id), limit=MAX_TIMELINE_EVENTS)
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
            "<table><tr><th>When</th><th>What</th><th>Who</th><th>In these words</th></tr>{}</table>",
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's own addresses, and those of the acts."""
        acts = [
            path("<path:object_id>/retry/", self.admin_site.admin_view(self.retry), name="retry_transfer"),
            path("<path:object_id>/release/", self.admin_site.admin_view(self.release), name="release_suspense"),
        ]
        return [*acts, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the transfer with the acts that are in order, to those who may do them."""
        transfer: TransferStatus = kwargs["obj"]
        context["acts"] = [
            {"title": title, "address": reverse(f"admin:{name}", args=(transfer.pk,)), "form": form()}
            for name, title, form, is_in_order in (
                ("retry_transfer", "Retry", ReasonForm, transfer.state == "STUCK"),
                ("release_suspense", "Release from suspense", ReleaseForm, _is_in_suspense(transfer)),
            )
            if is_in_order and request.user.has_perm(f"bank.{name}")
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def retry(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have a stuck transfer resumed again."""

        def act(reason: str) -> Outcome:
            command = RetryTransfer(transfer_id=object_id, reason=reason)
            return retry_transfer(command=command, context=_context(request))

        return self._done(request, object_id, "bank.retry_transfer", ReasonForm, act)

    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Pay a refund out of suspense."""

        def act(reason: str, account_id: str) -> Outcome:
            command = ReleaseSuspense(transfer_id=object_id, account_id=account_id, reason=reason)
            return release_suspense(command=command, context=_context(request))

        return self._done(request, object_id, "bank.release_suspense", ReleaseForm, act)

    def _done(
        self,
        request: HttpRequest,
        object_id: str,
        permission: str,
        form_class: type[forms.Form],
        act: Callable[..., Outcome],
    ) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(permission) or self.get_object(request, object_id) is None:
            raise PermissionDenied
        form = form_class(request.POST)
        if not form.is_valid():
            wrong = " ".join(f"{name}: {' '.join(map(str, texts))}" for name, texts in form.errors.items())
            self.message_user(request, f"Nothing was done. {wrong}", messages.ERROR)
        elif (outcome := act(**form.cleaned_data)).refused:
            self.message_user(request, f"Refused: {outcome.result['code']}.", messages.ERROR)
        else:
            self.message_user(request, "Done. The page follows the log after a moment.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:projections_transferstatus_change", args=(object_id,)))


def _account_link(account_id: str | None) -> str:
    if account_id is None:
        return "-"
    return format_html(
        '<a href="{}">{}</a>', reverse("admin:projections_accountsummary_change", args=(account_id,)), account_id
    )


def _is_in_suspense(transfer: TransferStatus) -> bool:
    return transfer.refunded_to is not None and is_reserved(transfer.refunded_to) and transfer.released_to is None


def _context(request: HttpRequest) -> CommandContext:
    """Return the context of an act of staff. A form sent twice needs no key: the transfer's own rules refuse it."""
    return CommandContext(metadata={"actor": request.user.get_username()})
