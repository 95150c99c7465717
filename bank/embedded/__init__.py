"""PostgreSQL and Valkey from their wheels, started and stopped for a bank on one machine."""
