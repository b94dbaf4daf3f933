"""Files of the archive: one Parquet file after the other, each read back before it counts.

They lie in data/<twin>/archive/, or in <twin>/ below the folder that FORETWIN_ARCHIVE names. Their names end with the
beginning of their content's digest, so that two processes never write different content to one name.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foretwin.errors import StoreError
from foretwin.project.digests import file_digest
from foretwin.project.paths import Paths
from foretwin.project.settings import read_setting
from foretwin.twin.store import Connection
from foretwin.twin.store.aging.archives import READINGS, ArchiveFile, archives_of
from foretwin.twin.store.aging.due_readings import ReadingSlice
from foretwin.twin.store.aging.hours import archives_with

ARCHIVE_VARIABLE = "FORETWIN_ARCHIVE"
ROW_GROUP = 20_000  # rows that are read together where one asset is looked for
KEY_COLUMNS = ("asset", "run", "time", "batch", "received_at")


def archive_folder(root: Path, twin: str) -> Path:
    """Return the folder of the twin's archive."""
    value = read_setting(ARCHIVE_VARIABLE)
    return Path(value).resolve() / twin if value else Paths(root, twin).data / "archive"


def write_archive(folder: Path, name: str, table: pa.Table) -> tuple[str, str]:
    """Write a file, read it back and return its name and its digest; StoreError where it does not hold the table."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}.partial"
    reals = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    split = {"use_byte_stream_split": reals, "use_dictionary": [n for n in table.schema.names if n not in reals]}
    try:
        pq.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP, **split)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        digest = file_digest(temporary)
        final = folder / f"{name}-{digest[:12]}.parquet"
        temporary.replace(final)
    except OSError as error:
        raise StoreError(f"{folder}: the archive cannot be written: {error}; nothing was dropped") from error
    finally:
        temporary.unlink(missing_ok=True)
    if file_digest(final) != digest or not pq.read_table(final).equals(table):
        raise StoreError(f"{final}: does not read back as it was written; nothing was dropped")
    return final.name, digest


def read_archive(folder: Path, archive: ArchiveFile) -> pa.Table:
    """Read a file; StoreError where it is missing or is not the one that was recorded."""
    path = folder / archive.file
    advice = f"restore it, or set {ARCHIVE_VARIABLE} to the folder that holds {folder.name}/"
    if not path.is_file():
        raise StoreError(f"{path}: not there, and holds {archive.rows} {archive.kind}; {advice}")
    if file_digest(path) != archive.digest:
        raise StoreError(f"{path}: is not the file that was written; {advice}")
    return pq.read_table(path)


def readings_table(found: ReadingSlice) -> pa.Table:
    """Return the readings as a table; a channel that a reading lacks is null."""
    columns = {
        "asset": pa.array(found.asset.astype(np.int32)),
        "run": pa.array(found.run.astype(np.int32)),
        "time": pa.array(found.time),
        "batch": pa.array(found.batch),
        "received_at": pa.array(found.received_at, pa.timestamp("us", "UTC")),
    }
    for place, name in enumerate(found.channels):
        values = np.ascontiguousarray(found.measured[:, place])
        columns[name] = pa.array(values, mask=np.isnan(values))
    return pa.table(columns)


def archived_readings(
    connection: Connection, root: Path, twin: str, channels: Sequence[str], asset_ids: Sequence[int]
) -> Iterator[pd.DataFrame]:
    """Yield what the archive holds of these assets, file by file, each in order of asset, run and time.

    Columns: asset (its id), run, time, batch, received_at, and one per channel (float32), NaN where it is missing.
    """
    folder, wanted = archive_folder(root, twin), archives_with(connection, sorted(asset_ids))
    for archive in archives_of(connection, twin, READINGS):
        if archive.id in wanted:
            yield _frame(read_asset_rows(folder, archive, sorted(wanted[archive.id])), channels)


def read_asset_rows(folder: Path, archive: ArchiveFile, asset_ids: Sequence[int]) -> pa.Table:
    """Read the rows of some assets; row groups without them are not read. StoreError where the file is missing."""
    path = folder / archive.file
    if not path.is_file():
        raise StoreError(f"{path}: not there, and holds {archive.rows} {archive.kind}; restore it")
    return pq.read_table(path, filters=pc.field("asset").isin(list(asset_ids)))


def _frame(table: pa.Table, channels: Sequence[str]) -> pd.DataFrame:
    columns = {name: table[name].to_numpy() for name in KEY_COLUMNS[:-1]}
    columns["received_at"] = table["received_at"].cast(pa.timestamp("us")).to_numpy()
    frame = pd.DataFrame(columns).astype({"asset": np.int64, "run": np.int64})
    missing = np.full(len(frame), np.nan, np.float32)
    values = {name: table[name].to_numpy() if name in table.column_names else missing for name in channels}
    return frame.assign(**{name: column.astype(np.float32) for name, column in values.items()})
