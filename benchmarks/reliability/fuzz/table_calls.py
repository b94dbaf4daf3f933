"""Arrow streams and Parquet files for the scoring service, and how they can be wrong.

Some claim more than they hold (lengths, rows, decompressed sizes), some point outside their buffers, some are merely
of types that nobody expects. `fuzzing.damaged` changes their bytes on top of that.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foretwin.contract.twin import Twin

Generator = np.random.Generator
MANY = 40_000_000  # rows or bytes that compress to next to nothing


def valid_table(contract: Twin, form: str, generator: Generator) -> bytes:
    """A body that the service answers; `form` is arrow or parquet."""
    return written(table(contract, generator), form, generator)


def changed_table(contract: Twin, form: str, generator: Generator) -> tuple[str, bytes]:
    """What is wrong, and the body."""
    names = [*TABLES, *(ARROW_ONLY if form == "arrow" else PARQUET_ONLY)]
    weights = np.array([RARE.get(name, 1.0) for name in names])
    name = str(generator.choice(names, p=weights / weights.sum()))
    good = table(contract, generator)
    if name in TABLES:
        return name, written(TABLES[name](good, generator), form, generator)
    special = ARROW_ONLY if form == "arrow" else PARQUET_ONLY
    return name, special[name](good, generator)


def table(contract: Twin, generator: Generator) -> pa.Table:
    """Rows of up to four assets within the contract's limits."""
    lengths = generator.integers(contract.window.shortest, contract.window.length + 3, int(generator.integers(1, 5)))
    columns: dict[str, Any] = {
        "asset": np.repeat([f"A-{i}" for i in range(len(lengths))], lengths),
        "time": np.concatenate([np.arange(1, n + 1) * float(contract.clock.step) for n in lengths]),
    }
    if generator.random() < 0.7:
        columns["run"] = np.ones(lengths.sum(), np.int64)
    kind = np.float32 if generator.random() < 0.5 else np.float64
    for name, channel in contract.channels.items():
        columns[name] = generator.uniform(channel.min, channel.max, lengths.sum()).astype(kind)
    return pa.table(columns)


def written(content: pa.Table, form: str, generator: Generator) -> bytes:
    """The table in one of the two forms, compressed or not; types that Parquet does not know are left to Arrow."""
    if form == "parquet":
        sink = pa.BufferOutputStream()
        options = {"compression": str(generator.choice(["none", "snappy", "zstd", "gzip", "lz4", "brotli"]))}
        try:
            pq.write_table(content, sink, use_dictionary=bool(generator.integers(2)), **options)
        except (pa.ArrowException, KeyError):
            return b"PAR1" + generator.bytes(100) + b"PAR1"
        return bytes(sink.getvalue())
    return stream(content, str(generator.choice(["none", "lz4", "zstd"])))


