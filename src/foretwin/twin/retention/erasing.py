"""Take an asset out of the files of the archive."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from foretwin.errors import StoreError
from foretwin.twin.retention.archive_files import archive_folder, read_archive, write_archive
from foretwin.twin.store import Store
from foretwin.twin.store.aging import archives
from foretwin.twin.store.aging.archives import ArchiveFile
from foretwin.twin.store.aging.due_records import QUARANTINE
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.holdings import quoted

Forget = Callable[[Any, str], Any]  # a JSON value and a name -> the value without it


def erase_from_archive(store: Store, root: Path, asset: Asset, forget: Forget) -> int:
    """Write every file that holds the asset anew without it; return how many rows were removed.

    Files that no record names, as an interrupted erasure or archive leaves them, are deleted. StoreError where a file
    is missing or altered: then nothing is known of what it holds.
    """
    folder = archive_folder(root, asset.twin)
    with store.read() as connection:
        known = archives.archives_of(connection, asset.twin)
    removed = sum(_erase_from(store, folder, archive, asset, forget) for archive in known)
    with store.read() as connection:
        named = {archive.file for archive in archives.archives_of(connection, asset.twin)}
    for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else ():
        if path.name not in named:
            path.unlink()
    return removed


def _erase_from(store: Store, folder: Path, archive: ArchiveFile, asset: Asset, forget: Forget) -> int:
    table = read_archive(folder, archive)
    mine = _is_about(archive.kind, table, asset)
    kept = _without_mentions(table.filter(pc.invert(mine)), asset.name, forget)
    removed = int(table.num_rows - kept.num_rows)
    if removed == 0 and kept.equals(table):
        return 0
    file, digest = write_archive(folder, archive.file.rpartition("-")[0], kept)
    dropped = archive.dropped - int(pc.sum(mine.slice(0, archive.dropped)).as_py() or 0)
    with store.write() as connection:
        if not archives.replace_file(connection, archive, file, digest, (kept.num_rows, dropped)):
            raise StoreError(f"{folder / archive.file}: was changed meanwhile; erase the asset again")
    (folder / archive.file).unlink(missing_ok=True)
    return removed


def _is_about(kind: str, table: pa.Table, asset: Asset) -> Any:
    """Return (N,) whether each row is about the asset; a message that nobody could read, where it names it."""
    if kind == QUARANTINE.name:
        named, texts = quoted(asset.name), zip(table["asset"].to_pylist(), table["content"].to_pylist(), strict=True)
        return pa.array([of == asset.name if of else any(form in text for form in named) for of, text in texts])
    if pa.types.is_null(table["asset"].type):
        return pa.array([False] * table.num_rows)
    return pc.fill_null(pc.equal(table["asset"], asset.id), False)


def _without_mentions(table: pa.Table, name: str, forget: Forget) -> pa.Table:
    """Take the name out of texts that are about others too."""
    for place, field in enumerate(table.schema):
        if not pa.types.is_string(field.type):
            continue
        texts = table[field.name].to_pylist()
        if any(text and any(form in text for form in quoted(name)) for text in texts):
            told = [_forgotten(text, name, forget) for text in texts]
            table = table.set_column(place, field, pa.array(told, field.type))
    return table


def _forgotten(text: str | None, name: str, forget: Forget) -> str | None:
    if text is None or not any(form in text for form in quoted(name)):
        return text
    try:
        return orjson.dumps(forget(orjson.loads(text), name)).decode()
    except orjson.JSONDecodeError:  # a message that nobody could read, which names it
        return ""


def asset_rows(folder: Path, archive: ArchiveFile, asset: Asset) -> list[dict[str, Any]]:
    """Return the rows of a file of records that are about the asset, for its copy."""
    table = read_archive(folder, archive)
    rows: list[dict[str, Any]] = table.filter(_is_about(archive.kind, table, asset)).to_pylist()
    return rows
