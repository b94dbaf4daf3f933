"""Where the clocks of runs begin, and how the names of assets are spelt."""

import sqlalchemy as sa
from alembic import op

from foretwin.dataset.machine_names import spelling_key

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

AT_ONCE = 10_000


def upgrade() -> None:
    """Make both tables; of two names that are spellings of one machine, the older one keeps the spelling."""
    op.create_table(
        "run_clocks",
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), primary_key=True),
        sa.Column("run", sa.Integer(), primary_key=True),
        sa.Column("is_calendar", sa.Boolean(), nullable=False),
        sa.Column("zero", sa.Double(), nullable=False),
        sa.Column("last", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double()),
        sa.Column("label", sa.String()),
        sa.Column("carried", sa.JSON()),
    )
    spellings = op.create_table(
        "spellings",
        sa.Column("spelling", sa.String(), primary_key=True),
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), nullable=False),
    )
    op.create_index("ix_spellings_asset", "spellings", ["asset"])
    first: dict[str, int] = {}
    for number, name in op.get_bind().execute(sa.text("SELECT id, name FROM assets ORDER BY id")):
        first.setdefault(spelling_key(name), number)
    rows = [{"spelling": spelling, "asset": number} for spelling, number in first.items()]
    for begin in range(0, len(rows), AT_ONCE):
        op.bulk_insert(spellings, rows[begin : begin + AT_ONCE])
