"""Recognition of one file by what it shows: whether it is a table, in which notation, and like which others."""

import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from foretwin.errors import SourceError
from foretwin.sources.files.guess.encoding import guess_encoding
from foretwin.sources.files.guess.layout import guess_layout
from foretwin.sources.files.lines import file_head, file_kind, raw_lines
from foretwin.sources.files.notation import PLAIN, Notation
from foretwin.sources.files.places.copies import is_archive
from foretwin.sources.tabular import DELIMITERS, PARQUET_MAGIC, open_table

FIRST_LINES, LAST_LINES = 400, 60
DOCUMENT = re.compile(
    r"(readme|licen[cs]e|copying|notice|changelog|citation|(sha\d*|md5)sums?)([-_.].*)?|.*\.(md|rst)", re.I
)
DATA_ENDS = (".csv", ".tsv", ".parquet", ".xlsx")


@dataclass(frozen=True)
class Look:
    """What one file shows by itself: its notation but for numbers, and the shape by which it is grouped with others.

    A text `is_table` where a column of it holds numbers or times: a licence or a read-me has none.
    """

    notation: Notation
    remarks: Mapping[str, str]
    units: dict[str, str]
    shape: tuple[object, ...]
    rows: int
    is_table: bool = True


def recognise(path: Path, shown: str) -> Look:
    """Recognise encoding and layout of one file."""
    head = file_head(path, shown)
    if head.startswith(PARQUET_MAGIC):
        return Look(PLAIN, {}, {}, open_table(path, shown).columns, 0)
    is_text = file_kind(path, head) == "text"
    encoding, remark = guess_encoding(path, shown) if is_text else (None, "")
    notation = replace(PLAIN, encoding=encoding)
    known = replace(notation, encoding=encoding or open_table(path, shown).notation.encoding) if is_text else notation
    lines = raw_lines(path, shown, known, "replace")
    first = list(islice(lines, FIRST_LINES))
    if not any(line.strip(" ,\r\n") for line in first):
        raise SourceError(f"{shown}: the first sheet or variable is empty; name another file, or fill it")
    last, rows = deque(first, LAST_LINES), len(first)
    for line in lines:
        last.append(line)
        rows += 1
    layout = guess_layout(first, last)
    told = bool(re.fullmatch(r"sep=.\s*", first[0]))
    usual = told or layout.separator == _usual_separator(first, layout.skip) or not is_text
    found = replace(
        notation,
        separator=None if usual else layout.separator,
        skip=0 if told and layout.skip == 1 else layout.skip,
        names=None if layout.header else tuple(f"column_{number + 1}" for number in range(layout.width)),
        after_header=layout.after_header,
        footer=layout.footer,
    )
    units = {name: unit for name, unit in layout.units.items() if unit}
    remarks = {
        "encoding": remark,
        "separator": "between cells",
        "skip_lines": f"the header is on line {layout.skip + 1}",
        "names": "the first line holds data: write the columns' names",
        "lines_after_header": f"such as {', '.join(islice(units.values(), 3))}",
        "footer_lines": "at the end, which are no rows",
    }
    shape = (layout.separator, *(layout.header or (layout.width,)))
    return Look(found, remarks, units, shape, rows - layout.skip, layout.is_regular or not is_text)


def recognise_tables(places: Mapping[str, Path], labels: Mapping[str, str]) -> dict[str, Look]:
    """Return what is seen in each file that is a table; of those that are texts of another kind if none is.

    SourceError where no file can be read, which names an archive that lies among them.
    """
    seen, problems = {}, []
    for name, place in places.items():
        try:
            seen[name] = recognise(place, labels[name])
        except SourceError as error:
            problems.append(error)
    tables = {name: look for name, look in seen.items() if look.is_table and not is_document(name)}
    packed = [] if tables else [name for name, place in places.items() if is_archive(place)]
    if packed and len(places) > 1:
        raise SourceError(f"{labels[packed[0]]}: is an archive, and no table lies beside it; name the archive itself")
    if not seen:
        raise problems[0]
    return tables or seen


def is_document(name: str) -> bool:
    """Return whether a file's name says that it is about the data, as README.md or LICENSE do."""
    last = name.rpartition("/")[2].lower()
    return bool(DOCUMENT.fullmatch(last)) and not last.removesuffix(".gz").endswith(DATA_ENDS)


def usual_shape(seen: Mapping[str, Look], places: Mapping[str, Path]) -> tuple[object, ...]:
    """Return the shape that most files have; of equally many, that of the most bytes."""
    count, size = Counter[tuple[object, ...]](), Counter[tuple[object, ...]]()
    for name, look in seen.items():
        count[look.shape] += 1
        size[look.shape] += places[name].stat().st_size
    return max(count, key=lambda shape: (count[shape], size[shape]))


def is_turned(look: Look, usual: Look) -> bool:
    """Return whether a file without a header has as many lines as the usual ones have columns."""
    return bool(look.notation.names and usual.notation.names) and look.rows == len(usual.notation.names or ())


def _usual_separator(lines: Sequence[str], skip: int) -> str:
    first = next((line for line in lines[skip:] if line.strip()), "")
    return max(DELIMITERS, key=first.count)
