"""Several hosts, GPUs and priorities."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what a case and a job need to know of hosts and GPUs. Cases from before rank by their arrival."""
    for column in (
        sa.Column("host", sa.Text(), nullable=False, server_default=""),
        sa.Column("priority", sa.Text(), nullable=False, server_default="routine"),
        sa.Column("rank", sa.Float(), nullable=False, server_default="0"),
        sa.Column("demand", sa.Text(), nullable=False, server_default=""),
    ):
        op.add_column("cases", column)
    op.execute("UPDATE cases SET rank = seen")
    op.create_index("cases_by_rank", "cases", ["rank"], unique=False)
    op.add_column("jobs", sa.Column("gpus", sa.Text(), nullable=False, server_default=""))
    op.add_column("orders", sa.Column("beam", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("orders", sa.Column("detail", sa.Text(), nullable=False, server_default=""))
    op.create_index("events_by_step", "events", ["step", "event", "id"], unique=False)
    op.create_table(
        "places",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
