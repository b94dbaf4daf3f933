"""Back a project up while it runs: `foretwin backup`.

The store comes first, as one state of it; archives, champions and keys after it. So a score in the backup is never of
a model that was promoted after the champion in it.
"""

import os
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

from foretwin import __version__
from foretwin.errors import BadInput, StoreError
from foretwin.operations.backup_file import (
    ARCHIVE,
    KEYS,
    STORE,
    BackupManifest,
    BackupWriter,
    TableRecord,
    opened_backup,
)
from foretwin.operations.kept_files import copied_files
from foretwin.project.files import fresh_file
from foretwin.serving.access.keys import keys_path, read_keys
from foretwin.twin.retention.archive_files import archive_folder
from foretwin.twin.store import store_url
from foretwin.twin.store.copying import archived_files, file_content, snapshot
from foretwin.twin.store.database import Store, open_unmigrated, schema_of


def make_backup(root: Path, environ: Mapping[str, str], file: Path, now: datetime) -> BackupManifest:
    """Write a backup of the project in `root` to a new file, which its owner alone may read, and read it back.

    BadInput where the file exists, StoreError where there is no store, or its copy is not what it held.
    """
    if file.exists():
        raise BadInput(str(file), "exists; name another file, or remove it")
    with closing(open_unmigrated(store_url(root, environ))) as store, fresh_file(file, private=True) as out:
        with out.open("wb") as raw, zipfile.ZipFile(raw, "w", compresslevel=1) as archive:
            manifest = _write(root, environ, store, BackupWriter(archive), now, out.parent)
        with out.open("rb") as written:
            os.fsync(written.fileno())
        with opened_backup(out) as reader:
            reader.verify()
    return manifest


def _write(
    root: Path, environ: Mapping[str, str], store: Store, writer: BackupWriter, now: datetime, beside: Path
) -> BackupManifest:
    schema = schema_of(store)
    with tempfile.TemporaryDirectory(prefix=".foretwin-backup-", dir=beside) as folder:
        copy = Path(folder) / STORE
        snapshot(store, copy)
        tables = {name: TableRecord(rows=one.rows, digest=one.digest) for name, one in file_content(copy).items()}
        writer.add(STORE, copy)
        for twin, file, digest in archived_files(copy):
            _add_archive(writer, archive_folder(root, twin) / file, f"{ARCHIVE}/{twin}/{file}", digest)
    with copied_files(root) as files:
        for name, path in files.items():
            writer.add(name, path)
    keys = keys_path(root, environ)
    if read_keys(keys):
        writer.add(KEYS, keys)
    manifest = BackupManifest(
        foretwin=__version__,
        made_at=now,
        database="sqlite" if store.is_sqlite else "postgresql",
        schema_number=str(schema),
        tables=tables,
        files=writer.files,
    )
    writer.finish(manifest)
    return manifest


def _add_archive(writer: BackupWriter, path: Path, name: str, digest: str) -> None:
    if not path.is_file():
        raise StoreError(f"{path}: not there, though the store's records name it; bring it back, or try again")
    if writer.add(name, path) != digest:
        raise StoreError(f"{path}: is not the file that was written; bring it back from an earlier backup")
