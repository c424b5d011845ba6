"""Which cases are constancy samples."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the name of the sample. All cases from before are of patients."""
    op.add_column("cases", sa.Column("constancy", sa.Text(), nullable=False, server_default=""))
    op.create_index("cases_by_constancy", "cases", ["constancy", "seen"], unique=False)
