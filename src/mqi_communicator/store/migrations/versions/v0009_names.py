"""Tables and columns get standard names. Events are not touched: their names are part of the chain."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Rename in place; SQLite keeps rows, keys and triggers. Indices cannot be renamed and are made anew."""
    op.rename_table("lines", "work_items")
    op.drop_index("lines_by_due")
    op.create_index("work_items_by_due", "work_items", ["status", "due"], unique=False)
    op.drop_index("lines_by_end")
    op.create_index("work_items_by_end", "work_items", ["beam", "status", "since"], unique=False)
    op.rename_table("places", "hosts")
    op.execute("ALTER TABLE notices RENAME COLUMN way TO channel")
    op.execute("ALTER TABLE notices RENAME COLUMN told TO event")
