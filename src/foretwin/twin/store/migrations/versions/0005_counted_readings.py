"""How many readings a row of the quarantine stands for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the number, 1 for each row that is there."""
    op.add_column("quarantine", sa.Column("readings", COUNT, nullable=False, server_default="1"))
