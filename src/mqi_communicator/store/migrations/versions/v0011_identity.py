"""The identity of each case: patient id, plan label and treatment machine, for the worklist and for searches."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

INDEXES = (
    ("cases_by_patient", ["patient_id"]),
    ("cases_by_machine", ["machine", "seen"]),
    ("cases_by_label", ["plan_label", "seen"]),
)


def upgrade() -> None:
    """Add them. Machines are in the figures; patient ids and labels are read from the spool after the next start."""
    for name in ("patient_id", "plan_label", "machine"):
        op.add_column("cases", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE cases SET machine = "
        "COALESCE((SELECT machine FROM figures WHERE figures.\"case\" = cases.key LIMIT 1), '')"
    )
    for name, columns in INDEXES:
        op.create_index(name, "cases", columns, unique=False)
