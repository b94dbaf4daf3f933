"""DataFrames to the bodies that the services read, and their answers to DataFrames."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from foretwin.errors import BadInput, ServiceError

ARROW = "application/vnd.apache.arrow.stream"
MODEL = b"foretwin"  # the entry of an Arrow table's metadata that says who answered
ROWS_PER_CALL = 50_000  # half of what a service takes by default


def write_arrow(frame: pd.DataFrame) -> bytes:
    """Return a DataFrame as an Arrow stream, without its index."""
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadInput("rows", f"cannot be sent: {error}; give each column one type") from None
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()


def read_arrow(content: bytes) -> pd.DataFrame:
    """Return an Arrow stream as a DataFrame whose `attrs["model"]` says who answered."""
    try:
        table = pa.ipc.open_stream(content).read_all()
    except pa.ArrowInvalid as error:
        raise ServiceError(f"the answer is no Arrow stream: {error}") from None
    frame: pd.DataFrame = table.to_pandas()
    told = (table.schema.metadata or {}).get(MODEL)
    frame.attrs["model"] = orjson.loads(told) if told else None
    return frame


def split_by_asset(rows: pd.DataFrame, most: int = ROWS_PER_CALL) -> Iterator[pd.DataFrame]:
    """Yield rows in pieces of at most `most` rows that keep each asset whole, in order of asset, run and time.

    An asset with more rows is a piece of its own. BadInput where `asset` or `time` is missing.
    """
    rows = rows.sort_values(_sorting_keys(rows), kind="stable")
    if rows.empty:
        return
    names = rows["asset"].to_numpy(object)
    starts = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    begin = 0
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        if end - begin > most and start > begin:
            yield rows.iloc[begin:start]
            begin = int(start)
    yield rows.iloc[begin:]


def rows_of_each_asset(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each asset's name with its rows in order of run and time."""
    keys = _sorting_keys(rows)
    for name, own in rows.groupby("asset", sort=False):
        yield str(name), own.sort_values(keys, kind="stable")


def table_of(items: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the items of a list as a DataFrame: fields within fields have a dot, moments are datetimes in UTC."""
    frame = pd.json_normalize(list(items))
    for name in frame.columns:
        if name.endswith("_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame


def _sorting_keys(rows: pd.DataFrame) -> list[str]:
    missing = [name for name in ("asset", "time") if name not in rows.columns]
    if missing:
        raise BadInput(missing[0], f"is missing; there is {', '.join(map(str, rows.columns[:12]))}")
    return [name for name in ("asset", "run", "time") if name in rows.columns]
