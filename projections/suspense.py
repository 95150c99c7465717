"""What stands in suspense: money of refunds that could not go back where it came from."""

from collections.abc import Mapping

from accounts.domain.own_accounts import RESERVED_PREFIX
from projections.models import IN_SUSPENSE, AccountSummary, TransferStatus


def suspense_balances() -> Mapping[str, int]:
    """Return the balance of each suspense account by its currency, in minor units, as the read model has it."""
    accounts = AccountSummary.objects.filter(account_id__startswith=RESERVED_PREFIX)
    return dict(accounts.order_by("account_id").values_list("currency", "balance"))


def count_in_suspense() -> int:
    """Return how many transfers wait for somebody to release their money."""
    return TransferStatus.objects.filter(IN_SUSPENSE).count()
