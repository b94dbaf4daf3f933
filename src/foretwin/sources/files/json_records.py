"""Records of JSON, one a line or in a list, as lines of CSV: a column for each name, those inside others by dots."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from foretwin.errors import SourceError
from foretwin.sources.files.text import csv_line, open_unpacked

MARK = b"\xef\xbb\xbf"  # with which a text in UTF-8 may begin
MOST_COLUMNS = 10_000
MOST_BYTES = 512 * 1024 * 1024  # of a list, which is read at once


def may_hold_records(start: bytes) -> bool:
    """Return whether a text that starts so may be JSON of objects."""
    return start.removeprefix(MARK).lstrip().startswith((b"{", b"["))


def holds_records(head: bytes) -> bool:
    """Return whether these first bytes of a text are those of JSON objects, one a line, or of a list of objects."""
    text = head.removeprefix(MARK).lstrip()
    if text.startswith(b"["):
        return text[1:].lstrip().startswith(b"{")
    first, newline, _ = text.partition(b"\n")
    return first.startswith(b"{") and first.rstrip().endswith(b"}") and (bool(newline) or len(first) == len(text))


def record_lines(path: Path, shown: str) -> Iterator[str]:
    """Yield a header with the names of all records, in the order in which they first come, and a line for each record.

    SourceError where something is no object, or there are too many names.
    """
    names: dict[str, None] = {}
    for record in _records(path, shown):
        names |= dict.fromkeys(record)
        if len(names) > MOST_COLUMNS:
            raise SourceError(f"{shown}: has more than {MOST_COLUMNS:,} names; write lists of values as records")
    yield csv_line(list(names))
    for record in _records(path, shown):
        yield csv_line([record.get(name, "") for name in names])


def _records(path: Path, shown: str) -> Iterator[dict[str, str]]:
    """Yield names and cells of each record."""
    with open_unpacked(path) as file:
        start = file.read(1024).removeprefix(MARK).lstrip()
    if start.startswith(b"["):
        yield from (_cells(one, f"{shown}: record {number}") for number, one in enumerate(_list(path, shown), 1))
        return
    with open_unpacked(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                place = f"{shown}: line {number}"
                yield _cells(_parsed(line.removeprefix(MARK), place), place)


def _list(path: Path, shown: str) -> list[Any]:
    with open_unpacked(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise SourceError(f"{shown}: a list of more than {MOST_BYTES >> 20} MiB; write a record a line")
    return list(_parsed(content.removeprefix(MARK), shown))


def _parsed(content: bytes, place: str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(content)  # which takes NaN, as much that writes JSON does
    except ValueError as error:
        raise SourceError(f"{place}: is no JSON ({error}); export it again") from None


def _cells(record: Any, place: str, inside: str = "") -> dict[str, str]:
    if not isinstance(record, Mapping):
        raise SourceError(f"{place}: is no object of names and values; write each record as one")
    found: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= _cells(value, place, f"{inside}{name}.")
        elif value is None:
            found[f"{inside}{name}"] = ""
        else:
            found[f"{inside}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return found
