"""Records of the files of the archive: what each holds, and how much of it has been dropped from the store."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from foretwin.twin.store.archive_tables import archives

READINGS = "readings"


@dataclass(frozen=True)
class NewArchive:
    """A file that was written and read back. `digest` is its SHA-256, `since` and `until` its rows' moments."""

    twin: str
    kind: str  # readings, or the name of another table
    file: str  # in the twin's folder of archives
    digest: str
    rows: int
    last_batch: int  # of readings: it and the files before it hold all up to this batch; else 0
    since: datetime
    until: datetime


@dataclass(frozen=True)
class ArchiveFile(NewArchive):
    """A recorded file; `dropped` of its rows have been dropped from the store, or spared."""

    id: int
    written_at: datetime
    dropped: int


def add_archive(connection: Connection, new: NewArchive, number: int, now: datetime) -> int | None:
    """Record the twin's archive of that number of its kind; return its id, None where another process was first."""
    if count_archives(connection, new.twin, new.kind) + 1 != number:
        return None
    values = {**asdict(new), "written_at": now}
    return int(connection.execute(insert(archives).values(values).returning(archives.c.id)).scalar_one())


def count_archives(connection: Connection, twin: str, kind: str) -> int:
    """Count the twin's archives of a kind; their records are never deleted."""
    mine = (archives.c.twin == twin, archives.c.kind == kind)
    return int(connection.execute(select(func.count()).select_from(archives).where(*mine)).scalar_one())


def archives_of(connection: Connection, twin: str, kind: str | None = None) -> list[ArchiveFile]:
    """Return the twin's archives, the oldest first; of one kind where that is given."""
    query = select(*_columns()).where(archives.c.twin == twin)
    query = query if kind is None else query.where(archives.c.kind == kind)
    return [ArchiveFile(**row) for row in connection.execute(query.order_by(archives.c.id)).mappings()]


@dataclass(frozen=True)
class ArchivedKind:
    """What the twin's archive holds of one kind; moments are those of the first row, the last one, and the last file.

    `dropped` of the rows were looked at and dropped from the store, or spared.
    """

    kind: str
    files: int
    rows: int
    dropped: int
    since: datetime
    until: datetime
    written_at: datetime


def archived_kinds(connection: Connection, twin: str) -> list[ArchivedKind]:
    """Return what the archive holds of each kind, by what is recorded of its files."""
    table = archives.c
    sums = (func.count(), func.sum(table.rows), func.sum(table.dropped))
    moments = (func.min(table.since), func.max(table.until), func.max(table.written_at))
    query = select(table.kind, *sums, *moments).where(table.twin == twin).group_by(table.kind).order_by(table.kind)
    return [ArchivedKind(row[0], int(row[1]), int(row[2]), int(row[3]), *row[4:]) for row in connection.execute(query)]


def newest_archives(connection: Connection, twin: str, most: int) -> list[ArchiveFile]:
    """Return the files that were written last, the newest first."""
    query = select(*_columns()).where(archives.c.twin == twin).order_by(archives.c.id.desc()).limit(most)
    return [ArchiveFile(**row) for row in connection.execute(query).mappings()]


def unfinished(connection: Connection, twin: str) -> ArchiveFile | None:
    """Return the oldest archive whose rows are still to be dropped."""
    query = select(*_columns()).where(archives.c.twin == twin, archives.c.dropped < archives.c.rows)
    row = connection.execute(query.order_by(archives.c.id).limit(1)).mappings().first()
    return None if row is None else ArchiveFile(**row)


def with_old_hours(connection: Connection, twin: str, before: datetime) -> ArchiveFile | None:
    """Return the oldest archive of readings before that moment whose hours still have their channels."""
    mine = (archives.c.twin == twin, archives.c.kind == READINGS, ~archives.c.hours_dropped)
    query = select(*_columns()).where(*mine, archives.c.until < before, archives.c.dropped == archives.c.rows)
    row = connection.execute(query.order_by(archives.c.id).limit(1)).mappings().first()
    return None if row is None else ArchiveFile(**row)


def mark_hours_dropped(connection: Connection, archive: ArchiveFile) -> None:
    """Record that the hours of an archive have lost their channels."""
    connection.execute(update(archives).where(archives.c.id == archive.id).values(hours_dropped=True))


def last_archived(connection: Connection, twin: str) -> int:
    """Return the batch up to which archives hold all the twin's readings; 0 without any."""
    mine = (archives.c.twin == twin, archives.c.kind == READINGS)
    return int(connection.execute(select(func.max(archives.c.last_batch)).where(*mine)).scalar() or 0)


def advance(connection: Connection, archive: ArchiveFile, dropped: int) -> bool:
    """Record how many of its rows are dropped now; False where another process changed the record meanwhile."""
    same = (archives.c.id == archive.id, archives.c.digest == archive.digest, archives.c.dropped == archive.dropped)
    return connection.execute(update(archives).where(*same).values(dropped=dropped)).rowcount == 1


def replace_file(connection: Connection, archive: ArchiveFile, file: str, digest: str, kept: tuple[int, int]) -> bool:
    """Record that another file stands for it, with `kept` rows, and dropped ones among these; False as `advance`."""
    same = (archives.c.id == archive.id, archives.c.digest == archive.digest, archives.c.dropped == archive.dropped)
    values = {"file": file, "digest": digest, "rows": kept[0], "dropped": kept[1]}
    return connection.execute(update(archives).where(*same).values(values)).rowcount == 1


def _columns() -> list[Any]:
    return [archives.c[field.name] for field in fields(ArchiveFile)]
