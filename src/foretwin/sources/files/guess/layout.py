"""Guess of a text's layout: separator, header, and the lines that are neither header nor row."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from foretwin.sources.files.guess.marks import NUMERIC
from foretwin.sources.files.notation import WHITESPACE
from foretwin.sources.files.numbers import ERROR_WORDS, MISSING_WORDS

SEPARATORS = (";", "\t", "|", ",")  # in the order in which equal counts are believed: commas are decimal marks too
OTHERS = re.compile(r"[;\t|]|\S {2,}\S")  # within a cell, these say that it is more than one
MOMENT = re.compile(r"\d{1,4}[-/. ](?:\d{1,2}|[A-Za-z]{3,9})[-/. ]{1,2}\d{1,4}.*|\d{1,3}:\d{2}(?::\d{2}.*)?")
CONSISTENT, TYPED = 0.8, 0.8  # shares: of rows with one number of cells, of a column's cells that are numbers or times
MOST_FOOTER = 20  # lines
Record = tuple[int, int, list[str]]  # first line, line after the last, cells


@dataclass(frozen=True)
class Layout:
    """Layout of a text, counted in lines; `header` is None where the first row is data, of `width` cells."""

    separator: str
    width: int
    skip: int
    header: tuple[str, ...] | None
    after_header: int
    units: dict[str, str]  # column -> cell below its name
    footer: int
    is_regular: bool = False  # whether most rows have as many cells, and a column holds numbers or times


def guess_layout(lines: Sequence[str], last: Sequence[str]) -> Layout:
    """Guess from the first lines of a text and its last ones (line breaks kept)."""
    told = re.fullmatch(r"sep=(.)\s*", lines[0]) if lines else None
    separator = told[1] if told else _separator(lines)
    records = [one for one in _records(lines, separator) if not told or one[0] > 0]
    width = _width(records)
    typed = _typed_columns([cells for _, _, cells in records if len(cells) == width])
    data = [len(cells) == width and _is_data(cells, typed) for _, _, cells in records]
    first = next((number for number, is_row in enumerate(data) if is_row), len(records)) if typed else 1
    heads: list[Record] = []
    for record in reversed(records[:first]):
        if len(record[2]) != width:
            break
        heads.insert(0, record)
    footer = _footer(last, separator, width, typed)
    regular = bool(typed) and 2 * sum(len(cells) == width for _, _, cells in records) >= len(records)
    if not heads:
        skip = records[first][0] if first < len(records) else 0
        return Layout(separator, width, skip, None, 0, {}, footer, regular)
    header = max(heads, key=lambda record: len({cell for cell in record[2] if cell.strip()}))  # the first of equals
    begin = records[first][0] if first < len(records) else header[1]
    between = [cells for start, _, cells in heads if start > header[0]]
    units = {name: cell.strip() for name, cell in zip(header[2], between[0], strict=True)} if between else {}
    skip = 0 if not any(line.strip() for line in lines[: header[0]]) else header[0]
    return Layout(separator, width, skip, tuple(header[2]), begin - header[1], units, footer, regular)


def _records(lines: Sequence[str], separator: str) -> list[Record]:
    """Return the records that are not blank."""
    if separator == WHITESPACE:
        return [(number, number + 1, line.split()) for number, line in enumerate(lines) if line.strip()]
    reader, found, begin = csv.reader(lines, delimiter=separator), [], 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((begin, reader.line_num, cells))
            begin = reader.line_num
    except csv.Error:
        pass  # a field beyond all limits: this is not the separator
    return found


def _separator(lines: Sequence[str]) -> str:
    """Return the separator by which most rows have the same number of cells, none of which holds another one."""
    best, choice = (CONSISTENT, False, 1), ","
    for separator in SEPARATORS:
        records = _records(lines, separator)
        share, width = _consistency(records)
        clean = not any(OTHERS.search(cell) for _, _, cells in records[-20:] for cell in cells if len(cells) == width)
        if width > 1 and share >= CONSISTENT and (clean, share, width) > (best[1], best[0], best[2]):
            best, choice = (share, clean, width), separator
    if best[1]:
        return choice
    share, width = _consistency(_records(lines, WHITESPACE))
    return WHITESPACE if width > 1 and share >= CONSISTENT else choice


def _consistency(records: Sequence[Record]) -> tuple[float, int]:
    """Return the share of records with the usual number of cells, and that number.

    What comes before the first such record and after the last counts little: it may be preamble and footer.
    """
    width = _width(records)
    usual = [len(cells) == width for _, _, cells in records]
    if not any(usual):
        return 0.0, width
    inside = usual[usual.index(True) : len(usual) - usual[::-1].index(True)]
    share = sum(inside) / len(inside)
    return (share if share < CONSISTENT else CONSISTENT + (1 - CONSISTENT) * sum(usual) / len(usual)), width


def _width(records: Sequence[Record]) -> int:
    counts = Counter(len(cells) for _, _, cells in records)
    return max(counts, key=lambda width: (counts[width], width)) if counts else 0


def _typed_columns(rows: Sequence[list[str]]) -> list[int]:
    """Return the columns that hold numbers or times in most of the later rows."""
    body = rows[len(rows) // 2 :] if len(rows) > 3 else rows[1:] or rows
    found = []
    for column in range(len(body[0]) if body else 0):
        cells = [row[column].strip() for row in body]
        full = [cell for cell in cells if cell.lower() not in MISSING_WORDS | ERROR_WORDS]
        if full and sum(map(_is_typed, full)) >= TYPED * len(full):
            found.append(column)
    return found


def _is_typed(cell: str) -> bool:
    return bool(NUMERIC.fullmatch(cell) or MOMENT.fullmatch(cell))


def _is_data(cells: Sequence[str], typed: Sequence[int]) -> bool:
    """Return whether at least half of the cells in typed columns are numbers, times or words for none."""
    inside = [cells[column].strip() for column in typed if column < len(cells)]
    full = [cell for cell in inside if cell]
    fitting = [cell for cell in full if _is_typed(cell) or cell.lower() in MISSING_WORDS | ERROR_WORDS]
    return any(map(_is_typed, full)) and len(fitting) >= len(full) / 2


def _footer(last: Sequence[str], separator: str, width: int, typed: Sequence[int]) -> int:
    """Count the lines at the end that have another number of cells than rows, and none of a row's content."""
    if not typed:
        return 0
    count = 0
    for start, end, cells in reversed(_records(last, separator)):
        inside = [cells[column].strip() for column in typed if column < len(cells)]
        is_row = len(cells) == width or any(map(_is_typed, inside))
        if is_row or count >= MOST_FOOTER:
            break
        count += end - start
    return count
