"""Why the bank refuses something about an account; the class names the fact, `code` is stable."""

from typing import Any, ClassVar


class AccountError(Exception):
    """Base of every refusal of the accounts app.

    `fields` are the facts behind the refusal, by their API names (camelCase): plain JSON, fit to be stored with the
    verdict and to be put into words by whoever answers.
    """

    code: ClassVar[str] = "account_error"

    def __init__(self, **fields: Any) -> None:
        super().__init__(self.code, fields)
        self.fields = fields


class AccountExists(AccountError):
    """An account with this id was opened before. Fields: accountId."""

    code = "account_exists"


class AccountNotFound(AccountError):
    """There is no account with this id. Fields: accountId."""

    code = "account_not_found"


class AccountIsFrozen(AccountError):
    """A frozen account takes no movement. Fields: accountId."""

    code = "account_frozen"


class AccountNotFrozen(AccountError):
    """Only a frozen account can be unfrozen. Fields: accountId."""

    code = "account_not_frozen"


class AccountIsClosed(AccountError):
    """A closed account takes nothing at all. Fields: accountId."""

    code = "account_closed"


class CurrencyMismatch(AccountError):
    """The amount is in another currency than the account. Fields: accountId, currency, accountCurrency."""

    code = "currency_mismatch"


class InsufficientFunds(AccountError):
    """The balance is below the amount. Fields: accountId, balance, amount, currency."""

    code = "insufficient_funds"


class BalanceLimitExceeded(AccountError):
    """The balance would pass 2^53-1 minor units. Fields: accountId, balance, amount, currency."""

    code = "balance_limit_exceeded"


class BalanceNotZero(AccountError):
    """Only an account with balance 0 can be closed. Fields: accountId, balance, currency."""

    code = "balance_not_zero"
