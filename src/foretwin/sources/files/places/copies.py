"""Places of a user's files: brought as copies from a file, folder, glob, archive, URL or database."""

import logging
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import IO

from foretwin.contract.source import TableSource, as_table
from foretwin.errors import ContractError, SourceError
from foretwin.sources.files.file_names import FILE, data_files, is_hidden, matches, natural, shown_path
from foretwin.sources.files.places.queries import bring_query
from foretwin.sources.files.places.remote import download, is_remote
from foretwin.sources.files.workbooks import INSIDE
from foretwin.sources.tabular import PARQUET_MAGIC

LOG = logging.getLogger(__name__)
TABLE = "table"  # name of the copy, with the ending of a single file
LABELS = "labels"  # folder of the copies of files with spans of labels, one for each axis
BESIDE = "beside"  # folder of the copies of tables beside the readings, one folder for each
NAMED = 3  # files left out, in a message


def bring_files(source: TableSource, folder: Path, out: Path) -> None:
    """Copy the source's files into `out`: one as table.csv, table.parquet or with its own ending, several in table/.

    A relative path starts at `folder`. Archives are unpacked; files whose path does not end as the pattern are left
    out, and told. SourceError where nothing is there.
    """
    with _local(source.path, folder) as place:
        if place.is_file() and not is_archive(place):
            shutil.copyfile(place, out / f"{TABLE}{_ending(place)}")
            return
        target = out / TABLE
        target.mkdir()
        left_out = [name for name, keep in _copied(source, place, target) if not keep]
    if left_out:
        LOG.warning("%s: %d files do not end as source.pattern: left out: %s", *_shown(source, left_out))
    if not data_files(target):
        raise SourceError(
            f"{shown_path(source.path)}: no file is there{_fitting(source)}; correct source.path or source.pattern"
        )


def bring_labels(source: TableSource, folder: Path, out: Path) -> None:
    """Copy the files with spans of labels into `out`/labels/, each named by its axis; SourceError where one lacks."""
    for axis, fault in source.faults.items():
        if fault.spans is None:
            continue
        (out / LABELS).mkdir(exist_ok=True)
        with _local(fault.spans.path, folder) as place:
            if not place.is_file():
                raise SourceError(f"{place}: no such file; correct source.faults.{axis}.spans.path in twin.yaml")
            shutil.copyfile(place, out / LABELS / axis)


def bring_side_tables(source: TableSource, folder: Path, out: Path, previous: Path) -> None:
    """Copy the tables beside the readings, each into `out`/beside/<field>, as the readings are copied."""
    for field, table in source.side_tables.items():
        target, named = out / BESIDE / field, as_table(table)
        target.mkdir(parents=True)
        with told_field(field):
            if named.query is not None:
                bring_query(named, previous / BESIDE / field, target)
            else:
                bring_files(named, folder, target)


@contextmanager
def told_field(field: str) -> Iterator[None]:
    """Name the fields of a table beside the readings as the contract does, in errors raised within."""
    try:
        yield
    except (SourceError, ContractError) as error:
        raise type(error)(re.sub(r"\bsource\.", f"source.{field}.", str(error))) from None


def fetched(raw: Path) -> Path:
    """Return the copy that `bring_files` made: a file, or a folder of files."""
    found = [path for path in raw.glob(f"{TABLE}*") if path.is_dir() or path.stem.split(".")[0] == TABLE]
    if len(found) != 1:
        raise SourceError(f"{raw}: should hold one table; run the fetch stage first")
    return found[0]


def places_of(source: TableSource, folder: Path) -> list[Path] | None:
    """Return the files and folders whose change is a change of the source; None where that cannot be told."""
    labels = [fault.spans.path for fault in source.faults.values() if fault.spans]
    tables = [source, *source.side_tables.values()]
    paths = [*(table.path for table in tables), *labels]
    if any(table.query is not None for table in tables) or any(is_remote(path) for path in paths):
        return None
    return [place for path in paths for place in _places_of_one(path, folder)]


def _places_of_one(named: str, folder: Path) -> list[Path]:
    path = folder / named
    if path.is_dir():
        return [path, *(inner for inner in sorted(path.rglob("*")))]
    if not path.exists() and has_magic(named):
        found, base = _globbed(path), _fixed_part(path)
        above = {base, *(place for file in found for place in file.parents if base in place.parents)}
        return [*found, *sorted(above)]
    return [_archive_of(path) or path]


