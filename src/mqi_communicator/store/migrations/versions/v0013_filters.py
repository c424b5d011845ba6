"""Indexes that contain the filters of the worklist, and its order for a signer."""

from alembic import op

revision = "0013"
down_revision = "0012"

_FILTERS = ["superseded_by", "constancy", "machine", "seen", "plan_label"]


def upgrade() -> None:
    """Replace an index, and add two."""
    op.drop_index("cases_by_signature")
    op.create_index("cases_by_signature", "cases", ["signature", "word", "rank", *_FILTERS], unique=False)
    op.create_index("cases_by_signer", "cases", ["signed_by", "signed_at", "word", *_FILTERS], unique=False)
    op.create_index("cases_by_signature_seen", "cases", ["signature", "seen"], unique=False)
