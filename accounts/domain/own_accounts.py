"""The accounts that the bank keeps for itself, whose ids no client can use."""

RESERVED_PREFIX = "suspense:"
OWNER = "bank"


def suspense_account_id(*, currency: str) -> str:
    """Return the account for money of `currency` that could not go back where it came from."""
    return f"{RESERVED_PREFIX}{currency}"


def is_reserved(account_id: str) -> bool:
    """Tell whether an account of this id can only be the bank's own."""
    return account_id.startswith(RESERVED_PREFIX)
