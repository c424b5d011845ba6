"""Events become a chain: each carries its number within its case, and the link over the one before it."""

import sqlalchemy as sa
from alembic import op

from mqi_communicator.store.chain import CONTENT, GENESIS, link

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Number and link what has happened so far. From now on no row can be added without."""
    op.add_column("events", sa.Column("seq", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("events", sa.Column("link", sa.Text(), nullable=False, server_default=""))
    op.execute("DROP TRIGGER events_no_update")
    connection = op.get_bind()
    before, seqs = GENESIS, dict[str, int]()
    rows = connection.execute(sa.text("SELECT * FROM events ORDER BY id")).mappings().all()
    for number, row in enumerate(rows, start=1):
        seqs[row["case"]] = seqs.get(row["case"], 0) + 1
        values = {name: row[name] for name in CONTENT} | {"id": number, "seq": seqs[row["case"]]}
        before = link(before, values)
        connection.execute(
            sa.text("UPDATE events SET id = :id, seq = :seq, link = :link WHERE id = :old"),
            {"id": number, "seq": values["seq"], "link": before, "old": row["id"]},
        )
    op.execute(
        "CREATE TRIGGER events_no_update BEFORE UPDATE ON events "
        "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
    )
