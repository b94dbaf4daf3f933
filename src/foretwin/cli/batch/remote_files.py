"""Files behind URLs: read in place or brought here, and scores that are sent as a whole."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from foretwin.errors import BadInput, ForetwinError
from foretwin.project.redaction import redact
from foretwin.sources.files.file_names import shown_path
from foretwin.sources.files.places.remote import filesystem, is_remote

PIECE = 8 * 1024 * 1024  # bytes that are sent at once


@dataclass(frozen=True)
class RemoteFile:
    """A file or folder behind a URL; `path` is what its file system calls it, `shown` has no secret of the URL."""

    shown: str
    system: Any  # a file system of fsspec's kind
    path: str

    def __str__(self) -> str:
        return self.shown

    @property
    def suffix(self) -> str:
        """The file's ending, as that of a Path."""
        return PurePosixPath(self.path).suffix

    def is_dir(self) -> bool:
        """Return whether it is a folder; BadInput where there is nothing."""
        with reading_remotely(self):
            return bool(self.system.info(self.path)["type"] == "directory")

    def rglob(self, pattern: str) -> Iterator["RemoteFile"]:
        """Yield the files below whose names match."""
        with reading_remotely(self):
            found = self.system.find(self.path)
        for path in found:
            if PurePosixPath(path).match(pattern):
                inside = path.removeprefix(self.path).lstrip("/")
                yield RemoteFile(f"{self.shown.rstrip('/')}/{inside}", self.system, path)

    def open(self) -> Any:
        """Open it, to be read here and there."""
        return self.system.open(self.path, "rb")


def located(file: str) -> Path | RemoteFile:
    """Return the file or folder of a path or URL; BadInput where the URL's kind is not known."""
    if not is_remote(file):
        return Path(file)
    with _told("FILE", shown_path(file), file):
        system, path = filesystem(file)
    return RemoteFile(shown_path(file), system, path.rstrip("/"))


@contextmanager
def brought(file: Path | RemoteFile) -> Iterator[Path]:
    """Give a local file: itself, or a copy in the system's temporary folder that is removed afterwards."""
    if isinstance(file, Path):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="foretwin-score-") as folder:
        copy = Path(folder) / PurePosixPath(file.path).name
        with reading_remotely(file):
            file.system.get_file(file.path, str(copy))
        yield copy


@contextmanager
def sent(out: str) -> Iterator[Path]:
    """Give the path to write to; what was written there for a URL is sent when the body succeeds.

    It is a whole file at its place or none. Scores that cannot be sent stay where they are, as the error says.
    """
    if not is_remote(out):
        yield Path(out)
        return
    shown = shown_path(out)
    if not shown.endswith((".csv", ".parquet")):
        raise BadInput("--out", f"{shown} ends neither in .csv nor in .parquet")
    with _told("--out", shown, out):
        system, target = filesystem(out)
        with suppress(FileNotFoundError, PermissionError):  # what cannot be reached is told before all is scored
            system.info(target)
    folder = Path(tempfile.mkdtemp(prefix="foretwin-score-"))
    written = folder / PurePosixPath(target).name
    try:
        yield written
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with _told("--out", f"{shown}: the scores are in {written}", out):
        _send(written, system, target)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def reading_remotely(file: Path | RemoteFile) -> Iterator[None]:
    """Turn errors in reading a remote file into one line."""
    if isinstance(file, Path):
        yield
        return
    with _told("FILE", file.shown, file.path):
        yield


@contextmanager
def _told(field: str, shown: str, url: str) -> Iterator[None]:
    """Turn whatever a file system raises, each its own, into one line; what its text repeats of a URL may be secret."""
    try:
        yield
    except ForetwinError:
        raise
    except Exception as error:
        if isinstance(error, FileNotFoundError) and error.__cause__ is None:
            raise BadInput(field, f"{shown}: no such file, folder or bucket; correct the URL") from None
        cause = error.__cause__ or error  # of HTTP any failure is a FileNotFoundError with a cause
        text = "" if shown_path(url) != url else redact(" ".join(str(cause).split()))
        failed = "read" if field == "FILE" else "written"
        reason = f"cannot be {failed} ({text or type(cause).__name__})"
        raise BadInput(field, f"{shown}: {reason}; correct the URL, or the credentials") from None


def _send(file: Path, system: Any, target: str) -> None:
    """Copy a file to its place: an object store shows it once it is whole, elsewhere it is renamed then."""
    is_store = system.protocol == "s3"
    place = target if is_store else f"{target}.partial"
    if not is_store:
        system.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
    with file.open("rb") as content, system.open(place, "wb") as out:
        while piece := content.read(PIECE):
            out.write(piece)
    if not is_store:
        system.mv(place, target)
