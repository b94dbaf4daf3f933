"""Single values that wait to become readings."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

IS_WAITING = sa.text("waiting > 0")


def upgrade() -> None:
    """Make the table, with a row per asset that sends single values."""
    op.create_table(
        "pending_samples",
        sa.Column("asset", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("twin", sa.String(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["asset"], ["assets.id"]),
        sa.PrimaryKeyConstraint("asset"),
    )
    op.create_index(
        "pending_samples_due",
        "pending_samples",
        ["twin", "heard_at"],
        unique=False,
        sqlite_where=IS_WAITING,
        postgresql_where=IS_WAITING,
    )
