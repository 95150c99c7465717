"""The bank's tests: unit (no database), integration (a real PostgreSQL) and journeys (HTTP in, read model out)."""

import pytest

# Shared suites live outside test modules, where failed assertions would not show their values.
pytest.register_assert_rewrite("tests.eventstore_contract")
