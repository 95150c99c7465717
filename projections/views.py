"""The GETs on accounts: each answers from one read model, with one query."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.domain.exceptions import AccountNotFound
from accounts.serializers import read_path_identifier
from projections.models import AccountStatement, AccountSummary
from projections.serializers import (
    ACCOUNT_COLUMNS,
    BALANCE_COLUMNS,
    ENTRY_COLUMNS,
    AccountListQuery,
    HistoryQuery,
    NoQuery,
    account_document,
    balance_document,
    entry_document,
)


class AccountListView(APIView):
    """Accounts by owner, status and currency, in the order of their ids."""

    def get(self, request: Request) -> Response:
        """Answer 200 with one page, and the cursor of the next one if there is more."""
        query = AccountListQuery.read(data=request.query_params)
        cursor, limit = query.pop("cursor", None), query.pop("limit")
        accounts = AccountSummary.objects.filter(**query).order_by("account_id")
        if cursor is not None:
            accounts = accounts.filter(account_id__gt=cursor)
        # One row more than the page tells whether there is another page.
        rows = list(accounts.values(*ACCOUNT_COLUMNS)[: limit + 1])
        page = rows[:limit]
        return Response(
            {
                "accounts": [account_document(row) for row in page],
                "nextCursor": page[-1]["account_id"] if len(rows) > limit else None,
            }
        )


class AccountDetailView(APIView):
    """One account."""

    def get(self, request: Request, account_id: str) -> Response:
        """Answer 200, or 404 if the account is not there (yet: reads follow writes after a moment)."""
        NoQuery.read(data=request.query_params)
        return Response(account_document(_summary(account_id, ACCOUNT_COLUMNS)))


class AccountBalanceView(APIView):
    """The balance of one account."""

    def get(self, request: Request, account_id: str) -> Response:
        """Answer 200 or 404."""
        NoQuery.read(data=request.query_params)
        return Response(balance_document(_summary(account_id, BALANCE_COLUMNS)))


class AccountHistoryView(APIView):
    """The statement of one account, with the running balance on every line."""

    def get(self, request: Request, account_id: str) -> Response:
        """Answer 200 or 404."""
        read_path_identifier(name="accountId", value=account_id)
        query = HistoryQuery.read(data=request.query_params)
        rows = _statement_lines(account_id, query)
        if not rows and not AccountStatement.objects.filter(account_id=account_id).exists():
            raise AccountNotFound(accountId=account_id)
        return Response({"accountId": account_id, "entries": [entry_document(row) for row in rows]})


def _summary(account_id: str, columns: tuple[str, ...]) -> dict[str, Any]:
    read_path_identifier(name="accountId", value=account_id)
    row: dict[str, Any] | None = AccountSummary.objects.filter(account_id=account_id).values(*columns).first()
    if row is None:
        raise AccountNotFound(accountId=account_id)
    return row


def _statement_lines(account_id: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    descending = query["order"] == "desc"
    conditions = {
        "stream_version__lt" if descending else "stream_version__gt": query.get("after"),
        "occurred_at__gte": query.get("from"),
        "occurred_at__lt": query.get("to"),
        "event_type": query.get("type"),
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    lines = AccountStatement.objects.filter(account_id=account_id, **given)
    lines = lines.order_by("-stream_version" if descending else "stream_version")
    return list(lines.values(*ENTRY_COLUMNS)[query["offset"] : query["offset"] + query["limit"]])
