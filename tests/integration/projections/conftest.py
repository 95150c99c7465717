"""What several modules share that damage a bank of their own."""

from tests.integration.projections.own_database import migrated_database as migrated_database
