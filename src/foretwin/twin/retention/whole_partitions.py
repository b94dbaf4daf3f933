"""Let PostgreSQL's readings age by partitions: one begins, one that is archived as a whole is dropped.

It is for projects whose twins keep readings for the same term: in others' partitions some rows had to stay.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from foretwin.contract.retention import length_of
from foretwin.contract.twin import Twin
from foretwin.errors import StoreAway
from foretwin.twin.retention.archive_files import archive_folder, read_archive
from foretwin.twin.store import Store
from foretwin.twin.store.aging import archives, partitions
from foretwin.twin.store.aging.partitions import ReadingPartition
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.telemetry.readings import SPAN

SHARE, SHORTEST = 10, timedelta(days=1)  # a partition is a tenth of the term long, at least a day
ASSETS_AT_ONCE = 100  # that are spared what they keep in one transaction


def common_term(store: Store, contracts: Mapping[str, Twin]) -> timedelta | None:
    """Return the term of the readings of all twins; None where they differ, and in SQLite."""
    terms = {length_of(contract.retention.readings) for contract in contracts.values()}
    return terms.pop() if len(terms) == 1 and not store.is_sqlite else None


def is_dropped_whole(store: Store, contracts: Mapping[str, Twin], batch: int) -> bool:
    """Whether readings up to that batch go with their partition: not those of the first one, which may be old."""
    return batch >= SPAN and common_term(store, contracts) is not None


@dataclass(frozen=True)
class PartitionAging:
    """A project whose partitions age; `newest` says by twin how many readings of a present run stay."""

    store: Store
    root: Path
    contracts: Mapping[str, Twin]
    newest: Mapping[str, int]


def age_partitions(work: PartitionAging, now: datetime, stop: threading.Event) -> int:
    """Begin the next partition where it is time, and drop the oldest where it is archived; return readings dropped.

    StoreError where a file of the archive that holds them is missing or altered.
    """
    term = common_term(work.store, work.contracts)
    if term is None:
        return 0
    with work.store.read() as connection:
        present = last_batch(connection) // SPAN * SPAN
        found = partitions.list_partitions(connection)
        filled = next(one for one in found if one.begin <= present < one.end)
        begun = partitions.begun_at(connection, filled)
    following = filled.end // SPAN
    if filled is found[-1]:
        with work.store.write() as connection:
            partitions.open_partition(connection, following)
    if begun is not None and now - begun >= max(term / SHARE, SHORTEST):
        with work.store.write() as connection:
            partitions.begin_partition(connection, following)
    if found[0] is filled or not _may_go(work, found[0], now - term) or not _spare(work, found[0], stop):
        return 0
    return _drop(work, found[0])


def _may_go(work: PartitionAging, oldest: ReadingPartition, before: datetime) -> bool:
    """Whether all that came in a partition is older than the term and in files that are there and whole."""
    with work.store.read() as connection:
        ended = partitions.ended_at(connection, oldest)
        if ended is not None and (ended >= before or not partitions.is_archived(connection, oldest)):
            return False
        files = {twin: archives.archives_of(connection, twin, archives.READINGS) for twin in work.contracts}
    for twin, written in files.items():
        begin = 0  # of a file: all that the ones before it do not hold
        for file in written:
            if file.last_batch >= oldest.begin and begin < oldest.end:
                read_archive(archive_folder(work.root, twin), file)
            begin = file.last_batch + 1
    return True


def _spare(work: PartitionAging, oldest: ReadingPartition, stop: threading.Event) -> bool:
    """Move what outlives the partition, of some assets at a time; False where it was stopped."""
    last = 0
    while not stop.is_set():
        with work.store.write() as connection:
            some = partitions.assets_of(connection, oldest, last, ASSETS_AT_ONCE)
            if not some:
                return True
            partitions.spare_readings(connection, oldest, some, work.newest)
        last = some[-1]
    return False


def _drop(work: PartitionAging, oldest: ReadingPartition) -> int:
    try:
        with work.store.write() as connection:
            dropped = partitions.drop_partition(connection, oldest, work.newest)
    except StoreAway:  # somebody reads for long: at the next look
        return 0
    forgotten = 1
    while forgotten:
        with work.store.write() as connection:
            forgotten = partitions.forget_batches(connection, oldest.end)
    return dropped
