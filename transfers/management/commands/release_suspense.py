"""`manage.py release_suspense ID ACCOUNT REASON`: pays a refund that stands in suspense to an account."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventstore.records import CommandContext
from transfers.domain.commands import ReleaseSuspense
from transfers.domain.exceptions import TransferNotFound
from transfers.handlers import release_suspense
from transfers.management.arguments import identifier, operators_name, reason


class Command(BaseCommand):
    """Records who releases the money, to whom and why; once for each transfer."""

    help = "Pay a refund that its source could not take out of suspense, to an account."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the transfer's id, the account that gets its money, and the reason."""
        parser.add_argument("transfer_id", type=identifier)
        parser.add_argument("account_id", type=identifier, help="the account that is paid")
        parser.add_argument("reason", type=reason, help="kept in the transfer's history")

    def handle(self, *args: Any, transfer_id: str, account_id: str, reason: str, **options: Any) -> None:
        """Release, and say so. Raises CommandError if nothing stands in suspense, or the account cannot take it."""
        if settings.IN_MEMORY:
            raise CommandError(
                "release_suspense needs PostgreSQL: an in-memory bank lives in one process", returncode=2
            )
        command = ReleaseSuspense(transfer_id=transfer_id, account_id=account_id, reason=reason)
        try:
            outcome = release_suspense(command=command, context=CommandContext(metadata={"actor": operators_name()}))
        except TransferNotFound as error:
            raise CommandError(f"{transfer_id}: {error.code}") from None
        if outcome.refused:
            raise CommandError(f"{transfer_id}: {outcome.result['code']}")
        self.stdout.write(f"paid to {account_id}")
