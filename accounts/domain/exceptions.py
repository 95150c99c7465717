"""Why the bank refuses something about an account, and what cannot be in an account's history."""

from typing import Any, ClassVar

from accounts.domain.events import AccountEvent


class AccountError(Exception):
    """Base of every refusal of the accounts app; the class names the fact, `code` is stable.

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


class AccountReserved(AccountError):
    """The account is one that the bank keeps for itself: nobody opens it, nobody acts on it. Fields: accountId."""

    code = "account_reserved"


class AccountIsFrozen(AccountError):
    """A frozen account takes no movement, cannot be frozen again and cannot be closed. Fields: accountId."""

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


class CorruptHistory(Exception):
    """Base of what an account's stream cannot hold: a fault in the log or in the program, never a refusal.

    Whoever folds a stream stops here; nothing is guessed and nothing is skipped.
    """


class UnknownEventType(CorruptHistory):
    """No class is known for a stored name in this schema version."""

    def __init__(self, *, event_type: str, schema_version: int) -> None:
        super().__init__(f"{event_type}, schema version {schema_version}")
        self.event_type = event_type
        self.schema_version = schema_version


class MalformedEvent(CorruptHistory):
    """Stored data lacks a key, has one too many, or a value of another kind."""

    def __init__(self, *, event_type: str, key: str, problem: str) -> None:
        super().__init__(f"{event_type}: {key} {problem}")
        self.event_type = event_type
        self.key = key
        self.problem = problem


class ImpossibleEvent(CorruptHistory):
    """An event cannot follow what its account has come to."""

    def __init__(self, *, event: AccountEvent, problem: str) -> None:
        super().__init__(f"{type(event).__name__} of {event.account_id}: {problem}")
        self.event = event
        self.problem = problem
