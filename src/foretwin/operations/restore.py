"""Restore a backup where there is no store yet: `foretwin restore`.

Everything is verified before anything is written. Nothing is written over: neither a store that holds a row nor a file
with another content.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path, PurePosixPath

from foretwin.champion.provenance import asset_digest
from foretwin.errors import Conflict, StoreError
from foretwin.operations.backup_file import (
    ARCHIVE,
    KEYS,
    PROJECT_FILES,
    STORE,
    BackupManifest,
    BackupReader,
    opened_backup,
)
from foretwin.operations.kept_files import WHOLE
from foretwin.project.digests import file_digest
from foretwin.project.files import fresh, fresh_file
from foretwin.serving.access.keys import keys_path
from foretwin.twin.retention.archive_files import archive_folder
from foretwin.twin.store import open_store, store_url
from foretwin.twin.store.copying import asset_names, copy_rows, file_content, is_empty, overwrite_file
from foretwin.twin.store.database import Store, reach_store


def restore_backup(root: Path, environ: Mapping[str, str], file: Path, store_only: bool = False) -> BackupManifest:
    """Restore a backup into the project's folder `root` and its store, and read it back.

    A SQLite store keeps the backup's schema until a process opens it; PostgreSQL's gets this version's. `store_only`
    leaves out everything but the store and its archives. BadInput where the backup is damaged, Conflict where something
    would be written over, StoreError where the store does not hold what the backup does.
    """
    url = store_url(root, environ)
    with opened_backup(file) as backup:
        backup.verify()
        places = {name: _place(root, environ, name) for name in backup.manifest.files if name != STORE}
        if store_only:
            places = {name: path for name, path in places.items() if PurePosixPath(name).parts[0] == ARCHIVE}
        _check_free(backup, places)
        with tempfile.TemporaryDirectory(prefix=".foretwin-restore-", dir=root) as folder:
            copy = Path(folder) / STORE
            backup.extract(STORE, copy)
            _fill_store(url, copy, backup.manifest)
        _write_files(backup, places)
    return backup.manifest


def erased_since(root: Path, environ: Mapping[str, str]) -> list[str]:
    """Return the assets of the store that a certificate in erasures/ says are erased: a backup brought them back."""
    certificates = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((root / "erasures").glob("*.json"))]
    erased = {one["asset_sha256"] for one in certificates}
    if not erased:
        return []
    with closing(reach_store(store_url(root, environ))) as store, store.read() as connection:
        return [name for name in asset_names(connection) if asset_digest(name) in erased]


def _place(root: Path, environ: Mapping[str, str], name: str) -> Path:
    if name == KEYS:
        return keys_path(root, environ)
    parts = PurePosixPath(name).parts
    if parts[0] == ARCHIVE:
        return archive_folder(root, parts[1]) / parts[-1]
    return root.joinpath(*parts[1:])


def _check_free(backup: BackupReader, places: Mapping[str, Path]) -> None:
    """Conflict where a file with another content is in the way."""
    for name, path in places.items():
        if path.exists() and (not path.is_file() or file_digest(path) != backup.manifest.files[name]):
            advice = "nothing was restored; move it away, or restore with --store-only"
            raise Conflict(str(path), f"differs from the backup's; {advice}")


def _fill_store(url: str, copy: Path, manifest: BackupManifest) -> None:
    with closing(reach_store(url)) as target:
        with target.read() as connection:
            empty = is_empty(connection)
        if not empty:
            advice = "nothing was restored; set FORETWIN_STORE to an empty store, or move this one away"
            raise Conflict("FORETWIN_STORE", f"{target.name} is not empty; {advice}")
        if target.is_sqlite:
            overwrite_file(copy, target)
    if target.is_sqlite:
        _read_back(target, manifest)
    else:
        _fill_postgresql(copy, url)


def _read_back(target: Store, manifest: BackupManifest) -> None:
    found = file_content(Path(str(target.engine.url.database)))
    wrong = [
        name
        for name in sorted(found.keys() | manifest.tables.keys())
        if name not in found
        or name not in manifest.tables
        or (found[name].rows, found[name].digest) != (manifest.tables[name].rows, manifest.tables[name].digest)
    ]
    if wrong:
        raise StoreError(f"{target.name}: {wrong[0]} does not read back as the backup has it; restore elsewhere")


def _fill_postgresql(copy: Path, url: str) -> dict[str, int]:
    """Copy a store in a SQLite file, which is migrated, into an empty PostgreSQL; return table -> rows."""
    with (
        closing(open_store(f"sqlite:///{copy}")) as source,
        closing(open_store(url)) as target,
        source.read() as rows,
        target.write() as into,
    ):
        return copy_rows(rows, into)


def _write_files(backup: BackupReader, places: Mapping[str, Path]) -> None:
    """Write the files that are not there: keys for their owner alone, champions as whole folders."""
    missing = {name: path for name, path in places.items() if not path.exists()}
    folders = {folder for name, path in missing.items() if (folder := _whole_folder(name, path)) is not None}
    for folder in sorted(folders):
        mine = {name: path for name, path in places.items() if path.is_relative_to(folder)}
        with fresh(folder) as out:
            for name, path in mine.items():
                target = out / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                backup.extract(name, target)
    for name, path in _outside(missing.items(), folders):
        with fresh_file(path, private=name == KEYS or name.startswith(ARCHIVE)) as out:
            backup.extract(name, out)


def _whole_folder(name: str, path: Path) -> Path | None:
    """Return models/<twin>/champion or models/<twin>/candidate, where the file lies in one."""
    parts = PurePosixPath(name).parts
    if parts[:2] != (PROJECT_FILES, "models") or len(parts) < 5 or parts[3] not in WHOLE:
        return None
    return path.parents[len(parts) - 5]


def _outside(places: Iterable[tuple[str, Path]], folders: set[Path]) -> list[tuple[str, Path]]:
    return [(name, path) for name, path in places if not any(path.is_relative_to(folder) for folder in folders)]
