"""PostgreSQL's readings in partitions by their batches: what has aged out is dropped, not deleted; SQLite is as before.

The table that is there becomes the first partition as it is. It is read once, to see that its batches fit, and none of
its rows is written. All is one transaction: where it was interrupted, nothing has happened, and the next start begins
again.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SPAN = 1_000_000_000  # numbers of batches that one partition has


def upgrade() -> None:
    """Put the readings below a partitioned table, with a partition for those that are kept and an empty next one."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return
    last = connection.execute(sa.text("SELECT coalesce(max(id), 0) FROM batches")).scalar_one()
    begin = (last // SPAN + 1) * SPAN
    if last:
        logging.getLogger("foretwin.store").warning("reading all readings, once; none is written anew")
    for statement in (
        "ALTER TABLE readings RENAME TO readings_0",
        "ALTER INDEX readings_pkey RENAME TO readings_0_pkey",
        "ALTER INDEX ix_readings_batch RENAME TO readings_0_batch_idx",
        "CREATE TABLE readings (LIKE readings_0 INCLUDING STORAGE) PARTITION BY RANGE (batch)",
        "ALTER TABLE readings ADD CONSTRAINT readings_asset_fkey FOREIGN KEY (asset) REFERENCES assets (id)",
        f"ALTER TABLE readings ATTACH PARTITION readings_0 FOR VALUES FROM (0) TO ({begin})",
        "CREATE INDEX ix_readings_batch ON readings (batch)",
        *_partition("readings_kept", "MINVALUE", "0"),
        *_partition(f"readings_{begin // SPAN}", str(begin), str(begin + SPAN)),
    ):
        op.execute(statement)


def _partition(name: str, begin: str, end: str) -> tuple[str, str]:
    bounds = f"FOR VALUES FROM ({begin}) TO ({end})"
    return (
        f"CREATE TABLE {name} PARTITION OF readings {bounds}",
        f"ALTER TABLE {name} ADD PRIMARY KEY (asset, run, time)",
    )
