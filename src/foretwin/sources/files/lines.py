"""First bytes of a file, its encoding, and its lines, whatever kind of file it is."""

from collections.abc import Iterator
from pathlib import Path

from foretwin.errors import SourceError
from foretwin.sources.files.arrays import array_lines, holds_arrays
from foretwin.sources.files.json_records import holds_records, may_hold_records, record_lines
from foretwin.sources.files.notation import Notation
from foretwin.sources.files.text import marked_encoding, open_text, open_unpacked
from foretwin.sources.files.workbooks import is_workbook, workbook_lines

HEAD = 1 << 20  # bytes read to recognise a file
FIRST = 64  # bytes that tell whether it may be JSON


def file_head(path: Path, shown: str) -> bytes:
    """Return the first bytes of a file as it lies on the disk."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise SourceError(f"{shown}: no such file; correct the path (source.path in twin.yaml)") from None
    except IsADirectoryError:
        raise SourceError(f"{shown}: is a folder; name one CSV or Parquet file") from None
    return filled(head, shown)


def file_kind(path: Path, head: bytes) -> str:
    """Return `arrays`, `workbook`, `JSON` (records) or `text`; `head` are its first bytes, packed as they may be."""
    if holds_arrays(head):
        return "arrays"
    if is_workbook(path, head):
        return "workbook"
    with open_unpacked(path) as file:
        start = file.read(FIRST)
        return "JSON" if may_hold_records(start) and holds_records(start + file.read(HEAD)) else "text"


def raw_lines(path: Path, shown: str, notation: Notation, errors: str = "strict") -> Iterator[str]:
    """Yield all lines of a text, workbook, file of arrays or of records; the encoding of a text is known."""
    head = file_head(path, shown)
    match file_kind(path, head):
        case "arrays":
            yield from array_lines(path, shown, head, notation.sheet)
        case "workbook":
            yield from workbook_lines(path, shown, notation.sheet)
        case "JSON":
            yield from record_lines(path, shown)
        case _:
            with open_text(path, notation.encoding or "utf-8", errors) as file:
                yield from file


def filled(head: bytes, shown: str) -> bytes:
    """Return the first bytes; SourceError where there are none."""
    if not head.strip():
        raise SourceError(f"{shown}: the file is empty; export it again")
    return head


def told_encoding(head: bytes, shown: str) -> str:
    """Return the encoding of a text that is in UTF-8, or says that it is in another."""
    marked = marked_encoding(head)
    try:
        text = head[: head.rfind(b"\n") + 1 or None].decode("utf-8-sig") if not marked else ""
    except UnicodeDecodeError:
        raise SourceError(f"{shown}: neither CSV in UTF-8 nor Parquet; set source.encoding, such as cp1252") from None
    if "\0" in text:
        raise SourceError(
            f"{shown}: neither CSV, Parquet, workbook, JSON, .mat, HDF5 nor .npy; export it as one of these"
        )
    return marked or "utf-8-sig"
