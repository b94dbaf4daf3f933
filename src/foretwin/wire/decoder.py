"""Readings as they arrive: JSON messages, Arrow streams and Parquet files, decoded into arrays.

    {"twin": "pump", "asset": "P-017", "run": 1, "time": [58, 59],
     "channels": {"flow": [1.2, 1.3]}, "units": {"flow": "m3/h"}}

A body that says nothing usable is refused as a whole. Otherwise each reading in it either becomes a row of `Readings`
or is rejected on its own, with what is wrong and its content.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pyarrow as pa

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, NotFound, TooLarge
from foretwin.wire.asset_names import check_name
from foretwin.wire.readings import Decoded, Readings, Rejected, Written
from foretwin.wire.tables import ARROW, JSON, PARQUET, read_table
from foretwin.wire.values import clipped, shown, to_json

__all__ = ["ARROW", "JSON", "PARQUET", "Decoded", "Readings", "Rejected", "decode", "decode_table", "undecodable"]

FIELDS = ("twin", "asset", "run", "time", "channels", "units")
KEYS = ("asset", "run", "time")
MOST_READINGS = 1_000_000  # in one body
MOST_BYTES = 512 * 1024 * 1024  # of the table that a body unpacks to


def decode(
    body: bytes, content_type: str, contracts: Mapping[str, Twin], twin: str | None, asset: str | None
) -> Decoded:
    """The readings of one body; `twin` and `asset` as topic or path name them, else the body has to.

    BadInput where the whole body is of no use, NotFound where its twin is not known, TooLarge beyond a million
    readings.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return _decode_message(_parse(body), contracts, twin, asset)
    if kind not in (ARROW, PARQUET):
        raise BadInput("content-type", f"is {shown(kind)}; there is {JSON}, {ARROW}, {PARQUET}")
    contract = _contract(contracts, twin)
    return decode_table(read_table(body, kind, MOST_READINGS, MOST_BYTES), contract, asset)


def undecodable(body: bytes, error: BadInput, twin: str | None, asset: str | None) -> Decoded:
    """A body that `decode` refused, as something for the quarantine."""
    reason = "unknown" if isinstance(error, NotFound) else "undecodable"
    content = body.decode("utf-8", "backslashreplace")
    return Decoded(None, (Rejected(twin, asset, error.field, reason, error.reason, content),))


def decode_table(table: pa.Table, contract: Twin, asset: str | None, texts: bool = False) -> Decoded:
    """The readings of a table with the columns time, run (optional), asset (unless named here) and one per channel.

    With `texts` columns of text may hold numbers. BadInput where time or asset is missing.
    """
    columns = dict(zip(table.column_names, table.columns, strict=True))
    if "time" not in columns:
        raise BadInput("time", "is missing")
    _check_count("time", len(table))
    units = {field.name: (field.metadata or {}).get(b"unit") for field in table.schema}
    return Written(
        contract,
        _names(columns.get("asset"), asset),
        columns.get("run"),
        columns["time"],
        {name: cells for name, cells in columns.items() if name not in KEYS},
        {name: unit.decode("utf-8", "replace") for name, unit in units.items() if unit is not None},
        texts,
    ).decoded()


def _decode_message(message: Any, contracts: Mapping[str, Twin], twin: str | None, asset: str | None) -> Decoded:
    if type(message) is not dict:
        raise BadInput("body", f"is {shown(message)}, an object is needed")
    for field in message:
        if field not in FIELDS:
            raise BadInput(clipped(field), f"is unknown; there is {', '.join(FIELDS)}")
    contract = _contract(contracts, _agreed("twin", message.get("twin"), twin))
    name = check_name(_agreed("asset", message.get("asset"), asset))
    for field in ("time", "channels"):
        if field not in message:
            raise BadInput(field, "is missing")
    units = message.get("units", {})
    for field, value in (("channels", message["channels"]), ("units", units)):
        if type(value) is not dict:
            raise BadInput(field, f"is {shown(value)}, an object is needed")
    time = _listed(message["time"])
    _check_count("time", len(time))
    channels = {channel: _listed(cells) for channel, cells in message["channels"].items()}
    for channel, cells in channels.items():
        if len(cells) != len(time):
            detail = f"has {len(cells)} values, but time has {len(time)}"
            rejected = Rejected(contract.name, name, f"channels.{channel}", "type", detail, to_json(message))
            return Decoded(None, (rejected,))
    run = None if message.get("run") is None else [message["run"]] * len(time)
    return Written(contract, name, run, time, channels, units).decoded()


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        reason = str(error)
    try:
        return json.loads(body.decode("utf-8"))  # reads NaN and Infinity too, which then spoil one reading alone
    except (ValueError, RecursionError):
        raise BadInput("body", f"is not JSON: {reason}") from None


def _contract(contracts: Mapping[str, Twin], twin: str | None) -> Twin:
    if twin is None:
        raise NotFound("twin", "is not named, neither by the message nor by its topic, path or query")
    if twin not in contracts:
        raise NotFound("twin", f"{shown(twin)} is not known here; there is {', '.join(sorted(contracts)) or 'none'}")
    return contracts[twin]


def _agreed(field: str, said: Any, given: str | None) -> str | None:
    """What the message says, or else its topic or path; BadInput where they disagree."""
    if said is None:
        return given
    if type(said) is not str:
        raise BadInput(field, f"is {shown(said)}, a text is needed")
    if given is not None and said != given:
        raise BadInput(field, f"is {shown(said)}, but topic, path or query says {shown(given)}")
    return said


def _names(column: pa.ChunkedArray | None, given: str | None) -> str | pa.ChunkedArray:
    """The name of all, or a column of names; BadInput where there is neither, or they disagree."""
    if column is None:
        return check_name(given)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise BadInput("asset", f"holds {kind}, text is needed")
    for name in column.unique().to_pylist() if given is not None else ():
        _agreed("asset", name, given)
    return column


def _check_count(field: str, count: int) -> None:
    if count == 0:
        raise BadInput(field, "is empty")
    if count > MOST_READINGS:
        raise TooLarge(field, f"has {count} readings, {MOST_READINGS} may come at once: send several")


def _listed(value: Any) -> list[Any]:
    return value if type(value) is list else [value]
