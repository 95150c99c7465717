"""The GETs on accounts: each answers from one read model, with one query, and says how fresh that is."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from accounts.api_view import ApiView, json_answer
from accounts.domain.access import AccountReach
from accounts.permissions import Permission, reach_of
from accounts.serializers import read_path_identifier
from projections.account_reads import read_account
from projections.freshness import Freshness, freshness_column, page_with_freshness
from projections.models import AccountSummary
from projections.serializers import (
    ACCOUNT_COLUMNS,
    AccountListQuery,
    AccountQuery,
    HistoryQuery,
    account_document,
    balance_document,
)
from projections.statement_reads import Selection, read_statement
from projections.verified_columns import VERIFIED_COLUMNS, verified_columns


class AccountListView(ApiView):
    """Accounts by owner, status and currency, in the order of their ids."""

    permission = Permission.VIEW_ACCOUNTS

    def get(self, request: HttpRequest) -> HttpResponse:
        """Answer 200 with one page, and the cursor of the next one if there is more."""
        query = AccountListQuery.read(data=request.GET)
        cursor, limit = query.pop("cursor", None), query.pop("limit")
        accounts = AccountSummary.objects.filter(_within(reach_of(request)), **query).order_by("account_id")
        if cursor is not None:
            accounts = accounts.filter(account_id__gt=cursor)
        fresh = freshness_column(projection="account_summary")
        # One row more than the page tells whether there is another page.
        columns = (*ACCOUNT_COLUMNS, *VERIFIED_COLUMNS, *fresh)
        wanted = accounts.annotate(**verified_columns(), **fresh).values(*columns)[: limit + 1]
        rows, freshness = page_with_freshness(projection="account_summary", read=lambda: list(wanted.all()))
        page = rows[:limit]
        content = {
            "accounts": [account_document(row) for row in page],
            "nextCursor": page[-1]["account_id"] if len(rows) > limit else None,
        }
        return json_answer(content=content, headers=read_headers(freshness))


class AccountDetailView(ApiView):
    """One account."""

    permission = Permission.VIEW_ACCOUNTS
    is_fiber = True
    document: ClassVar[Callable[..., dict[str, Any]]] = staticmethod(account_document)

    def get(self, request: HttpRequest, account_id: str) -> HttpResponse:
        """Answer 200, or 404 if the account is not there.

        Reads follow writes after a moment. With `minVersion` they do not lag behind that write, and answer 409 if the
        account never was at that version.
        """
        read_path_identifier(name="accountId", value=account_id)
        query = AccountQuery.read(data=request.GET)
        min_version = query.get("min_version", 0)
        row, freshness = read_account(account_id=account_id, reach=reach_of(request), min_version=min_version)
        return json_answer(content=self.document(row), headers=read_headers(freshness, version=row["version"]))


class AccountBalanceView(AccountDetailView):
    """The balance of one account."""

    document = staticmethod(balance_document)


class AccountHistoryView(ApiView):
    """The statement of one account, with the running balance on every line."""

    permission = Permission.VIEW_ACCOUNTS
    is_fiber = True

    def get(self, request: HttpRequest, account_id: str) -> HttpResponse:
        """Answer 200, 404 or 409, as a read of the account does; the ETag is the version that the lines reflect."""
        read_path_identifier(name="accountId", value=account_id)
        query = HistoryQuery.read(data=request.GET)
        statement = read_statement(
            account_id=account_id,
            selection=_selection(query),
            reach=reach_of(request),
            min_version=query.get("min_version", 0),
        )
        content = {"accountId": account_id, "entries": statement.entries}
        return json_answer(content=content, headers=read_headers(statement.freshness, version=statement.version))


def _within(reach: AccountReach) -> Q:
    """Return what narrows accounts to those within `reach`: the others are not there for whoever asks."""
    return Q() if reach.client_id is None else Q(client_id=reach.client_id) | Q(account_id__in=reach.granted)


def _selection(query: Mapping[str, Any]) -> Selection:
    descending = query["order"] == "desc"
    conditions = {
        ("stream_version", "lt" if descending else "gt"): query.get("after"),
        ("occurred_at", "gte"): query.get("from"),
        ("occurred_at", "lt"): query.get("to"),
        ("event_type", "exact"): query.get("type"),
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    return Selection(conditions=given, descending=descending, offset=query["offset"], limit=query["limit"])


def read_headers(freshness: Freshness, *, version: int | None = None) -> dict[str, str]:
    """Return what every read carries; what is told about money is not for any cache to keep."""
    headers = {
        "X-Projection-Position": str(freshness.position),
        "X-Projection-Age-Ms": str(freshness.age_ms),
        "Cache-Control": "no-store",
    }
    return headers if version is None else headers | {"ETag": f'"{version}"'}
