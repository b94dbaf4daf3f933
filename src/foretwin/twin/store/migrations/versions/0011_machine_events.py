"""Events that machines report, of which channels are made."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, with a row per event."""
    op.create_table(
        "machine_events",
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("asset", "run", "code", "time"),
        sqlite_with_rowid=False,
    )
    op.create_index("machine_events_by_receipt", "machine_events", ["received_at"])
