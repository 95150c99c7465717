"""Access in the back office: which accounts were granted to which clients."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from bank.models import AccountGrant


@admin.register(AccountGrant)
class AccountGrantAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own class takes none at run time
    """Grants are given and taken back; there is nothing about one to change."""

    list_display = ("account_id", "client", "created_at")
    search_fields = ("account_id__exact", "client__username__exact")
    search_help_text = "The id of an account, or the name of a client"
    autocomplete_fields = ("client",)
    fields = ("client", "account_id")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False
