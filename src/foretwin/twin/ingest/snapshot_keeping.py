"""Snapshots of waveforms that came live and are kept as files: data/<twin>/waveforms/<day>/, one machine in each."""

import shutil
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from foretwin.contract.retention import length_of
from foretwin.contract.twin import Twin
from foretwin.errors import StoreError
from foretwin.project.digests import text_digest
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.wire.readings import Decoded

FOLDER = "waveforms"


def snapshot_folder(root: Path, twin: str) -> Path:
    """Return the folder of a twin's snapshots."""
    return Paths(root, twin).data / FOLDER


def keep_snapshots(root: Path, decoded: Iterable[Decoded], now: datetime) -> None:
    """Write the snapshots that are kept; those that come again on a day are in the file that they are in.

    StoreError where there is no room.
    """
    for one in decoded:
        if one.snapshots is None or one.readings is None:
            continue
        folder = snapshot_folder(root, one.readings.twin) / now.date().isoformat()
        for asset in pc.unique(one.snapshots.column("asset")).to_pylist():
            mine = one.snapshots.filter(pc.equal(one.snapshots.column("asset"), asset))
            keys = mine.select([name for name in ("asset", "run", "time") if name in mine.column_names])
            path = folder / f"{_beginning(asset)}{text_digest(str(keys.to_pydict()))[:24]}.parquet"
            if not path.exists():
                _write(path, mine)


def drop_snapshots(root: Path, contract: Twin, today: date) -> int:
    """Remove the days that are older than `retention.waveforms` says; return how many files these had."""
    term, folder = length_of(contract.retention.waveforms), snapshot_folder(root, contract.name)
    if term is None or not folder.is_dir():
        return 0
    days: Mapping[str, Path] = {path.name: path for path in folder.iterdir() if path.is_dir()}
    due = [path for name, path in days.items() if name < (today - term).isoformat()]
    count = sum(len(list(path.iterdir())) for path in due)
    for path in due:
        shutil.rmtree(path)
    return count


def kept_of(root: Path, twin: str, asset: str) -> list[Path]:
    """Return the files of one machine's snapshots."""
    paths, mine = sorted(snapshot_folder(root, twin).glob("*/*.parquet")), _beginning(asset)
    return [path for path in paths if (path.name.startswith(mine) if "-" in path.name else _asset_in(path) == asset)]


def newest_of(root: Path, twin: str, asset: str) -> Path | None:
    """Return the file of a machine's newest snapshots; None where none is kept."""
    folder = snapshot_folder(root, twin)
    for day in sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ():
        mine = list(day.glob(f"{_beginning(asset)}*.parquet"))
        if mine:
            return max(mine, key=lambda path: path.stat().st_mtime_ns)
    return None


def _beginning(asset: str) -> str:
    """Return how the names of a machine's files begin."""
    return f"{text_digest(asset)[:16]}-"


def _asset_in(path: Path) -> Any:
    """Return whose snapshots a file holds that an earlier version named."""
    return pyarrow.parquet.read_table(path, columns=["asset"])[0][0].as_py()


def _write(path: Path, table: pa.Table) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh_file(path) as out:
            pyarrow.parquet.write_table(table, out, compression="zstd", use_dictionary=False)
    except OSError as error:
        raise StoreError(f"{path.parent}: snapshots cannot be kept: {error}; make room") from error
