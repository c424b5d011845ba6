"""Indexes of the worklist, and of searches for a patient."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Replace indexes by ones that answer these queries without reading the rows."""
    op.drop_index("cases_by_signature")
    op.create_index(
        "cases_by_signature", "cases", ["signature", "word", "rank", "superseded_by", "constancy"], unique=False
    )
    op.drop_index("cases_by_seen")
    op.create_index("cases_by_seen", "cases", ["seen", "key", "source", "patient_id", "plan_label"], unique=False)
