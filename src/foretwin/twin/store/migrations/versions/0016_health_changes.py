"""How many assets are in which state of health, as changes that are added up, beginning with those that are there."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STATE = """UPDATE urgencies SET
    was_silent = (SELECT is_silent FROM assets WHERE assets.id = urgencies.asset),
    was_heard = (SELECT received_at IS NOT NULL FROM assets WHERE assets.id = urgencies.asset)"""
SUMS = """INSERT INTO health_changes (twin, severity, word, is_silent, is_heard, change)
SELECT assets.twin, severity, word, was_silent, was_heard, count(*)
FROM urgencies JOIN assets ON assets.id = urgencies.asset
GROUP BY assets.twin, severity, word, was_silent, was_heard"""


def upgrade() -> None:
    """Add the table and the columns by which assets are counted, and count those that are there."""
    op.add_column("urgencies", sa.Column("was_silent", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("urgencies", sa.Column("was_heard", sa.Boolean()))
    op.create_table(
        "health_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("twin", sa.String(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("word", sa.String()),
        sa.Column("is_silent", sa.Boolean(), nullable=False),
        sa.Column("is_heard", sa.Boolean(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.execute(STATE)
    op.execute(SUMS)
