"""What the dashboard asks for among many cases: the figures of each verdict, and indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"

INDEXES = (
    ("cases_by_seen", "cases", ["seen", "key", "source"]),
    ("cases_by_word", "cases", ["word", "seen"]),
    ("lines_by_end", "lines", ["beam", "status", "since"]),
    ("jobs_by_case", "jobs", ["case"]),
    ("jobs_by_end", "jobs", ["host", "exit_code", "ended"]),
    ("orders_by_case", "orders", ["case", "id"]),
    ("figures_by_machine", "figures", ["machine", "name", "scope", "at"]),
)


def upgrade() -> None:
    """Add them. Cases that were judged before have no figures; their verdicts stand in their folders."""
    op.create_table(
        "figures",
        sa.Column("case", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case"], ["cases.key"]),
        sa.PrimaryKeyConstraint("case", "name", "scope"),
    )
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns, unique=False)
