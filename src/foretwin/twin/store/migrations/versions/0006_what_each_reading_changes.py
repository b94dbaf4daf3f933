"""A reading changes the row of its asset and no index: the last hour in that row, what waits for scoring beside it.

Also whose archives' hours have aged out.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns and the table; the hours that are counted stay where they are."""
    for name, kind in (
        ("hour", sa.Integer()),
        ("hour_run", sa.Integer()),
        ("hour_count", COUNT),
        ("hour_first_time", sa.Double()),
        ("hour_last_time", sa.Double()),
        ("hour_first_at", MOMENT),
        ("hour_last_at", MOMENT),
    ):
        op.add_column("assets", sa.Column(name, kind))
    op.add_column("archives", sa.Column("hours_dropped", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "unscored",
        sa.Column("twin", sa.String(), nullable=False),
        sa.Column("asset", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("twin", "asset"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO unscored (twin, asset) SELECT twin, id FROM assets WHERE batch > scored_batch")
    op.drop_index("assets_with_news", "assets")
    if op.get_bind().dialect.name == "postgresql":  # room for another version of each row: one call may change all
        op.execute("ALTER TABLE assets SET (fillfactor = 50)")
