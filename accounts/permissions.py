"""What principals may do: the names of the permissions, who holds them, and the check that every view shares."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.domain.access import EVERY_ACCOUNT, AccountReach


class Permission(StrEnum):
    """Each view names one of these as its `permission`; docs/access.md says which role holds which."""

    VIEW_ACCOUNTS = "view_accounts"
    OPEN_ACCOUNT = "open_account"
    DEPOSIT_MONEY = "deposit_money"
    WITHDRAW_MONEY = "withdraw_money"
    FREEZE_ACCOUNT = "freeze_account"
    UNFREEZE_ACCOUNT = "unfreeze_account"
    CLOSE_ACCOUNT = "close_account"
    VIEW_TRANSFERS = "view_transfers"
    TRANSFER_MONEY = "transfer_money"
    RETRY_TRANSFER = "retry_transfer"
    RELEASE_SUSPENSE = "release_suspense"
    SEND_COMMANDS = "send_commands"
    """Many in one request; each of them needs its own permission too."""
    VIEW_OWN_COMMANDS = "view_own_commands"
    REBUILD_PROJECTIONS = "rebuild_projections"
    VIEW_METRICS = "view_metrics"
    REACH_EVERY_ACCOUNT = "reach_every_account"
    """No act of its own: without it, the others hold for the principal's own accounts and those it was granted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking, and what it may do; stands in requests where Django's users stand, and is named like them.

    `pk` outlives the principal's tokens. `permissions` are the values of Permission.
    """

    pk: str
    username: str
    permissions: frozenset[str]
    reach: AccountReach

    is_authenticated = True

    def get_username(self) -> str:
        """Return the name under which the principal's acts are on record."""
        return self.username


class HoldsPermission(BasePermission):
    """Lets a request pass whose principal holds the permission that the view names; a view that names none is shut."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Tell whether the principal holds the view's permission; nobody holds any without a token."""
        principal = principal_in(request)
        return principal is not None and getattr(view, "permission", None) in principal.permissions


def principal_in(request: HttpRequest | Request) -> Principal | None:
    """Return who sent `request`; None if nobody authenticated itself, as in open mode nobody does."""
    return cast("Principal | None", request.user)


def reach_of(request: HttpRequest | Request) -> AccountReach:
    """Return the accounts that the sender of `request` may see and act on; in open mode everybody may, on all."""
    principal = principal_in(request)
    return principal.reach if principal else EVERY_ACCOUNT
