"""Deliveries and fractions as cases of their own, each with the case of its plan."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add three columns and an index; every case of an older version is a plan."""
    op.add_column("cases", sa.Column("kind", sa.Text, nullable=False, server_default="plan"))
    op.add_column("cases", sa.Column("parent", sa.Text, nullable=False, server_default=""))
    op.add_column("cases", sa.Column("fraction", sa.Text, nullable=False, server_default=""))
    op.create_index("cases_by_parent", "cases", ["parent", "kind"], unique=False)