def _archive_of(path: Path) -> Path | None:
    """Return the archive that a path leads into, as logs.zip/june.csv; None where it leads into none."""
    above = next((place for place in path.parents if place.is_file()), None)
    return above if above is not None and is_archive(above) else None


@contextmanager
def _local(path: str, folder: Path) -> Iterator[Path]:
    """Yield the place of a path or URL on this machine; what was downloaded is removed afterwards."""
    archive = None if is_remote(path) else _archive_of(folder / path)
    if not is_remote(path) and archive is None:
        yield folder / path
        return
    with tempfile.TemporaryDirectory() as temporary:
        if archive is None:
            yield download(path, Path(temporary))
        else:
            yield _member(archive, (folder / path).relative_to(archive).as_posix(), path, Path(temporary))


def _member(archive: Path, member: str, shown: str, target: Path) -> Path:
    """Unpack one file of an archive into `target`; SourceError where it has none of that name."""
    asked = TableSource(kind="table", path=shown, pattern=member, asset=FILE, time_format="row")
    names = [name for name, keep in _unpacked(asked, archive, target) if keep]
    if member not in names:
        raise SourceError(f"{shown}: {archive.name} holds no file {member}; correct source.path")
    return target / member


def _copied(source: TableSource, place: Path, target: Path) -> Iterator[tuple[str, bool]]:
    """Copy files below `target`; yield the name of each, and whether it fits the pattern."""
    if place.is_dir():
        files = {name: place / name for name in data_files(place)}
    elif place.exists():
        yield from _unpacked(source, place, target)
        return
    elif has_magic(source.path):
        base = _fixed_part(place)
        files = {path.relative_to(base).as_posix(): path for path in _globbed(place)}
    else:
        raise SourceError(f"{place}: no such file; correct the path (source.path in twin.yaml)")
    for name, path in files.items():
        keep = _fits(source, name)
        if keep:
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        yield name, keep


def _unpacked(source: TableSource, archive: Path, target: Path) -> Iterator[tuple[str, bool]]:
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for name in sorted((one for one in packed.namelist() if _is_safe(one)), key=natural):
                    if _fits(source, name):
                        _write(packed.open(name), target / name)
                    yield name, _fits(source, name)
            return
        with tarfile.open(archive) as tar:
            for member in sorted((one for one in tar if one.isfile() and _is_safe(one.name)), key=lambda m: m.name):
                content = tar.extractfile(member)
                if content is not None and _fits(source, member.name):
                    _write(content, target / member.name)
                yield member.name, _fits(source, member.name)
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise SourceError(f"{shown_path(source.path)}: damaged or locked archive ({error}); pack it again") from None


def _write(content: IO[bytes], copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with content, copy.open("wb") as file:
        shutil.copyfileobj(content, file)


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip or tar archive; a workbook is a zip archive too, but a table."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return INSIDE.isdisjoint(archive.namelist())
    return tarfile.is_tarfile(path)


def _ending(path: Path) -> str:
    with path.open("rb") as file:
        parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    if parquet:
        return ".parquet"
    return path.suffix if path.suffix and path.suffix != ".parquet" else ".csv"


def _globbed(path: Path) -> list[Path]:
    base = _fixed_part(path)
    found = (one for one in base.glob(path.relative_to(base).as_posix()) if one.is_file())
    return sorted((one for one in found if not is_hidden(one.name)), key=lambda one: natural(one.as_posix()))


def _fixed_part(path: Path) -> Path:
    """Return the folder above the first part of a path that is a pattern."""
    parts = path.parts
    count = next((number for number, part in enumerate(parts) if has_magic(part)), len(parts) - 1)
    return Path(*parts[:count])


def _fits(source: TableSource, name: str) -> bool:
    return source.pattern is None or matches(source.pattern, name) is not None


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name
    return inside and not name.endswith("/") and not is_hidden(name)


def _fitting(source: TableSource) -> str:
    return f" whose path ends as {source.pattern}" if source.pattern else ""


def _shown(source: TableSource, names: list[str]) -> tuple[str, int, str]:
    more = ", ..." if len(names) > NAMED else ""
    return shown_path(source.path), len(names), ", ".join(names[:NAMED]) + more
