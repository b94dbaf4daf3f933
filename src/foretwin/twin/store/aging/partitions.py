"""Partitions of PostgreSQL's readings: opened ahead, filled one after the other, dropped as a whole.

`readings_3` has the readings of the batches from 3 * SPAN on; the numbers of batches go on there once it begins. What
outlives its partition, as the first reading of a run does, is moved to `readings_kept`: its batch gets a number that
is KEPT lower, with a row of its own in `batches`, so that the order of all numbers stays that of their moments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from foretwin.twin.store.aging.archives import last_archived, unfinished
from foretwin.twin.store.aging.holds import held_assets
from foretwin.twin.store.ownership.partitioning import last_batch, serialise_writers
from foretwin.twin.store.tables import batches, layouts, readings
from foretwin.twin.store.telemetry.readings import SPAN

KEPT = 10**15
AT_ONCE = 10_000  # batches deleted in one transaction
PATIENCE_MS = 100  # that dropping waits for those who read, and whoever comes next waits for it

TABLES = (
    "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'readings'::regclass"
)
OPEN = (
    "CREATE TABLE {name} (LIKE readings INCLUDING STORAGE)",
    "ALTER TABLE {name} ADD PRIMARY KEY (asset, run, time)",
    "ALTER TABLE readings ATTACH PARTITION {name} FOR VALUES FROM ({begin}) TO ({end})",
)
NEXT_NUMBER = "SELECT setval(pg_get_serial_sequence('batches', 'id'), %s, false)"
ASSETS = "SELECT DISTINCT asset FROM {} WHERE asset > %s ORDER BY asset LIMIT %s"
SPARE = f"""
WITH here AS (
    SELECT DISTINCT asset, run FROM readings WHERE asset = ANY(%b::int4[]) AND batch >= %b AND batch < %b
), ends AS (
    SELECT here.asset, here.run,
        newest.twin IS NULL OR here.asset IN (SELECT asset FROM holds WHERE released_at IS NULL) AS stays,
        (SELECT min(time) FROM readings AS of WHERE of.asset = here.asset AND of.run = here.run) AS first,
        (SELECT time FROM readings AS of WHERE of.asset = here.asset AND of.run = here.run ORDER BY time DESC
            OFFSET CASE WHEN here.run = assets.run THEN newest.count ELSE 1 END - 1 LIMIT 1) AS last
    FROM here JOIN assets ON assets.id = here.asset
        LEFT JOIN unnest(%b::text[], %b::int4[]) AS newest (twin, count) ON newest.twin = assets.twin
), moved AS (
    UPDATE readings SET batch = readings.batch - {KEPT} FROM ends
    WHERE readings.asset = ends.asset AND readings.run = ends.run AND readings.batch >= %b AND readings.batch < %b
        AND (ends.stays OR ends.last IS NULL OR readings.time <= ends.first OR readings.time >= ends.last)
    RETURNING readings.batch
)
INSERT INTO batches (id, received_at, via)
SELECT id - {KEPT}, received_at, via FROM batches WHERE id IN (SELECT DISTINCT batch + {KEPT} FROM moved)
ON CONFLICT DO NOTHING"""  # noqa: S608 - of constants alone
FORGET = """DELETE FROM batches WHERE id IN (SELECT id FROM batches WHERE id >= 0 AND id < %s ORDER BY id LIMIT %s)"""


@dataclass(frozen=True)
class ReadingPartition:
    """The partition of the batches from `begin` to before `end`."""

    name: str
    begin: int
    end: int


def list_partitions(connection: Connection) -> list[ReadingPartition]:
    """Return the partitions in order, without that of what is kept."""
    names = connection.exec_driver_sql(TABLES).scalars()
    numbers = sorted(int(name.removeprefix("readings_")) for name in names if name != "readings_kept")
    ends = [*numbers[1:], numbers[-1] + 1]
    return [
        ReadingPartition(f"readings_{number}", number * SPAN, end * SPAN)
        for number, end in zip(numbers, ends, strict=True)
    ]


def open_partition(connection: Connection, number: int) -> None:
    """Make a partition unless it is there; neither who reads nor who writes readings waits for that."""
    serialise_writers(connection)  # processes that do the same
    if any(one.begin <= number * SPAN < one.end for one in list_partitions(connection)):
        return
    for statement in OPEN:
        place = {"name": f"readings_{number}", "begin": number * SPAN, "end": (number + 1) * SPAN}
        connection.exec_driver_sql(statement.format(**place))


def begin_partition(connection: Connection, number: int) -> None:
    """Let the batches from now on be those of a partition that is there."""
    serialise_writers(connection)
    if last_batch(connection) < number * SPAN:
        connection.exec_driver_sql(NEXT_NUMBER, (number * SPAN,))


def begun_at(connection: Connection, partition: ReadingPartition) -> datetime | None:
    """Return when the first batch came that the partition still has; None where it has none."""
    return _moment(connection, partition, newest=False)


def ended_at(connection: Connection, partition: ReadingPartition) -> datetime | None:
    """Return when the last batch came that the partition has; None where it has none."""
    return _moment(connection, partition, newest=True)


def is_archived(connection: Connection, partition: ReadingPartition) -> bool:
    """Whether the archive holds all of it, and nothing of an archive is just being dropped row by row."""
    held: dict[str, list[int]] = {}
    for number, twin in connection.execute(select(layouts.c.id, layouts.c.twin)):
        held.setdefault(twin, []).append(number)
    for twin, numbers in held.items():
        after = max(last_archived(connection, twin) + 1, partition.begin)
        inside = (readings.c.batch >= after, readings.c.batch < partition.end, readings.c.layout.in_(numbers))
        if unfinished(connection, twin) or connection.execute(select(readings.c.batch).where(*inside).limit(1)).first():
            return False
    return True


def assets_of(connection: Connection, partition: ReadingPartition, after: int, most: int) -> list[int]:
    """Return the next assets after that number which have readings in the partition."""
    return list(connection.exec_driver_sql(ASSETS.format(partition.name), (after, most)).scalars())


def spare_readings(
    connection: Connection, partition: ReadingPartition, asset_ids: Sequence[int], newest: Mapping[str, int]
) -> None:
    """Move what outlives the partition to that of what is kept: of held assets all, else as `drop_readings` spares.

    `newest` says by twin how many readings of a present run stay; of a twin that it does not name all do.
    """
    serialise_writers(connection)
    place = (partition.begin, partition.end)
    connection.exec_driver_sql(SPARE, (list(asset_ids), *place, list(newest), list(newest.values()), *place))


def drop_partition(connection: Connection, partition: ReadingPartition, newest: Mapping[str, int]) -> int:
    """Drop the partition, all of whose assets have been spared what they keep; return how many readings that were.

    What is held since then is spared too. StoreAway where somebody reads the readings just now.
    """
    rows = connection.exec_driver_sql(f"SELECT count(*) FROM {partition.name}").scalar_one()  # noqa: S608 - our own name
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {PATIENCE_MS}")
    serialise_writers(connection)
    connection.exec_driver_sql("LOCK TABLE holds IN SHARE MODE")
    held: list[Any] = list(connection.execute(held_assets()).scalars())
    if held:
        spare_readings(connection, partition, held, newest)
    connection.exec_driver_sql("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
    connection.exec_driver_sql(f"DROP TABLE {partition.name}")
    return int(rows)


def forget_batches(connection: Connection, before: int) -> int:
    """Delete some batches before that number, of whose readings none is left; return how many that were."""
    return connection.exec_driver_sql(FORGET, (before, AT_ONCE)).rowcount


def cover_batches(connection: Connection, numbers: Sequence[int]) -> None:
    """Make the partitions of batches of these numbers, and one more."""
    wanted = {number // SPAN for number in numbers if number >= 0}
    for one in sorted(wanted | {max(wanted, default=0) + 1}):
        open_partition(connection, one)


def _moment(connection: Connection, partition: ReadingPartition, newest: bool) -> datetime | None:
    inside = (batches.c.id >= partition.begin, batches.c.id < partition.end)
    end = func.max(batches.c.id) if newest else func.min(batches.c.id)
    number = select(end).where(*inside).scalar_subquery()
    return connection.execute(select(batches.c.received_at).where(batches.c.id == number)).scalar()
