"""Read and write tables in HTTP bodies: Arrow streams and Parquet files, bounded before they are unpacked.

A table here is flat: its columns hold numbers or text. Its bytes may come from anybody, so the sizes that it announces
are added up first, and what binds the reader is what is added: a small body cannot become a large table.
"""

import io
import struct
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from pyarrow import types

from foretwin.errors import BadInput, TooLarge
from foretwin.signals.lists import is_list
from foretwin.wire.untrusted.arrow_sizes import announced
from foretwin.wire.untrusted.parquet_sizes import page_sizes, read_footer, row_count

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"

MOST_COLUMNS = 1_000
MOST_BATCHES = 10_000  # of a stream
DAMAGE = (
    pa.ArrowException,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    struct.error,
)
NAMES = {ARROW: "Arrow stream", PARQUET: "Parquet file"}


def read_table(body: bytes, kind: str, most_rows: int, most_bytes: int, lists: bool = False) -> pa.Table:
    """Read the table in a body of the type ARROW or PARQUET.

    Its columns have distinct names and hold numbers, text, a dictionary of either, or, of an Arrow stream with `lists`,
    lists of numbers; at most `most_bytes` would be needed to write them out. BadInput for damaged bytes and for other
    columns, TooLarge beyond one of the bounds.
    """
    try:
        if kind == ARROW:
            table = _read_arrow(body, most_rows, most_bytes, lists)
        else:
            table = _read_parquet(body, most_rows, most_bytes)
        table.validate(full=True)  # offsets and dictionary indices that point elsewhere would be followed
        return _written_out(table, most_bytes)
    except DAMAGE as error:
        raise BadInput("body", f"is no {NAMES[kind]} that can be read: {_clipped(str(error))}") from None


def write_table(table: pa.Table, kind: str) -> bytes:
    """Write the table as a body of the type ARROW or PARQUET."""
    out = io.BytesIO()
    if kind == ARROW:
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    else:
        pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def _read_arrow(body: bytes, most_rows: int, most_bytes: int, lists: bool) -> pa.Table:
    with pa.ipc.open_stream(body) as stream:
        _check_schema(stream.schema, lists)
        rows = size = 0
        for count, (more_rows, more_bytes) in enumerate(announced(body), start=1):
            if more_rows < 0 or more_bytes < 0:
                raise ValueError("a batch of a negative size")
            rows += more_rows
            size += more_bytes
            _check_bounds({"rows": (rows, most_rows), "bytes": (size, most_bytes), "batches": (count, MOST_BATCHES)})
        return stream.read_all()


def _read_parquet(body: bytes, most_rows: int, most_bytes: int) -> pa.Table:
    footer = read_footer(body)
    rows = row_count(footer)
    _check_bounds({"rows": (rows, most_rows)})
    schema = pyarrow.parquet.read_schema(pa.BufferReader(body))
    _check_schema(schema)
    # Numbers may be repeated in a few bytes; text is read as a dictionary, whose cells are numbers again.
    size = int(rows * sum(4 if _is_text(field.type) else field.type.bit_width / 8 for field in schema))
    for more in chain([0], page_sizes(body, footer)):
        size += more
        _check_bounds({"bytes": (size, most_bytes)})
    texts = [field.name for field in schema if _is_text(field.type)]
    return pyarrow.parquet.ParquetFile(pa.BufferReader(body), read_dictionary=texts).read(use_threads=False)


def _check_schema(schema: pa.Schema, lists: bool = False) -> None:
    names = schema.names
    _check_bounds({"columns": (len(names), MOST_COLUMNS)})
    for field in schema:
        if names.count(field.name) > 1:
            raise BadInput(_clipped(field.name), "is there more than once")
        if not _is_flat(field.type) and not (lists and is_list(field.type)):
            raise BadInput(_clipped(field.name), f"holds {_clipped(str(field.type))}; numbers or text are needed")


def _check_bounds(found: dict[str, tuple[int, int]]) -> None:
    for what, (count, most) in found.items():
        if count > most:
            raise TooLarge("body", f"holds more than {most} {what}: send several calls")


def _is_flat(kind: pa.DataType) -> bool:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    return bool(is_number or _is_text(kind) or types.is_temporal(kind))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _written_out(table: pa.Table, most_bytes: int) -> pa.Table:
    """Return the table without views; TooLarge where its text, which a dictionary or a view may repeat, is too long."""
    size = 0
    for i, field in enumerate(table.schema):
        if not _is_text(field.type):
            continue
        column = table.column(i)
        for cells in column.chunks:
            parts = [cells.dictionary, cells] if types.is_dictionary(cells.type) else [cells]
            size += sum(pc.sum(_lengths(part)).as_py() or 0 for part in parts)
            _check_bounds({"bytes": (size, most_bytes)})
        kind = _without_views(field.type)
        if kind != field.type:
            table = table.set_column(i, field.with_type(kind), column.cast(kind))
    return table


def _without_views(kind: pa.DataType) -> pa.DataType:
    if types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _without_views(kind.value_type), kind.ordered)
    return pa.large_string() if types.is_string_view(kind) else kind


def _lengths(cells: pa.Array) -> pa.Array:
    """Return the bytes of each text."""
    if types.is_dictionary(cells.type):
        return _lengths(cells.dictionary).take(cells.indices)
    if types.is_string_view(cells.type):
        views = np.frombuffer(cells.buffers()[1], np.int32).reshape(-1, 4)  # the first of four numbers is the length
        return pa.array(views[cells.offset : cells.offset + len(cells), 0], pa.int64())
    return pc.binary_length(cells).cast(pa.int64())


def _clipped(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else f"{text[:100]}... ({len(text)} characters)"