def stream(content: pa.Table, compression: str = "none") -> bytes:
    """The table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
    with pa.ipc.new_stream(sink, content.schema, options=options) as writer:
        writer.write_table(content)
    return bytes(sink.getvalue())


def _any_column(content: pa.Table, generator: Generator) -> str:
    return str(generator.choice(content.column_names))


def _with(content: pa.Table, name: str, values: Any) -> pa.Table:
    return content.set_column(content.column_names.index(name), name, values)


def _other_type(content: pa.Table, generator: Generator) -> pa.Table:
    count = len(content)
    text = pa.array([str(i) for i in range(count)])
    numbers = (pa.decimal128(20, 3), pa.decimal256(60, 3), pa.date32(), pa.timestamp("ns", "UTC"), pa.uint64())
    kinds: list[Callable[[], Any]] = [
        lambda: text,
        lambda: text.cast((pa.large_string(), pa.string_view(), pa.binary())[generator.integers(3)]),
        lambda: pa.array(range(count), numbers[generator.integers(len(numbers))]),
        lambda: pa.array([b"\xff\xfe"] * count),
        lambda: pa.array([i % 2 == 0 for i in range(count)]),
        lambda: pa.nulls(count),
        lambda: pa.array(range(count), pa.duration("s")),
        lambda: pa.array(np.arange(count, dtype=np.float16)),
        lambda: pa.array([2**63 + i for i in range(count)], pa.uint64()),
        lambda: pa.array([[float(i)] for i in range(count)]),
        lambda: pa.array([[float(i)] for i in range(count)], pa.list_view(pa.float64())),
        lambda: pa.array([[1.0, 2.0]] * count, pa.list_(pa.float64(), 2)),
        lambda: pa.array([{"a": i} for i in range(count)]),
        lambda: pa.array([[("k", i)] for i in range(count)], pa.map_(pa.string(), pa.int64())),
        text.dictionary_encode,
        lambda: pa.array(np.zeros(count)).dictionary_encode(),
        lambda: pa.RunEndEncodedArray.from_arrays(pa.array([count], pa.int32()), pa.array([1.0])),
        lambda: pa.UnionArray.from_dense(
            pa.array([0] * count, pa.int8()), pa.array(range(count), pa.int32()), [pa.array(np.zeros(count))]
        ),
    ]
    return _with(content, _any_column(content, generator), kinds[generator.integers(len(kinds))]())


def _bad_value(content: pa.Table, generator: Generator) -> pa.Table:
    name = _any_column(content, generator)
    values = content[name].to_pylist()
    bad: tuple[Any, ...] = (None, float("nan"), float("inf"), -float("inf"), 1e300, -1e39)
    if name == "asset":
        bad = (None, "", "x" * 100_000, "\x00", "A-0")
    if name == "run":
        bad = (None, -1, 2**62, 0)
    values[generator.integers(len(values))] = bad[generator.integers(len(bad))]
    return _with(content, name, pa.array(values, None if name == "asset" else content[name].type))


def _columns(content: pa.Table, generator: Generator) -> pa.Table:
    name, zeros = _any_column(content, generator), pa.array(np.zeros(len(content)))
    many = [f"c{i}" for i in range(3000)]
    ways: list[Callable[[], pa.Table]] = [
        lambda: content.drop_columns([name]),
        lambda: content.append_column(name, content[name]),
        lambda: content.append_column("extra", zeros),
        lambda: content.rename_columns([f"{one} " if one == name else one for one in content.column_names]),
        lambda: content.select([]),
        lambda: content.slice(0, 0),
        lambda: pa.table([*content.columns, *[zeros] * len(many)], names=[*content.column_names, *many]),
    ]
    return ways[generator.integers(len(ways))]()


def _rows(content: pa.Table, generator: Generator) -> pa.Table:
    match int(generator.integers(5)):
        case 0:
            return content.take(pa.array(generator.permutation(len(content))))
        case 1:
            return pa.concat_tables([content, content])
        case 2:
            return content.slice(0, 1)
        case 3:
            return pa.concat_tables([content] * int(generator.choice([50, 3000], p=[0.9, 0.1])))
        case _:
            return content.take(pa.array(np.arange(len(content))[::-1].copy()))


def _described(content: pa.Table, generator: Generator) -> pa.Table:
    units = [b"h", b"furlong", b"", b"\xff", b"x" * 100_000, b"\x00"]
    fields = [field.with_metadata({b"unit": units[generator.integers(len(units))]}) for field in content.schema]
    return content.cast(pa.schema(fields, metadata={b"pandas": b"{", b"x": b"y" * 100_000}))


TABLES: dict[str, Callable[[pa.Table, Generator], pa.Table]] = {
    "valid": lambda content, _: content,
    "other type": _other_type,
    "bad value": _bad_value,
    "columns": _columns,
    "rows": _rows,
    "described": _described,
}


def _wrong_offsets(content: pa.Table, generator: Generator) -> bytes:
    """The offsets of the assets' names replaced in the written bytes: the writer itself would trip over them."""
    names = content["asset"].combine_chunks()
    good = np.frombuffer(names.buffers()[1], np.int32)[: len(names) + 1]
    wrong = generator.integers(-(2**31), 2**31 - 1, len(good)).astype(np.int32)
    if generator.random() < 0.5:
        wrong = np.sort(np.abs(wrong))
    return stream(content).replace(good.tobytes(), wrong.tobytes())


def _wrong_indexes(content: pa.Table, generator: Generator) -> bytes:
    index = generator.choice([-1, 3, 100, 2**31 - 1, -(2**31)], len(content)).astype(np.int32)
    name = _any_column(content, generator)
    kind = pa.array(["A-0", "A-1", "A-2"]) if name == "asset" else pa.array([1.0, 2.0, 3.0])
    return stream(_with(content, name, pa.DictionaryArray.from_arrays(pa.array(index), kind, safe=False)))


