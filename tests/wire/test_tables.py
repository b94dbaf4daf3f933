"""Tables in bodies: what is read back is what was written, and no small body becomes a large table."""

import io
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretwin.errors import BadInput, TooLarge
from foretwin.wire.tables import ARROW, MOST_BATCHES, MOST_COLUMNS, PARQUET, read_table, write_table

ROWS, BYTES = 10_000, 4 * 1024 * 1024
KINDS = (ARROW, PARQUET)
LONG = "x" * 100_000


def read(body: bytes, kind: str, rows: int = ROWS, size: int = BYTES) -> pa.Table:
    return read_table(body, kind, rows, size)


def as_arrow(table: pa.Table, compression: str | None = None, batch: int | None = None) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as stream:
        stream.write_table(table, max_chunksize=batch)
    return out.getvalue()


def as_parquet(table: pa.Table, **more) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, **more)
    return out.getvalue()


def readings(count: int = 50) -> pa.Table:
    drawn = np.random.default_rng(1).normal(size=count)
    named = pa.array([f"P-{i // 10}" for i in range(count)])
    columns = {"asset": named, "kind": named.dictionary_encode(), "run": pa.array([1] * count, pa.int32())}
    return pa.table(columns | {"time": np.arange(count, dtype=float), "flow": pa.array(drawn, pa.float32())})


def plain(table: pa.Table) -> dict[str, list]:
    return {name: table[name].to_pylist() for name in table.column_names}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back(kind):
    table = readings()
    assert plain(read(write_table(table, kind), kind)) == plain(table)
    warned = table.append_column("warnings", pa.array([["a", "b"], *([[]] * 49)]))
    reader = pa.ipc.open_stream(write_table(warned, ARROW))
    assert reader.read_all()["warnings"].to_pylist()[0] == ["a", "b"]


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_packed_streams_are_read(compression):
    table = readings()
    assert plain(read(as_arrow(table, compression, batch=7), ARROW)) == plain(table)


@pytest.mark.parametrize(
    "more",
    [
        {"compression": name, "data_page_version": version, "row_group_size": 20}
        for name in ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
        for version in ("1.0", "2.0")
    ]
    + [
        {"use_dictionary": False},
        {"use_dictionary": False, "column_encoding": {"time": "BYTE_STREAM_SPLIT"}},
        {"use_dictionary": False, "column_encoding": {"run": "DELTA_BINARY_PACKED"}},
        {"store_schema": False, "write_statistics": False, "write_page_index": True},
    ],
)
def test_parquet_is_read_however_it_was_written(more):
    table = readings()
    assert plain(read(as_parquet(table, **more), PARQUET)) == plain(table)


def test_the_unit_of_a_column_survives():
    marked = pa.table([[1.0]], pa.schema([pa.field("flow", pa.float64(), metadata={b"unit": b"m3/h"})]))
    for kind in KINDS:
        assert read(write_table(marked, kind), kind).schema.field("flow").metadata[b"unit"] == b"m3/h"


def test_text_as_views_becomes_plain_text():
    table = pa.table({"asset": pa.array(["a", None, "a name longer than twelve bytes"], pa.string_view())}).slice(1)
    found = read(as_arrow(table), ARROW)
    assert found["asset"].type == pa.large_string()
    assert found["asset"].to_pylist() == [None, "a name longer than twelve bytes"]


def test_views_in_a_dictionary_become_plain_text_too():
    names = pa.DictionaryArray.from_arrays(pa.array([1, None, 0]), pa.array(["a", "b"], pa.string_view()))
    found = read(as_arrow(pa.table({"asset": names})), ARROW)
    assert found["asset"].type.value_type == pa.large_string()
    assert found["asset"].to_pylist() == ["b", None, "a"]


def test_an_empty_table_is_one():
    for kind in KINDS:
        assert len(read(write_table(readings().slice(0, 0), kind), kind)) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("table", "field", "reason"),
    [
        (pa.table([[1.0], [2.0]], names=["flow", "flow"]), "flow", "is there more than once"),
        (pa.table({"flow": [[1.0]]}), "flow", "holds list"),
        (pa.table({"flow": [{"a": 1}]}), "flow", "holds struct"),
        (pa.table({"flow": pa.array([b"a"])}), "flow", "holds binary"),
        (pa.table({"flow": pa.nulls(3)}), "flow", "holds null"),
    ],
)
def test_a_column_that_is_no_numbers_or_text_or_stands_twice_is_refused_by_its_name(table, field, reason, kind):
    with pytest.raises(BadInput, match=reason) as refused:
        read(write_table(table, kind), kind)
    assert refused.value.field == field


@pytest.mark.parametrize("kind", KINDS)
def test_more_rows_columns_or_bytes_than_allowed_are_too_large(kind):
    body = write_table(readings(), kind)
    assert len(read(body, kind, rows=50)) == 50
    with pytest.raises(TooLarge, match="more than 49 rows"):
        read(body, kind, rows=49)
    with pytest.raises(TooLarge, match="more than 600 bytes"):
        read(body, kind, size=600)
    wide = pa.table({f"c{i}": [1.0] for i in range(MOST_COLUMNS + 1)})
    with pytest.raises(TooLarge, match=f"more than {MOST_COLUMNS} columns"):
        read(write_table(wide, kind), kind)


def test_very_many_batches_are_too_large():
    with pytest.raises(TooLarge, match="batches"):
        read(as_arrow(readings(MOST_BATCHES + 1), batch=1), ARROW, rows=MOST_BATCHES + 1)


def zeros(count: int) -> pa.Table:
    return pa.table({"flow": np.zeros(count)})


