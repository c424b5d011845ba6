"""The one longer run that was declared for a case."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add what was declared. Nothing was for cases from before."""
    op.add_column("cases", sa.Column("extension", sa.Text(), nullable=False, server_default=""))
