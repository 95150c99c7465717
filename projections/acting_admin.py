"""Pages of the back office on which staff can do something about the row that they show."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from rest_framework import serializers

from accounts.permissions import Permission
from accounts.serializers import StrictCharField
from eventstore.read_only_admin import ReadOnlyAdmin
from eventstore.records import JsonObject

MAX_REASON_LENGTH = 500

_REASON = StrictCharField(max_length=MAX_REASON_LENGTH)


class ReasonForm(forms.Form):
    """Why somebody does what he does."""

    reason = forms.CharField(
        max_length=MAX_REASON_LENGTH, widget=forms.TextInput({"size": 80}), help_text="Kept in the log, with the act."
    )

    def clean_reason(self) -> str:
        """Return the reason. Raises ValidationError for what the API would not take either."""
        try:
            return _REASON.to_internal_value(self.cleaned_data["reason"])
        except serializers.ValidationError as error:
            raise forms.ValidationError([str(detail) for detail in error.detail]) from None


class NotDone(Exception):
    """The act was refused; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that staff with `permission` can do about a row for which it `is_in_order`.

    `perform(row, metadata, **fields)` gets who it is, and the fields of the form; it returns what to tell him, or
    raises NotDone. `name` is that of its address.
    """

    name: str
    title: str
    permission: Permission
    is_in_order: Callable[[Any], bool]
    perform: Callable[..., str]
    form: type[forms.Form] = ReasonForm


class ActingAdmin(ReadOnlyAdmin):
    """Shows rows, and offers what can be done about each; the rows themselves nobody changes."""

    acts: tuple[Act, ...] = ()
    change_form_template = "admin/projections/acts.html"

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's own addresses, and those of the acts."""
        acts = [
            path(f"<path:object_id>/{act.name}/", self.admin_site.admin_view(self._view_of(act)), name=act.name)
            for act in self.acts
        ]
        return [*acts, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the row with the acts that are in order, to those who may do them."""
        row: Model = kwargs["obj"]
        context["acts"] = [
            {"title": act.title, "address": reverse(f"admin:{act.name}", args=(row.pk,)), "form": act.form()}
            for act in self.acts
            if act.is_in_order(row) and request.user.has_perm(f"bank.{act.permission}")
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def _view_of(self, act: Act) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return self._perform(act, request, object_id)

        return view

    def _perform(self, act: Act, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self.get_object(request, object_id) if request.user.has_perm(f"bank.{act.permission}") else None
        if row is None:
            raise PermissionDenied
        form = act.form(request.POST)
        if form.is_valid():
            try:
                done = act.perform(row, metadata_of(request), **form.cleaned_data)
                self.message_user(request, done, messages.SUCCESS)
            except NotDone as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(request, f"Nothing was done. {what_is_wrong(form)}", messages.ERROR)
        # The act may have been the end of the row: then the page leads on to the list.
        return HttpResponseRedirect(
            reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(object_id,))
        )


def what_is_wrong(form: forms.Form) -> str:
    """Return what is wrong with a form, on one line."""
    return " ".join(f"{name}: {' '.join(map(str, texts))}" for name, texts in form.errors.items())


def metadata_of(request: HttpRequest) -> JsonObject:
    """Return what an event says of the member of staff that it goes back to."""
    return {"actor": request.user.get_username()}
