"""How many readings a row of the quarantine stands for, and its rows by moment."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the number, 1 for each row that is there, and the index."""
    op.add_column("quarantine", sa.Column("readings", COUNT, nullable=False, server_default="1"))
    op.create_index("quarantine_by_moment", "quarantine", ["received_at"], unique=False)
