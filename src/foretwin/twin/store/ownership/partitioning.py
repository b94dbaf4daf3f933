"""Partitions of the fleet: everything of an asset belongs to one of P, and who stores it waits for nobody else's.

A batch's number is drawn while its partition is locked, so that within a partition the numbers follow the order of the
commits. Between partitions they do not; what needs that locks all of them. A store has one partition until it is
rebalanced, and SQLite, which has one writer, always.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, true

from foretwin.errors import BadInput
from foretwin.twin.store.summaries import partitioning
from foretwin.twin.store.tables import assets, batches

MOST = 256  # partitions
LOCK_ALL = "SELECT pg_advisory_xact_lock(7088, 0)"
LOCK_COUNT = "SELECT pg_advisory_xact_lock_shared(7088, 0)"  # so that nobody locks all, or changes how many there are
LOCK_SOME = "SELECT pg_advisory_xact_lock(7087, number) FROM unnest(%b::int4[]) AS wanted (number)"
COUNT = select(partitioning.c["count"], partitioning.c.since)


@dataclass(frozen=True)
class Partition:
    """One of `count` partitions since the batch `since`; one of another count or beginning is another one."""

    number: int = 0
    count: int = 1
    since: int = 0


WHOLE = Partition()  # the fleet of a store that was never rebalanced


@dataclass(frozen=True)
class Partitioning:
    """How many partitions there are; batches up to `since` are from before there were."""

    count: int
    since: int

    def numbers_of(self, slots: Iterable[int]) -> NDArray[np.int64]:
        """Return (N,) the number of the partition of each slot; -1 where there is but one."""
        given = np.fromiter(slots, np.int64)
        return given % self.count if self.count > 1 else np.full(len(given), -1)

    def all(self) -> tuple[Partition, ...]:
        """Return the partitions."""
        return tuple(Partition(number, self.count, self.since) for number in range(self.count))


def is_within(partition: Partition) -> ColumnElement[bool]:
    """Return the condition that an asset of a query belongs to the partition."""
    return true() if partition.count == 1 else assets.c.slot % partition.count == partition.number


def read_partitioning(connection: Connection) -> Partitioning:
    """Return how many partitions there are."""
    row = connection.execute(COUNT).first()
    return Partitioning(1, 0) if row is None else Partitioning(*row)


def serialise_writers(connection: Connection) -> None:
    """Wait until no other transaction stores readings or scores, and block others until this one ends.

    The first lock of a transaction: one that has locked partitions cannot ask for all. SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(LOCK_ALL)


def serialise_partitions(connection: Connection, slots: Iterable[int]) -> Partitioning:
    """Wait until no other transaction stores something of the partitions of these slots, and block those who want to.

    All that a transaction needs in one call: they are locked in the order of their numbers.
    """
    if connection.dialect.name != "postgresql":
        return read_partitioning(connection)
    connection.exec_driver_sql(LOCK_COUNT)
    present = read_partitioning(connection)
    numbers = np.unique(present.numbers_of(slots)).tolist()
    connection.exec_driver_sql(LOCK_SOME, ([max(number, 0) for number in numbers],))
    return present


def still_is(connection: Connection, partition: Partition) -> bool:
    """Lock the partition as `serialise_partitions` does; return whether it is still one of the store's."""
    present = serialise_partitions(connection, [partition.number])
    return (present.count, present.since) == (partition.count, partition.since)


def numbers_of_assets(connection: Connection, asset_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (N,) the number of the partition of each asset, as `Partitioning.numbers_of`."""
    present = read_partitioning(connection)
    if present.count == 1:
        return np.full(len(asset_ids), -1)
    ids = np.unique(asset_ids)
    found: dict[Any, Any] = {}
    for some in np.array_split(ids, len(ids) // 10_000 + 1):
        query = select(assets.c.id, assets.c.slot).where(assets.c.id.in_(some.tolist()))
        found |= {row.id: row.slot for row in connection.execute(query)}
    return present.numbers_of(found[number] for number in asset_ids.tolist())


def last_batch(connection: Connection, partition: Partition | None = None) -> int:
    """Return the number of the newest batch, of a partition or of all, 0 where there is none.

    Of a partition that has none yet, the last one before there were so many: all up to it has been committed.
    """
    newest = select(func.max(batches.c.id))
    if partition is None or partition.count == 1:
        return connection.execute(newest).scalar_one() or 0
    of_it: int | None = connection.execute(newest.where(batches.c.partition == partition.number)).scalar_one()
    return max(of_it or 0, partition.since)


def rebalance(connection: Connection, count: int) -> Partitioning:
    """Divide the fleet into so many partitions from now on; who stores or scores waits for this transaction.

    BadInput where there cannot be so many.
    """
    if not 1 <= count <= MOST:
        raise BadInput("partitions", f"there may be 1 to {MOST}, not {count}")
    if count > 1 and connection.dialect.name != "postgresql":
        raise BadInput("partitions", "SQLite has one writer, and so one partition; set FORETWIN_STORE to a PostgreSQL")
    serialise_writers(connection)
    present = read_partitioning(connection)
    if present.count == count:
        return present
    new = Partitioning(count, last_batch(connection))
    connection.execute(delete(partitioning))
    connection.execute(insert(partitioning).values(count=new.count, since=new.since))
    return new
