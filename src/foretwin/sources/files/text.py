"""Text of a table file: unpacked, decoded, and without the lines that are no rows."""

import bz2
import codecs
import csv
import gzip
import io
import lzma
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from foretwin.sources.files.notation import WHITESPACE, Notation

MARKS = {  # longest first: UTF-32's mark begins with UTF-16's
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
PIECE = 1 << 16  # characters
LATIN = 0.8  # share of zero bytes in every second place, by which UTF-16 without a mark is known


def open_unpacked(path: Path) -> IO[bytes]:
    """Open a file for reading; gzip, bzip2, xz and Zstandard, known by their first bytes, are unpacked on the way."""
    with path.open("rb") as file:
        start = file.read(8)
    kind = next((kind for magic, kind in PACKED.items() if start.startswith(magic)), None)
    match kind:
        case "gzip":
            return cast(IO[bytes], gzip.open(path))
        case "bz2":
            return cast(IO[bytes], bz2.open(path))
        case "xz":
            return cast(IO[bytes], lzma.open(path))
        case "zstd":
            return io.BufferedReader(cast(Any, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")))
        case _:
            return path.open("rb")


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding that a byte order mark, or the zero bytes of Latin text in UTF-16, tell; else None."""
    for mark, name in MARKS.items():
        if head.startswith(mark):
            return name
    even, odd = head[:4000:2], head[1:4000:2]
    if odd and odd.count(0) > LATIN * len(odd) and even.count(0) == 0:
        return "utf-16-le"
    if even and even.count(0) > LATIN * len(even) and odd.count(0) == 0:
        return "utf-16-be"
    return None


def open_text(path: Path, encoding: str, errors: str = "strict") -> io.TextIOWrapper:
    """Open a packed or plain text file, with its line breaks as they are."""
    return io.TextIOWrapper(open_unpacked(path), encoding=encoding, errors=errors, newline="")


def table_lines(lines: Iterable[str], notation: Notation) -> Iterator[str]:
    """Yield the lines of header and rows: one header first, then rows alone, in the file's own quoting."""
    rest: Iterator[str] = islice(iter(lines), notation.skip, None)
    if notation.separator == WHITESPACE:
        rest = ("\t".join(line.split()) + "\n" for line in rest)
    rest = _without_last(rest, notation.footer)
    if notation.transposed:
        rest = _turned(rest, "\t" if notation.separator == WHITESPACE else notation.separator or ",")
    if notation.names:
        yield csv_line(notation.names, notation.separator)
    else:
        yield from _header(rest)
    yield from islice(rest, notation.after_header, None)


def as_stream(lines: Iterator[str]) -> IO[bytes]:
    """Return the lines as a stream of UTF-8 bytes."""
    return io.BufferedReader(_Encoded(lines), PIECE)


class _Encoded(io.RawIOBase):
    """A readable stream of lines that are made as they are asked for."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._left = lines, b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes; 0 at the end."""
        if not self._left:
            self._left = "".join(islice(self._lines, 500)).encode()
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _header(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of the header: more than one where a quoted name has a line break."""
    quotes = 0
    for line in lines:
        yield line
        quotes += line.count('"')
        if line.strip() and quotes % 2 == 0:
            return


def _without_last(lines: Iterator[str], count: int) -> Iterator[str]:
    """Yield all lines but the last ones that are not blank."""
    held: deque[str] = deque()
    full = 0
    for line in lines:
        held.append(line)
        full += bool(line.strip())
        while full > count:
            first = held.popleft()
            full -= bool(first.strip())
            yield first


def _turned(lines: Iterator[str], separator: str) -> Iterator[str]:
    """Yield the columns of the lines as lines."""
    records = [record for record in csv.reader(lines, delimiter=separator) if record]
    for cells in zip_longest(*records, fillvalue=""):
        yield csv_line(cells, separator)


def csv_line(cells: Iterable[object], separator: str | None = None) -> str:
    """Write cells as a line of CSV, with commas unless another separator is named; blanks become tabs."""
    out = io.StringIO()
    csv.writer(out, delimiter="\t" if separator == WHITESPACE else separator or ",").writerow(cells)
    return out.getvalue()
