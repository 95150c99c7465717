"""What admin pages have in common that show and never change, over tables too big to be counted."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

MAX_LISTED_ROWS = 10_000
"""How far one can turn pages; who looks for more has to search."""

MAX_SHORT_JSON_LENGTH = 120

# Django's own classes take no type parameters when the program runs.


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages through the first MAX_LISTED_ROWS rows: counting all rows of a log takes longer than anyone waits."""

    @cached_property
    def count(self) -> int:
        """The number of rows, if it is below the cap."""
        rows: Any = self.object_list[:MAX_LISTED_ROWS]
        return int(rows.count())


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists and shows rows to those with the permission to view them; nobody can add, change or delete."""

    actions: Sequence[str] | None = None
    list_per_page = 100
    paginator = CappedPaginator
    show_full_result_count = False
    # The default order is an index's; any other would sort the whole table.
    sortable_by = ()

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Return the list. Raises IncorrectLookupParameters for what no row can hold, such as NUL."""
        try:
            return super().get_changelist_instance(request)
        except DataError as error:
            raise IncorrectLookupParameters from error

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        """Return the row with that key, None if there is none or no row can have it."""
        try:
            row: Model | None = super().get_object(request, object_id, from_field)
        except DataError:
            return None
        return row

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


class CompositeKeyChangeList(ChangeList):
    """Links each row by all columns of its key."""

    def url_for_result(self, result: Any) -> str:
        """Return the address of the row's page."""
        key = json.dumps([getattr(result, name) for name in self.model_admin.key_columns])  # type: ignore[attr-defined]
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(quote(key),))


class CompositeKeyAdmin(ReadOnlyAdmin):
    """A table whose key has several columns, of which Django's mirror names but one."""

    key_columns: tuple[str, ...]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that links by the whole key."""
        return CompositeKeyChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        """Return the row with that key, None if there is none or no row can have it."""
        try:
            key = json.loads(object_id)
            return self.get_queryset(request).filter(**dict(zip(self.key_columns, key, strict=True))).first()
        # What is no key, one of numbers too big or with NUL, and one nested too deep to be read.
        except (ValueError, TypeError, OverflowError, DataError, RecursionError):
            return None


def pretty_json(document: Any) -> str:
    """Return a JSON document as HTML that people can read."""
    return format_html("<pre>{}</pre>", json.dumps(document, indent=2, ensure_ascii=False))


def short_json(document: Any) -> str:
    """Return the beginning of a JSON document, on one line."""
    text = json.dumps(document, ensure_ascii=False)
    return text if len(text) <= MAX_SHORT_JSON_LENGTH else f"{text[:MAX_SHORT_JSON_LENGTH]}…"
