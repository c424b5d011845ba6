"""The state of the signature of each case's newest judgement."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_DELIVERED = "UPDATE cases SET signature = 'unsigned' WHERE results != '' AND same_as = ''"
# The last signature of a case counts if no judgement was delivered after it.
_SIGNED = """
UPDATE cases SET
    signature = CASE json_extract(signed.facts, '$.decision') WHEN 'reject' THEN 'rejected' ELSE 'signed' END,
    signed_by = signed.who,
    signed_at = signed.at
FROM (SELECT "case", MAX(id) AS last, at, who, facts FROM events WHERE event = 'case.signed' GROUP BY "case") AS signed
WHERE cases.key = signed."case" AND cases.signature = 'unsigned' AND NOT EXISTS (
    SELECT 1 FROM events
    WHERE events."case" = cases.key AND events.id > signed.last
    AND events.event IN ('order.rejudge', 'line.extended', 'case.extended'))
"""


def upgrade() -> None:
    """Add what is known from the events. Delivered cases without a signature are unsigned."""
    op.add_column("cases", sa.Column("signature", sa.Text(), nullable=False, server_default=""))
    op.add_column("cases", sa.Column("signed_by", sa.Text(), nullable=False, server_default=""))
    op.add_column("cases", sa.Column("signed_at", sa.Float(), nullable=False, server_default="0"))
    op.create_index("cases_by_signature", "cases", ["signature", "word", "seen"], unique=False)
    op.execute(_DELIVERED)
    op.execute(_SIGNED)
