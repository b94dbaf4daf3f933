"""Official archives: find in the datasets folder or download, verify against known digests, and unpack.

A digest of 64 hexadecimal digits is a SHA-256, one of 40 a Git blob id (SHA-1 over a short header and the bytes),
because for some publishers' files only such an id is known.
"""

import hashlib
import http.client
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shutil import copyfileobj

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from foretwin.errors import DigestError, SourceError
from foretwin.project.digests import file_digest
from foretwin.project.entrypoint import show_progress
from foretwin.project.paths import datasets_folder

TIMEOUT = 30.0  # seconds without a byte
BLOCK = 1 << 16  # bytes per read, the most that an interruption loses
LARGEST_MEMBER = 1 << 30  # bytes; far above any file of these data sets


@dataclass(frozen=True)
class Archive:
    """A published archive: `size` in bytes, `folder` is its place in the datasets folder.

    `repacked`: copies under this name with another outer digest are in use, so only the members of a local copy are
    verified.
    """

    name: str
    folder: str
    size: int
    sha256: str
    url: str | None = None
    repacked: bool = False


def local_copy(archive: Archive) -> Path | None:
    """Return the archive in the folder FORETWIN_DATASETS, if it exists.

    SourceError where that folder does not exist, DigestError where the copy is another file.
    """
    datasets = datasets_folder()
    if datasets is None:
        return None
    if not datasets.is_dir():
        raise SourceError(f"FORETWIN_DATASETS: {datasets} is not a folder; correct it, or unset it to download")
    path = datasets / archive.folder / archive.name
    if not path.is_file():
        return None
    if not archive.repacked:
        check_digest(path, archive.sha256, "replace it with the published file")
    return path


def places(archive: Archive, work: Path) -> list[Path]:
    """Where `obtain` looks for the archive, and where it keeps a download."""
    datasets = datasets_folder()
    return [folder / archive.name for folder in (datasets and datasets / archive.folder, work) if folder]


def obtain(archive: Archive, work: Path) -> Path:
    """Return the archive's path: the local copy, or a download kept in `work` and resumed after an interruption.

    SourceError where it is not available, DigestError (and the file deleted) where its digest is wrong.
    """
    local = local_copy(archive)
    if local is not None:
        return local
    if archive.url is None:
        raise SourceError(f"{archive.name} has no download address: put it into $FORETWIN_DATASETS/{archive.folder}/")
    complete = work / archive.name
    if not complete.is_file():
        work.mkdir(parents=True, exist_ok=True)
        partial = work / f"{archive.name}.part"
        _download(archive, archive.url, partial)
        _check_or_delete(partial, archive)
        partial.replace(complete)
    else:
        _check_or_delete(complete, archive)
    return complete


def _check_or_delete(path: Path, archive: Archive) -> None:
    try:
        check_digest(path, archive.sha256, f"it was deleted: run again to download {archive.url} anew")
    except DigestError:
        path.unlink()
        raise


def _download(archive: Archive, url: str, partial: Path) -> None:
    """Fill `partial` up to the archive's size, requesting only the missing bytes."""
    have = partial.stat().st_size if partial.exists() else 0
    if have > archive.size:
        have = 0
    if have == archive.size:
        return
    advice = f"run again to go on, or put {archive.name} into $FORETWIN_DATASETS/{archive.folder}/"
    try:
        response = _request(url, have)
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{url}: no download: {getattr(error, 'reason', error)}; {advice}") from None
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise SourceError(f"{url}: sent another range than the one asked for; delete {partial} and run again")
        have = have if resumed else 0
        have, reason = _receive(response, partial, have, archive)
    if have > archive.size:
        partial.unlink()
        raise DigestError(f"{url}: sends more than the {archive.size} bytes of {archive.name}: it is another file now")
    if have < archive.size:
        raise SourceError(f"{url}: {reason} after {have} of {archive.size} bytes; {advice}")


def _request(url: str, start: int) -> http.client.HTTPResponse:
    if not url.startswith(("https://", "http://")):
        raise SourceError(f"{url}: not a web address")
    headers = {"User-Agent": "foretwin"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    return response


def _receive(response: http.client.HTTPResponse, partial: Path, have: int, archive: Archive) -> tuple[int, str]:
    """Append to `partial`; return its size in bytes and why the stream ended."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        partial.open("ab" if have else "wb") as file,
        Progress(*columns, TimeRemainingColumn(), disable=not show_progress()) as progress,
    ):
        task = progress.add_task(archive.name, total=archive.size, completed=have)
        while have <= archive.size:
            try:
                block = response.read(BLOCK)
            except (OSError, http.client.HTTPException) as error:  # of the network; a full disk passes through
                return have, f"connection lost ({type(error).__name__})"
            if not block:
                break
            file.write(block)
            have += len(block)
            progress.update(task, completed=have)
    return have, "the server stopped sending"


def check_digest(path: Path, expected: str, advice: str) -> None:
    """Raise DigestError, with both digests and the advice, where the file's digest is not the expected one."""
    found = _git_digest(path) if len(expected) == 40 else file_digest(path)
    if found != expected:
        raise DigestError(f"{path}: expected digest {expected}, found {found}; {advice}")


def _git_digest(path: Path) -> str:
    """SHA-1 of a file as Git names its blob."""
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: blob).hexdigest()


def unpack(archive: Path, members: Mapping[str, str], out: Path) -> None:
    """Extract the named members (base name -> digest) into the folder `out`, each verified.

    SourceError where the archive is empty, truncated, lacks a member, or has any member with a path outside
    its folder; DigestError where a member's bytes are not the expected ones, with nothing of it kept.
    """
    if archive.stat().st_size == 0:
        raise SourceError(f"{archive}: the file is empty; replace it")
    try:
        with zipfile.ZipFile(archive) as opened:
            inside = _by_base_name(opened, archive)
            for name, digest in members.items():
                if name not in inside:
                    raise SourceError(f"{archive}: has no member {name}; replace it with the published file")
                _extract(opened, inside[name], out / name, digest)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{archive}: damaged or truncated archive ({error}); replace it") from None


def _by_base_name(opened: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    inside = {}
    for member in opened.infolist():
        path = PurePosixPath(member.orig_filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.orig_filename:
            raise SourceError(f"{archive}: member {member.orig_filename!r} points outside the archive's folder")
        inside[path.name] = member
    return inside


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, digest: str) -> None:
    if member.file_size > LARGEST_MEMBER:
        raise SourceError(f"{opened.filename}: member {member.filename} claims {member.file_size} bytes: refused")
    with opened.open(member) as packed, target.open("wb") as file:
        copyfileobj(packed, file)
    try:
        check_digest(target, digest, f"replace {opened.filename} with the published file")
    except DigestError:
        target.unlink()
        raise
