"""Partitions of the fleet: each asset has a slot, by its name; a store has one partition until it is rebalanced."""

import sqlalchemy as sa
from alembic import op

from foretwin.dataset.machine_names import slot_of

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ASSETS = sa.table("assets", sa.column("id", sa.Integer()), sa.column("name", sa.String()), sa.column("slot"))
AT_ONCE = 10_000


def upgrade() -> None:
    """Add the slots of the assets that are there, the partitions of batches, and the table that counts them."""
    op.add_column("assets", sa.Column("slot", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("batches", sa.Column("partition", sa.Integer()))
    condition = sa.text("partition IS NOT NULL")
    op.create_index(
        "batches_of_partition", "batches", ["partition", "id"], sqlite_where=condition, postgresql_where=condition
    )
    op.create_table(
        "partitioning",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("since", COUNT, nullable=False),
    )
    connection = op.get_bind()
    rows = connection.execute(sa.select(ASSETS.c.id, ASSETS.c.name)).all()
    change = sa.update(ASSETS).where(ASSETS.c.id == sa.bindparam("of")).values(slot=sa.bindparam("new"))
    for begin in range(0, len(rows), AT_ONCE):
        some = rows[begin : begin + AT_ONCE]
        connection.execute(change, [{"of": number, "new": slot_of(name)} for number, name in some])
