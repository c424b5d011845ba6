"""Alembic migrations: the store is upgraded when it is opened, never downgraded."""
