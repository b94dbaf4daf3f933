"""A scoring call as a table: columns asset, run (optional), time, one per channel, observed_at (optional)."""

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foretwin.champion.champion import Champion
from foretwin.errors import BadInput
from foretwin.predictor.inputs import Names, Tracks, finite
from foretwin.serving.scoring.call import ScoreCall, check_moment, check_units
from foretwin.serving.scoring.json_call import LONGEST_NAME

KEYS = ("asset", "run", "time", "observed_at")


def decode_table(table: pa.Table, champion: Champion) -> ScoreCall:
    """The call in a table whose column names are all different.

    Each asset's rows stand together, in order of time; of several runs of an asset the last one is scored. A field may
    have a `unit` in its metadata, which is checked. BadInput names the column that breaks the contract.
    """
    contract = champion.bundle.contract
    columns = dict(zip(table.column_names, table.columns, strict=True))
    for name in ("asset", "time", *contract.channel_names):
        if name not in columns:
            raise BadInput(name, "this column is missing")
    for name in columns:
        if name not in KEYS and name not in contract.channels:
            raise BadInput(name[:60], f"is unknown; there is {', '.join((*KEYS, *contract.channel_names))}")
    units = {field.name: (field.metadata or {}).get(b"unit") for field in table.schema}
    check_units({name: unit.decode("utf-8", "replace") for name, unit in units.items() if unit is not None}, contract)
    assets = _names(columns["asset"])
    time = _numbers(columns["time"], "time", assets, np.float64)
    values = np.empty((len(table), len(contract.channels)), np.float32)
    for i, name in enumerate(contract.channel_names):
        values[:, i] = _numbers(columns[name], name, assets, np.float32)
    runs = _runs(columns["run"]) if "run" in columns else np.ones(len(table), np.int64)
    tracks = Tracks.of_columns(assets, runs, time, values, len(contract.axes))
    call = ScoreCall(champion, tracks, _moments(columns.get("observed_at"), tracks))
    odd = call.find_odd_clock()
    if odd:
        raise call.odd_clock(f"time of {tracks.assets[odd[0]]}", odd[1])
    return call


def _names(column: pa.ChunkedArray) -> Names:
    """The names by their numbers, which are compared faster than texts."""
    if not pa.types.is_dictionary(column.type):
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise BadInput("asset", f"holds {column.type}, text is needed")
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # one without any chunk
        raise BadInput("rows", "there is none to score")
    if not (pa.types.is_string(array.dictionary.type) or pa.types.is_large_string(array.dictionary.type)):
        raise BadInput("asset", f"holds {array.dictionary.type}, text is needed")
    names = np.array([*array.dictionary.to_pylist(), None], dtype=object)
    codes = array.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    used = names[np.unique(codes)]
    wrong = next((name for name in used if name is None or not 0 < len(name) <= LONGEST_NAME), "")
    if wrong != "" or "" in used:
        raise BadInput("asset", f"holds a name that is not of 1 to {LONGEST_NAME} characters")
    return Names(codes, names)


def _numbers(column: pa.ChunkedArray, name: str, assets: Names, dtype: type) -> NDArray[Any]:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise BadInput(name, f"holds {column.type}, numbers are needed")
    return finite(column.to_numpy(), name, assets, dtype)  # a missing number becomes NaN


def _runs(column: pa.ChunkedArray) -> NDArray[np.int64]:
    if not pa.types.is_integer(column.type) or column.null_count:
        raise BadInput("run", f"holds {column.type} or misses some, whole numbers are needed")
    try:
        return column.cast(pa.int64()).to_numpy()  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        raise BadInput("run", "holds a number beyond 64 bits") from None


def _moments(column: pa.ChunkedArray | None, tracks: Tracks) -> tuple[datetime | None, ...]:
    if column is None:
        return (None,) * len(tracks)
    if not pa.types.is_timestamp(column.type):
        raise BadInput("observed_at", f"holds {column.type}, moments are needed")
    try:
        moments: list[datetime | None] = column.take(pa.array(tracks.ends)).cast(pa.timestamp("us", "UTC")).to_pylist()
    except (pa.ArrowInvalid, OverflowError, ValueError):
        raise BadInput("observed_at", "holds a moment that no calendar has") from None
    if column.type.tz is None:
        raise BadInput("observed_at", "has no zone; moments in UTC are needed")
    return tuple(None if at is None else check_moment(at, "observed_at") for at in moments)
