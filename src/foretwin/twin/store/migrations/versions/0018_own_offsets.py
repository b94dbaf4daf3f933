"""How far each machine's channels lie from the fleet's, and the channel whose sensor was changed."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column; baselines begin with the windows that come."""
    op.create_table(
        "own_offsets",
        sa.Column("asset", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("until", sa.Double()),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["asset"], ["assets.id"]),
        sa.PrimaryKeyConstraint("asset"),
    )
    op.add_column("maintenance", sa.Column("channel", sa.String()))