def _swollen_stream(content: pa.Table, generator: Generator) -> bytes:
    """A few kilobytes that decompress to hundreds of megabytes."""
    name = _any_column(content, generator)
    count = int(generator.choice([MANY // 10, MANY]))
    zeros = pa.array(np.zeros(count))
    if generator.random() < 0.5:
        return stream(pa.table({name: zeros}), "zstd")
    long_text = pa.array(["\x00" * count], pa.large_string())
    return stream(pa.table({"asset": long_text}), "zstd")


def _many_batches(content: pa.Table, generator: Generator) -> bytes:
    sink = pa.BufferOutputStream()
    empty, first = content.slice(0, 0).combine_chunks(), content.to_batches()[0]
    nothing = pa.RecordBatch.from_pydict({name: [] for name in content.column_names}, schema=content.schema)
    with pa.ipc.new_stream(sink, content.schema) as writer:
        for _ in range(int(generator.choice([100, 4000]))):
            writer.write_batch(nothing if generator.random() < 0.9 or len(empty) else first)
    return bytes(sink.getvalue())


def _deep_stream(generator: Generator) -> bytes:
    kind = pa.float64()
    for _ in range(int(generator.choice([10, 60, 2000]))):
        kind = pa.list_(kind) if generator.random() < 0.5 else pa.struct([("a", kind)])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("deep", kind)])):
        pass
    return bytes(sink.getvalue())


def _stream_lies(content: pa.Table, generator: Generator) -> bytes:
    """The number of rows, as the stream's metadata have it, replaced wherever it stands."""
    count = 29
    rows = content.slice(0, 1).take(pa.array([0] * count)) if len(content) else content
    body = stream(rows, str(generator.choice(["none", "lz4"])))
    number = int(generator.choice([0, 1, 28, 30, 2**20, 2**31, 2**40, 2**62, -1]))
    return body.replace(count.to_bytes(8, "little"), number.to_bytes(8, "little", signed=True))


def _file_format(content: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, content.schema) as writer:
        writer.write_table(content)
    return bytes(sink.getvalue())


ARROW_ONLY: dict[str, Callable[[pa.Table, Generator], bytes]] = {
    "wrong offsets": _wrong_offsets,
    "wrong indexes": _wrong_indexes,
    "swollen": _swollen_stream,
    "many batches": _many_batches,
    "deep type": lambda _, generator: _deep_stream(generator),
    "lies about its rows": _stream_lies,
    "file format": lambda content, _: _file_format(content),
}


def _parquet(content: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(content, sink, **options)
    return bytes(sink.getvalue())


def _swollen_file(content: pa.Table, generator: Generator) -> bytes:
    name = _any_column(content, generator)
    count = int(generator.choice([MANY // 10, MANY]))
    match int(generator.integers(3)):
        case 0:  # one value in a dictionary, its index run-length encoded
            return _parquet(pa.table({name: pa.array(np.zeros(count))}))
        case 1:
            return _parquet(pa.table({"asset": ["\x00" * count]}), compression="zstd", use_dictionary=False)
        case _:
            return _parquet(pa.table({name: pa.nulls(count, pa.float64())}))


def _footer(content: pa.Table, generator: Generator) -> bytes:
    body = bytearray(_parquet(content))
    match int(generator.integers(5)):
        case 0:
            body[-8:-4] = int(generator.choice([0, 1, 2**31 - 1, 2**32 - 1, len(body)])).to_bytes(4, "little")
        case 1:
            body[-4:] = b"PARE"  # an encrypted footer
        case 2:
            body = body[: int(generator.integers(len(body)))]
        case 3:
            size = int.from_bytes(body[-8:-4], "little")
            for spot in generator.integers(len(body) - 8 - size, len(body) - 8, 3):
                body[spot] = int(generator.integers(256))
        case _:
            body = bytearray(b"PAR1PAR1")
    return bytes(body)


def nested_schema(depth: int) -> bytes:
    """A file without rows, whose only column stands in so many structs: readers descend into them."""

    def number(value: int) -> bytes:  # as Thrift's compact protocol has it
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    struct, leaf = b"\x35\x00\x18\x01s\x15\x02\x00", b"\x15\x0a\x25\x00\x18\x01x\x00"
    schema = b"\x19\xfc" + number(depth + 1) + struct * depth + leaf
    footer = b"\x15\x04" + schema + b"\x16\x00\x19\x0c\x00"
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


PARQUET_ONLY: dict[str, Callable[[pa.Table, Generator], bytes]] = {
    "swollen": _swollen_file,
    "footer": _footer,
    "deep type": lambda _, generator: nested_schema(int(generator.choice([3, 100, 8000, 100_000]))),
    "many row groups": lambda content, _: _parquet(pa.concat_tables([content] * 20), row_group_size=1),
}
RARE = {"swollen": 0.05, "many batches": 0.3, "many row groups": 0.2}  # they take the generator long to make
