"""Retain what the contract says: archive what is due, then drop it, one small piece a call.

A piece is one short transaction, so that readings wait for it at most tens of milliseconds. Whatever was interrupted
goes on from there: a file that was not recorded is written again, and what was dropped is counted in the same
transaction.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa

from foretwin.contract.retention import length_of
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.contracts import load_contracts
from foretwin.twin.ingest.snapshot_keeping import drop_snapshots
from foretwin.twin.retention.archive_files import archive_folder, read_archive, readings_table, write_archive
from foretwin.twin.retention.hourly import sum_up
from foretwin.twin.retention.whole_partitions import PartitionAging, age_partitions, is_dropped_whole
from foretwin.twin.store import Connection, Store
from foretwin.twin.store.aging import archives, due_readings, due_records, holds, hours
from foretwin.twin.store.aging.archives import READINGS, ArchiveFile, NewArchive
from foretwin.twin.store.aging.due_records import RECORD_KINDS, Due, RecordKind
from foretwin.twin.store.aging.reclaim import reclaim_pages
from foretwin.twin.store.scoring import thinning

HOURS, SNAPSHOTS = "hours", "files of snapshots"
READINGS_AT_ONCE, RECORDS_AT_ONCE = 100_000, 20_000  # in one file
PIECE = 1_000  # rows dropped in one transaction
NEWEST_SPARED = 200  # readings of a present run, and its window: a week of hours, which questions of what-if look at
FEWEST_SCORES = 60  # of an asset, that are thinned out together
ASSETS_AT_ONCE = 25  # whose scores are thinned out in one transaction
SHORTEST = timedelta(days=1)  # that a file spans, unless it is full before: rather few files than early ones
BETWEEN = 60.0  # s between two looks while nothing is due
REST = 0.02  # s between two pieces, for others who write

logger = logging.getLogger("foretwin.watch")


@dataclass
class Retaining:
    """The work on one project: `opened` are the files whose rows are being dropped, by digest."""

    store: Store
    root: Path
    contracts: Mapping[str, Twin]
    opened: dict[str, pa.Table] = field(default_factory=dict)


def retain(store: Store, root: Path, stop: threading.Event) -> None:
    """Retain in small pieces until `stop` is set; what goes wrong is logged once, and tried again."""
    told = ""
    while not stop.is_set():
        try:
            idle = not retain_once(Retaining(store, root, load_contracts(root)), datetime.now(UTC), stop)
            told = ""
        except ForetwinError as error:
            if str(error) != told:
                told = str(error)
                logger.warning("retention: %s", error)
            idle = True
        if idle:
            stop.wait(BETWEEN)


def retain_once(work: Retaining, now: datetime, stop: threading.Event | None = None) -> dict[str, int]:
    """Archive and drop all that is due now; return kind -> rows dropped from the store, empty where nothing was due.

    What is wrong with one twin's archive is raised once the others are done.
    """
    counts: dict[str, int] = {}
    failures: list[ForetwinError] = []
    for contract in work.contracts.values():
        if dropped := drop_snapshots(work.root, contract, now.date()):
            counts[SNAPSHOTS] = dropped
        try:
            while not (stop and stop.is_set()) and (done := take_step(work, contract, now)):
                counts[done[0]] = counts.get(done[0], 0) + done[1]
                if stop:
                    stop.wait(REST)
        except ForetwinError as error:
            failures.append(error)
    try:
        newest = {name: _spared(contract) for name, contract in work.contracts.items()}
        aging = PartitionAging(work.store, work.root, work.contracts, newest)
        if dropped := age_partitions(aging, now, stop or threading.Event()):
            counts[READINGS] = counts.get(READINGS, 0) + dropped
    except ForetwinError as error:
        failures.append(error)
    if failures:
        raise failures[0]
    return counts


def take_step(work: Retaining, contract: Twin, now: datetime) -> tuple[str, int] | None:
    """Do one piece of work for a twin; return the kind of rows and how many were dropped, None where nothing is due."""
    with work.store.read() as connection:
        open_archive = archives.unfinished(connection, contract.name)
        released = holds.released_assets(connection)
    if open_archive:
        return open_archive.kind, _drop_piece(work, contract, open_archive)
    work.opened.clear()
    thinned = _thin_out(work, contract)
    if thinned is not None:
        return "scores", thinned
    archived = _archive_next(work, contract, now)
    if archived is not None:
        return archived, 0
    dropped = _drop_hours(work, contract, now)
    if dropped is not None:
        return HOURS, dropped
    for asset in released:
        dropped = _drop_released(work, contract, asset)
        if dropped is not None:
            return READINGS, dropped
    return ("pages", 0) if reclaim_pages(work.store) else None


def _archive_next(work: Retaining, contract: Twin, now: datetime) -> str | None:
    """Write the next file; return the kind of its rows, None where nothing is due."""
    if _archive_readings(work, contract, now):
        return READINGS
    return next((kind.name for kind in RECORD_KINDS.values() if _archive_records(work, contract, kind, now)), None)


def _thin_out(work: Retaining, contract: Twin) -> int | None:
    """Thin out the scores of some assets; None where there is none that has many."""
    rule = thinning.rule_of(contract)
    if rule is None:
        return None
    with work.store.read() as connection:
        due = thinning.thick_assets(connection, contract.name, ASSETS_AT_ONCE, FEWEST_SCORES)
    if not due:
        return None
    with work.store.write() as connection:
        return thinning.thin_out(connection, due, rule)


def _archive_readings(work: Retaining, contract: Twin, now: datetime) -> bool:
    """Write the next file of readings, with what their hours come to; whether there was any."""
    term = length_of(contract.retention.readings)
    if term is None:
        return False
    with work.store.read() as connection:
        after = archives.last_archived(connection, contract.name)
        found = due_readings.due_readings(connection, contract.name, after, now - term, READINGS_AT_ONCE)
        number = archives.count_archives(connection, contract.name, READINGS) + 1
    if found is None:
        return False
    since, until = (moment.item().replace(tzinfo=UTC) for moment in (found.received_at.min(), found.received_at.max()))
    if len(found) < READINGS_AT_ONCE * 3 // 4 and since > now - term - SHORTEST:
        return False
    file, digest = _written(work, contract.name, READINGS, number, readings_table(found))
    new = NewArchive(contract.name, READINGS, file, digest, len(found), int(found.batch.max()), since, until)
    summed = list(sum_up(found))
    with work.store.write() as connection:
        archive = _record(work, connection, new, number, now)
        if archive is not None:
            hours.add_hours(connection, contract.name, found.channels, archive, summed)
    return True


def _drop_hours(work: Retaining, contract: Twin, now: datetime) -> int | None:
    """Drop what the hours of the oldest file say of channels, once they are old; None where none are.

    The file has the readings themselves. Which hours it has it says itself: a search by archive would read them all.
    """
    term = length_of(contract.retention.hours)
    if term is None:
        return None
    with work.store.read() as connection:
        archive = archives.with_old_hours(connection, contract.name, now - term)
    if archive is None:
        return None
    rows = read_archive(archive_folder(work.root, contract.name), archive)
    hour = rows["received_at"].to_numpy().astype("datetime64[h]").astype(np.int64)
    keys = np.unique(np.stack([rows["asset"].to_numpy(), rows["run"].to_numpy(), hour], axis=1), axis=0).tolist()
    dropped = 0
    for begin in range(0, len(keys), PIECE):
        with work.store.write() as connection:
            some = [(asset, run, one) for asset, run, one in keys[begin : begin + PIECE]]
            dropped += hours.drop_channels(connection, archive.id, some)
    with work.store.write() as connection:
        archives.mark_hours_dropped(connection, archive)
    return dropped


def _archive_records(work: Retaining, contract: Twin, kind: RecordKind, now: datetime) -> bool:
    """Write the next file of another kind; whether there was any."""
    retention = contract.retention
    terms = {"events": retention.events, "quarantine": retention.quarantine, "audit": retention.audit}
    terms["machine_events"] = retention.readings
    term = length_of(terms.get(kind.name, retention.scores.days))
    if term is None:
        return False
    others = tuple(name for name in work.contracts if name != contract.name)
    due = Due(contract.name, now - term, RECORDS_AT_ONCE, contract.name == next(iter(work.contracts)), others)
    with work.store.read() as connection:
        rows = due_records.due_records(connection, kind, due)
        number = archives.count_archives(connection, contract.name, kind.name) + 1
    if not rows:
        return False
    since, until = min(row[kind.moment] for row in rows), max(row[kind.moment] for row in rows)
    if len(rows) < RECORDS_AT_ONCE and since > due.before - SHORTEST:
        return False
    table = pa.Table.from_pylist([{name: _plain(value) for name, value in row.items()} for row in rows])
    file, digest = _written(work, contract.name, kind.name, number, table)
    with work.store.write() as connection:
        new = NewArchive(contract.name, kind.name, file, digest, len(rows), 0, since, until)
        _record(work, connection, new, number, now)
    return True


def _written(work: Retaining, twin: str, kind: str, number: int, table: pa.Table) -> tuple[str, str]:
    return write_archive(archive_folder(work.root, twin), f"{kind}-{number:06d}", table)


def _record(work: Retaining, connection: Connection, new: NewArchive, number: int, now: datetime) -> int | None:
    """Record a file, unless an erasure has deleted it since: it deletes what is not on record."""
    there = (archive_folder(work.root, new.twin) / new.file).is_file()
    return archives.add_archive(connection, new, number, now) if there else None


def _plain(value: object) -> object:
    """Return JSON as text, anything else as it is."""
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value


def _drop_piece(work: Retaining, contract: Twin, archive: ArchiveFile) -> int:
    """Drop the next rows of a file from the store, once it was seen that the file is there and whole."""
    if archive.digest not in work.opened:
        work.opened[archive.digest] = read_archive(archive_folder(work.root, contract.name), archive)
    if archive.kind == READINGS and is_dropped_whole(work.store, work.contracts, archive.last_batch):
        with work.store.write() as connection:  # their partition goes once all in it is archived
            archives.advance(connection, archive, archive.rows)
        return 0
    rows = work.opened[archive.digest].slice(archive.dropped, PIECE)
    with work.store.write() as connection:
        if not archives.advance(connection, archive, min(archive.rows, archive.dropped + PIECE)):
            return 0  # another process did it
        if archive.kind != READINGS:
            return due_records.drop_records(connection, RECORD_KINDS[archive.kind], rows.to_pylist())
        keys = np.stack([rows[name].to_numpy().astype(np.int64) for name in ("asset", "run", "batch")], axis=1)
        return due_readings.drop_readings(connection, keys, rows["time"].to_numpy(), _spared(contract))


def _spared(contract: Twin) -> int:
    return max(NEWEST_SPARED, contract.window.length)


def _drop_released(work: Retaining, contract: Twin, asset: int) -> int | None:
    """Drop some of what a hold had spared, and the hold once nothing is left; None where it is another twin's."""
    with work.store.write() as connection:
        return due_readings.drop_spared(connection, contract.name, asset, PIECE, _spared(contract))
