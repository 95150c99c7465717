"""Which accounts somebody may see and act on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReach:
    """The accounts that client `client_id` opened, and those that it was granted; every account if it is None."""

    client_id: str | None = None
    granted: frozenset[str] = frozenset()

    def includes(self, *, account_id: str, client_id: str | None) -> bool:
        """Tell whether the account `account_id`, which `client_id` opened, is within reach."""
        return self.client_id is None or self.client_id == client_id or account_id in self.granted


EVERY_ACCOUNT = AccountReach()
