"""The file of a backup: a ZIP of one SQLite file, the project's own files, and a manifest with the digest of each."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from foretwin.errors import BadInput

MANIFEST = "manifest.json"
STORE = "store.db"
KEYS = "keys.json"
ARCHIVE = "archive"  # folder of the archives' files, by twin
PROJECT_FILES = "project"  # folder of the project's files
LARGEST_MANIFEST = 64 * 1024 * 1024  # bytes
PIECE = 1024 * 1024  # bytes that are copied at once

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class TableRecord(BaseModel):
    """How many rows a table has, and the digest of their content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Annotated[int, Field(ge=0)]
    digest: str


class BackupManifest(BaseModel):
    """What a backup holds: of which store and moment, each table's rows, each file's SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    foretwin: str  # version
    made_at: AwareDatetime  # moment of the store's state
    database: Literal["sqlite", "postgresql"]
    schema_number: str
    tables: dict[str, TableRecord]
    files: dict[str, Sha256]  # by name in the ZIP

    @property
    def rows(self) -> int:
        """Return the number of rows in all tables."""
        return sum(table.rows for table in self.tables.values())

    def twins_of(self, kind: str) -> list[str]:
        """Return the twins of which it holds models/<twin>/<kind>."""
        parts = [PurePosixPath(name).parts for name in self.files]
        return sorted({part[2] for part in parts if part[:2] == (PROJECT_FILES, "models") and kind in part[3:4]})


class BackupWriter:
    """Adds files to a ZIP and keeps their digests."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._zip = archive
        self.files: dict[str, str] = {}

    def add(self, name: str, path: Path) -> str:
        """Add a file under this name and return its SHA-256."""
        seen = sha256()
        info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
        info.compress_type = zipfile.ZIP_STORED if path.suffix == ".parquet" else zipfile.ZIP_DEFLATED
        with path.open("rb") as source, self._zip.open(info, "w", force_zip64=True) as out:
            while piece := source.read(PIECE):
                seen.update(piece)
                out.write(piece)
        self.files[name] = seen.hexdigest()
        return self.files[name]

    def finish(self, manifest: BackupManifest) -> None:
        """Add the manifest."""
        self._zip.writestr(MANIFEST, manifest.model_dump_json(indent=1) + "\n", zipfile.ZIP_DEFLATED)


class BackupReader:
    """An open backup, of which nothing is believed but what its manifest's digests confirm."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        """BadInput where it has no manifest, or one that this version does not read."""
        self._path, self._zip = path, archive
        try:
            info = archive.getinfo(MANIFEST)
            if info.file_size > LARGEST_MANIFEST:
                raise BadInput(str(path), "its manifest is larger than any; bring another copy of the backup")
            self.manifest = BackupManifest.model_validate_json(archive.read(info))
        except (KeyError, ValidationError):
            raise BadInput(str(path), "is no backup that this version of Foretwin reads; upgrade Foretwin") from None
        for name in self.manifest.files:
            _check_name(path, name)

    def verify(self) -> None:
        """Read everything; BadInput names the first file that is missing, unknown or altered."""
        there = set(self._zip.namelist()) - {MANIFEST}
        for name in sorted(there ^ self.manifest.files.keys()):
            raise BadInput(str(self._path), f"{name}: missing or unknown; bring another copy of the backup")
        for name in self.manifest.files:
            self._copy(name, None)

    def extract(self, name: str, path: Path) -> None:
        """Write a file of it to a path; BadInput where it was altered."""
        with path.open("wb") as out:
            self._copy(name, out)

    def _copy(self, name: str, out: IO[bytes] | None) -> None:
        seen = sha256()
        with self._zip.open(name) as source:
            while piece := source.read(PIECE):
                seen.update(piece)
                if out is not None:
                    out.write(piece)
        if seen.hexdigest() != self.manifest.files[name]:
            raise BadInput(str(self._path), f"{name}: altered since it was written; bring another copy of the backup")


@contextmanager
def opened_backup(path: Path) -> Iterator[BackupReader]:
    """Open a backup; BadInput where the file is none, or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield BackupReader(path, archive)
    except FileNotFoundError:
        raise BadInput(str(path), "there is no such file") from None
    except (zipfile.BadZipFile, zipfile.zlib.error, EOFError) as error:  # type: ignore[attr-defined]  # zlib, as it imports it
        raise BadInput(str(path), f"is damaged: {error}; bring another copy of the backup") from None


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    is_ours = name in (STORE, KEYS) or parts[:1] in ((ARCHIVE,), (PROJECT_FILES,))
    if not is_ours or ".." in parts or "\\" in name or PurePosixPath(name).is_absolute():
        raise BadInput(str(path), f"{name[:200]}: is no file of a backup")


def room_for(folder: Path, wanted: int) -> None:
    """BadInput where a folder's disk has not that many bytes left."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise BadInput(str(folder), f"has {free // 10**6} MB left and {wanted // 10**6} MB are needed; free some space")
