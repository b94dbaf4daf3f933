"""Workbooks (xlsx, xlsm, xlsb, xls, ods) as lines of text, by calamine."""

import datetime as dt
import zipfile
from collections.abc import Iterator
from pathlib import Path

from foretwin.errors import SourceError
from foretwin.sources.files.text import csv_line

OLD_MAGIC = b"\xd0\xcf\x11\xe0"  # of xls
INSIDE = {"[Content_Types].xml", "content.xml"}  # a member of every workbook that is a zip archive


def is_workbook(path: Path, head: bytes) -> bool:
    """Return whether the file is a workbook; `head` are its first bytes."""
    if head.startswith(OLD_MAGIC):
        return True
    if not head.startswith(b"PK"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return not INSIDE.isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def workbook_lines(path: Path, shown: str, sheet: str | None) -> Iterator[str]:
    """Yield the rows of one sheet as lines of CSV; a number as it is stored, a time in ISO 8601."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
        names = book.sheet_names
        if sheet is not None and sheet not in names:
            held = ", ".join(map(repr, names[:12]))
            raise SourceError(f"{shown}: sheet {sheet!r} is missing; it has {held}: correct source.sheet")
        rows = book.get_sheet_by_name(sheet if sheet is not None else names[0]).iter_rows()
    except CalamineError as error:
        raise SourceError(f"{shown}: damaged workbook ({error}); save it again") from None
    for row in rows:
        yield csv_line(_text(cell) for cell in row)


def _text(cell: object) -> str:
    match cell:
        case bool():
            return str(cell).lower()
        case float():
            return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
        case dt.datetime() | dt.date() | dt.time():
            return cell.isoformat()
        case dt.timedelta():
            return str(cell)
        case _:
            return str(cell)
