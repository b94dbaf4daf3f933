"""Tables in blocks of rows, so that a file need not fit in memory: text cut between records, Parquet in batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet

BLOCK = 16 << 20  # bytes of text
BATCH = 1 << 17  # rows of Parquet
BUFFER = 1 << 20  # bytes of a column that are read at once


def text_blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Cut CSV in UTF-8 into blocks of whole records, each with the header before its rows.

    A block has about `size` bytes, or as many as its longest record needs. Within quotes a line break ends no record.
    """
    header, held, is_last = b"", b"", False
    while not is_last:
        piece = file.read(size)
        held += piece
        is_last = len(piece) < size
        end = len(held) if is_last else _last_record(held)
        if not header and not is_last:
            header = _header(held[:end])
            held, end = held[len(header) :], end - len(header) if header else 0
        if end or (is_last and not header):
            yield header + held[:end]
            held = held[end:]


def parquet_blocks(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the columns in batches; no row group is held as a whole."""
    with pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
        for batch in file.iter_batches(BATCH, columns=list(columns)):
            yield pa.Table.from_batches([batch]).select(list(columns))


def _last_record(text: bytes) -> int:
    """Return the number of bytes up to the end of the last whole record; 0 where there is none."""
    end = text.rfind(b"\n") + 1
    inside = text.count(b'"', 0, end) % 2
    while end and inside:
        before = text.rfind(b"\n", 0, end - 1) + 1
        inside ^= text.count(b'"', before, end) % 2
        end = before
    return end


def _header(text: bytes) -> bytes:
    """Return the first record that is not blank, with what is before it; nothing where all are blank."""
    end = quotes = 0
    while end < len(text):
        line = text[end : text.find(b"\n", end) + 1]
        end += len(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0 and text[:end].strip():
            return text[:end]
    return b""