def repeated_text(form: str) -> pa.Table:
    """A long text once, and 10,000 cells that show it."""
    if form == "dictionary":
        column = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array([LONG]))
    else:
        text = LONG.encode()
        view = struct.pack("<i4sii", len(text), text[:4], 0, 0)
        column = pa.Array.from_buffers(
            pa.string_view(), 10_000, [None, pa.py_buffer(view * 10_000), pa.py_buffer(text)]
        )
    return pa.table({"asset": column})


def bombs() -> dict[str, tuple[bytes, str]]:
    huge = zeros(20_000_000)
    within = repeated_text("dictionary")["asset"].combine_chunks()
    nested = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), repeated_text("view")["asset"].chunk(0))
    return {
        "zeros by zstd": (as_arrow(huge, "zstd"), ARROW),
        "zeros by lz4": (as_arrow(zeros(2_000_000), "lz4"), ARROW),
        "zeros in a Parquet page": (as_parquet(huge, compression="zstd", use_dictionary=False), PARQUET),
        "zeros in a Parquet dictionary": (as_parquet(huge), PARQUET),
        "a text shown by a dictionary": (as_arrow(pa.table({"asset": within})), ARROW),
        "a text shown by views": (as_arrow(repeated_text("view")), ARROW),
        "views in a dictionary": (as_arrow(pa.table({"asset": nested})), ARROW),
        "a text shown by Parquet": (as_parquet(repeated_text("dictionary")), PARQUET),
        "many columns of zeros": (as_parquet(pa.table({f"c{i}": np.zeros(9_000) for i in range(900)})), PARQUET),
    }


BOMBS = bombs()


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_body_does_not_become_a_large_table(name):
    body, kind = BOMBS[name]
    assert len(body) < BYTES
    pool = pa.proxy_memory_pool(pa.default_memory_pool())  # which counts from zero
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(TooLarge):
            read_table(body, kind, 30_000_000, BYTES)
    finally:
        pa.set_memory_pool(usual)
    assert pool.max_memory() <= BYTES


def lying(body: bytes, true: int, claimed: int) -> bytes:
    """A Parquet file whose footer claims another unpacked size than its pages have; both as Thrift writes them."""

    def varint(number: int) -> bytes:
        number, out = number << 1, b""
        while number > 127:
            out, number = out + bytes([number & 127 | 128]), number >> 7
        return out + bytes([number])

    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    old, new = varint(true), varint(claimed)
    assert len(old) == len(new)
    assert body[footer:].count(old) > 0
    return body[:footer] + body[footer:].replace(old, new)


def test_a_footer_that_lies_about_its_pages_is_not_believed():
    body = as_parquet(zeros(10_000), compression="zstd", use_dictionary=False, store_schema=False)
    column = pyarrow.parquet.ParquetFile(pa.BufferReader(body)).metadata.row_group(0).column(0)
    honest = column.total_uncompressed_size
    body = lying(body, honest, honest // 3)
    claimed = pyarrow.parquet.ParquetFile(pa.BufferReader(body)).metadata.row_group(0).column(0).total_uncompressed_size
    assert claimed == honest // 3
    most = 10_000 * 8 + claimed + 10_000  # what is written out and what is claimed would fit
    with pytest.raises(TooLarge, match="bytes"):
        read(body, PARQUET, size=most)
    assert len(read(body, PARQUET)) == 10_000


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_an_encoding_that_repeats_text_without_bound_is_refused(encoding):
    table = pa.table({"asset": [LONG[:i] for i in range(100)]})
    body = as_parquet(table, use_dictionary=False, column_encoding={"asset": encoding})
    with pytest.raises(BadInput, match="write a dictionary, or PLAIN"):
        read(body, PARQUET)


@pytest.mark.parametrize("values", [["a"], [1.5]])
def test_indices_beyond_their_dictionary_are_refused(values):
    broken = pa.DictionaryArray.from_arrays(pa.array([0, 7], pa.int32()), pa.array(values), safe=False)
    with pytest.raises(BadInput) as refused:
        read(as_arrow(pa.table({"flow": broken})), ARROW)
    assert refused.value.field == "body"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"", b"\0" * 64, b"PAR1PAR1PAR1", b"\xff" * 100, b"{}", b"ARROW1\0\0"])
def test_bytes_that_are_no_table_are_refused(body, kind):
    with pytest.raises(BadInput, match="is no") as refused:
        read(body, kind)
    assert refused.value.field == "body"
    assert "\n" not in refused.value.reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_ends_early_is_refused(kind):
    body = write_table(readings(), kind)
    for length in range(0, len(body) - 20, 101):
        with pytest.raises(BadInput):
            read(body[:length], kind)


SEEDS = [
    (write_table(readings(), ARROW), ARROW),
    (as_arrow(readings(), "zstd", batch=20), ARROW),
    (write_table(readings(), PARQUET), PARQUET),
    (as_parquet(readings(), data_page_version="2.0", compression="zstd"), PARQUET),
]


def test_a_histogram_of_a_wrong_length_ends_in_a_refusal_and_not_the_process():
    """pyarrow's own view of the column's metadata would end it."""
    found = 0
    body = as_parquet(pa.table({"time": [1.0], "flow": [2.0]}), store_schema=False)
    for place in range(len(body) // 2, len(body)):
        for byte in (0, 25, 38):
            try:
                read(body[:place] + bytes([byte]) + body[place + 1 :], PARQUET)
            except BadInput:
                found += 1
    assert found > 100


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_whatever_is_damaged_is_read_or_refused(seed, changes):
    body, kind = bytearray(seed[0]), seed[1]
    for place, value in changes:
        body[int(place * len(body))] = value
    try:
        table = read(bytes(body), kind)
    except BadInput:
        return
    assert len(table) <= ROWS
    assert sum(column.nbytes for column in table.columns) <= BYTES
