"""Who may do what beyond one's own accounts: grants, and the names of the permissions that roles are made of."""

from django.conf import settings
from django.db import models


class AccountGrant(models.Model):
    """An account that a client may see and act on as if it had opened it."""

    client = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="account_grants", db_index=False
    )
    account_id = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "account_grants"
        # What accounts.permissions names; the API has no models of its own to hang them on.
        permissions = (
            ("view_accounts", "API: view accounts, balances and histories"),
            ("open_account", "API: open an account"),
            ("deposit_money", "API: deposit"),
            ("withdraw_money", "API: withdraw"),
            ("freeze_account", "API: freeze an account"),
            ("unfreeze_account", "API: unfreeze an account"),
            ("close_account", "API: close an account"),
            ("view_transfers", "API: view transfers"),
            ("transfer_money", "API: transfer"),
            ("retry_transfer", "Admin: retry a stuck transfer"),
            ("release_suspense", "Admin: pay a refund out of suspense"),
            ("send_commands", "API: send many commands in one request"),
            ("view_own_commands", "API: look up the outcomes of one's own commands"),
            ("rebuild_projections", "API: repair and rebuild read models"),
            ("view_metrics", "API: read /metrics"),
            ("reach_every_account", "API: act on the accounts of every client"),
        )
        constraints = (models.UniqueConstraint(fields=["client", "account_id"], name="account_grants_key"),)

    def __str__(self) -> str:
        return f"{self.account_id} to {self.client}"
