"""Find and remove project files that hold rows of an asset, by content.

All of them are made again by `dvc repro` from what remains. DVC's cache is searched object by object, since it also
holds what was made by earlier commits.
"""

import json
import mmap
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foretwin.dataset.table import HISTORY
from foretwin.errors import StoreError
from foretwin.project.chain import dvc
from foretwin.project.paths import Paths
from foretwin.sources.store import FOLDER, PREFIX
from foretwin.twin.ingest.snapshot_keeping import kept_of

PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Copies:
    """The copies found. `folders` are stage outputs removed as a whole, `objects` files of DVC's cache."""

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    objects: tuple[Path, ...]

    def __iter__(self) -> Iterator[Path]:
        return iter((*self.folders, *self.files, *self.objects))


def find_copies(root: Path, twin: str, name: str, cache: Path | None) -> Copies:
    """Find every file in the project and DVC's cache that names the asset, as `store/<name>` or as a history row."""
    paths = Paths(root, twin)
    outputs = (paths.raw / FOLDER, paths.rows, paths.validation, paths.windows)
    folders = [folder for folder in outputs if any(holds(path, name) for path in files_under(folder))]
    others = [paths.models, root / ".foretwin", root / "mlartifacts", root / "reports"]
    files = [path for folder in others for path in files_under(folder) if holds(path, name)]
    files += kept_of(root, twin, name)
    objects = [] if cache is None else [path for path in files_under(cache) if holds(path, name)]
    return Copies(tuple(folders), tuple(files), (*objects, *_listing(cache, objects)))


def remove_copies(copies: Copies) -> None:
    """Delete the copies; after an interruption, a second call deletes the rest."""
    for path in (*copies.files, *copies.objects):
        path.unlink(missing_ok=True)
    for folder in copies.folders:
        shutil.rmtree(folder)


def holds(path: Path, name: str) -> bool:
    """Whether a file holds rows of the asset, or names it."""
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            try:
                return _holds_rows(pq.ParquetFile(path), name)
            except pa.ArrowException:
                pass  # something else that begins like it, or damaged: searched as text
        if os.fstat(file.fileno()).st_size == 0:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _named(name).search(content) is not None


def cache_folder(root: Path) -> Path | None:
    """Return DVC's cache folder; None outside a DVC repository. StoreError where DVC does not report it."""
    if not (root / ".dvc").is_dir():
        return None
    return Path(_dvc(root, "cache", "dir").strip())


def remotes(root: Path) -> list[str]:
    """Return the names of the project's DVC remotes."""
    if not (root / ".dvc").is_dir():
        return []
    return [line.split()[0] for line in _dvc(root, "remote", "list").splitlines() if line.strip()]


def _holds_rows(table: pq.ParquetFile, name: str) -> bool:
    columns = [column for column in ("asset", "subset") if column in table.schema_arrow.names]
    if "asset" not in columns:
        return False
    for batch in table.iter_batches(columns=columns):
        asset = batch.column("asset").cast(pa.large_string())
        found = pc.or_(pc.equal(asset, PREFIX + name), pc.starts_with(asset, f"{PREFIX}{name}@"))
        if "subset" in columns:  # a history's own table, before the stages rename its assets
            subset = batch.column("subset").cast(pa.large_string())
            found = pc.or_(found, pc.and_(pc.equal(asset, name), pc.equal(subset, HISTORY)))
        if pc.any(found).as_py():
            return True
    return False


def _named(name: str) -> re.Pattern[bytes]:
    """Whether the asset's full name, not a prefix of a longer one, occurs in text or JSON."""
    spelt = {name.encode(), json.dumps(name)[1:-1].encode(), json.dumps(name, ensure_ascii=False)[1:-1].encode()}
    prefixes = {PREFIX.encode(), PREFIX.replace("/", r"\/").encode()}
    either = b"|".join(re.escape(prefix + one) for prefix in sorted(prefixes) for one in sorted(spelt))
    return re.compile(b"(?:" + either + rb")(?![\w.-])")


def _listing(cache: Path | None, objects: Iterable[Path]) -> list[Path]:
    """Return the cache's folder listings that name one of the objects: without it they restore nothing."""
    gone = {f"{path.parent.name}{path.name}" for path in objects}
    if cache is None or not gone:
        return []
    listing = []
    for path in cache.rglob("*.dir"):
        entries = json.loads(path.read_bytes())
        if any(entry.get("md5") in gone for entry in entries):
            listing.append(path)
    return sorted(listing)


def files_under(folder: Path) -> list[Path]:
    """List every file under a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _dvc(root: Path, *arguments: str) -> str:
    done = dvc(root, *arguments)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise StoreError(f"dvc {' '.join(arguments)}: {reason[0]}; nothing was erased")
    return done.stdout
