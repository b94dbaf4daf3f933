"""Decode readings from JSON messages, Arrow streams and Parquet files, for ingestion.

    {"twin": "pump", "asset": "P-017", "run": 1, "time": [58, 59],
     "channels": {"flow": [1.2, 1.3]}, "units": {"flow": "m3/h"}}

single values, each with its own time (`value_columns`):

    {"twin": "pump", "asset": "P-017", "time": "2026-11-21T12:00:00Z", "channel": "flow", "value": 1.2}

or snapshots of waveforms, whose features become channels as they arrive (`waveform_columns`).

A body that says nothing usable is refused as a whole. Otherwise each reading in it either becomes a row of `Readings`
or is rejected on its own, with what is wrong and its content.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, NotFound, TooLarge
from foretwin.wire.as_sent import as_sent
from foretwin.wire.asset_names import check_name
from foretwin.wire.columns import Columns, check_text_column, columns_of
from foretwin.wire.json import check_object, check_text, parse
from foretwin.wire.readings import Decoded, Rejected
from foretwin.wire.tables import ARROW, JSON, PARQUET, read_table
from foretwin.wire.value_columns import FIELDS, ValueColumns, cells_of, wrong_length
from foretwin.wire.values import shown
from foretwin.wire.waveform_columns import (
    Lists,
    check_sample_rates,
    features_of,
    kept_snapshots,
    lists_of,
    lists_of_columns,
)

KEYS = ("asset", "run", "time")
MOST_READINGS = 1_000_000  # in one body
MOST_BYTES = 512 * 1024 * 1024  # of the table that a body unpacks to


def decode(
    body: bytes, content_type: str, contracts: Mapping[str, Twin], twin: str | None, asset: str | None
) -> Decoded:
    """Decode one body; `twin` and `asset` come from topic or path, else from the body.

    BadInput where the whole body is of no use, NotFound where its twin is not known, TooLarge beyond a million
    readings.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return _decode_message(parse(body), contracts, twin, asset)
    if kind not in (ARROW, PARQUET):
        raise BadInput("content-type", f"is {shown(kind)}; there is {JSON}, {ARROW}, {PARQUET}")
    contract = _contract(contracts, twin)
    table = read_table(body, kind, MOST_READINGS, MOST_BYTES, lists=bool(contract.waveforms))
    return decode_table(table, contract, asset)


def undecodable(body: bytes, error: BadInput, twin: str | None, asset: str | None) -> Decoded:
    """Return a body that `decode` refused, for the quarantine."""
    reason = "unknown" if isinstance(error, NotFound) else "undecodable"
    content = body.decode("utf-8", "backslashreplace")
    return Decoded(None, (Rejected(twin, asset, error.field, reason, error.reason, content),))


def decode_table(table: pa.Table, contract: Twin, asset: str | None, texts: bool = False) -> Decoded:
    """Decode a table with the columns time, run (optional), asset (unless named here) and one per channel.

    Instead of the latter it may have `channel`, `value` and perhaps `quality`: then each row is a single value.
    With `texts` columns of text may hold numbers. BadInput where time or asset is missing.
    """
    contract = as_sent(contract)
    columns, units = columns_of(table)
    if "time" not in columns:
        raise BadInput("time", "is missing")
    _check_count("time", len(table))
    if is_of_values(columns, contract):
        names = _names(columns.get("asset"), asset)
        owners = names if isinstance(names, str) else names.to_pylist()
        return _values(contract, owners, {name: columns[name] for name in FIELDS if name in columns}, texts)
    lists = lists_of_columns(columns, contract)
    channels = {name: cells for name, cells in columns.items() if name not in KEYS and name not in lists}
    channels |= features_of(contract, lists, columns["time"], channels) if lists else {}
    names = _names(columns.get("asset"), asset)
    decoded = Columns(contract, names, columns.get("run"), columns["time"], channels, units, texts).decode()
    return _with_snapshots(
        decoded, contract, {"asset": names, "run": columns.get("run"), "time": columns["time"]}, lists
    )


def _decode_message(message: Any, contracts: Mapping[str, Twin], twin: str | None, asset: str | None) -> Decoded:
    alone, sampled = (type(message) is dict and name in message for name in ("value", "waveforms"))
    if alone:
        check_object(message, "body", required=FIELDS[:3], optional=("twin", "asset", "quality"))
    else:
        needed = ("time", "waveforms") if sampled else ("time", "channels")
        more = ("channels", "rates") if sampled else ()
        check_object(message, "body", required=needed, optional=("twin", "asset", "run", "units", *more))
    said = message.get("twin")
    contract = _contract(contracts, _agreed("twin", None if said is None else check_text(said, "twin"), twin))
    name = check_name(_agreed("asset", message.get("asset"), asset))
    if alone:
        return _values(contract, name, {field: message[field] for field in FIELDS if field in message})
    sent = check_object(message.get("channels", {}), "channels")
    units = check_object(message.get("units", {}), "units")
    time = _listed(message["time"])
    _check_count("time", len(time))
    channels: dict[str, Any] = {channel: _listed(cells) for channel, cells in sent.items()}
    if sampled:
        check_sample_rates(check_object(message.get("rates", {}), "rates"), contract)
        snapshots = check_object(message["waveforms"], "waveforms")
        lists = lists_of(snapshots, type(message["time"]) is not list, contract)
        channels |= features_of(contract, lists, time, channels)
        decoded = Columns(contract, name, message.get("run"), time, channels, units).decode()
        return _with_snapshots(decoded, contract, {"asset": name, "run": message.get("run"), "time": time}, lists)
    return Columns(contract, name, message.get("run"), time, channels, units).decode()


def _with_snapshots(decoded: Decoded, contract: Twin, keys: Mapping[str, Any], lists: Lists) -> Decoded:
    """Add the snapshots that are kept where all rows are readings, or some of them."""
    if decoded.readings is None or not lists:
        return decoded
    return replace(decoded, snapshots=kept_snapshots(contract, keys, lists))


def is_of_values(columns: Collection[str], contract: Twin) -> bool:
    """Return whether each row of a table with these columns is a single value."""
    return {"channel", "value"} <= set(columns) and not {"channel", "value"} & set(contract.channels)


def _values(contract: Twin, asset: str | Sequence[Any], sent: Mapping[str, Any], texts: bool = False) -> Decoded:
    fields = {name: cells_of(cells) for name, cells in sent.items()}
    wrong = wrong_length(fields)
    if wrong:
        raise BadInput(*wrong)
    _check_count("time", len(fields["time"]))
    values, rejected = ValueColumns(contract, asset, fields, texts).decode()
    missing = len(fields["time"]) - len(values) - len(rejected)
    return Decoded(None, rejected, values if len(values) else None, missing)


def _contract(contracts: Mapping[str, Twin], twin: str | None) -> Twin:
    if twin is None:
        raise NotFound("twin", "is not named, neither by the message nor by its topic, path or query")
    if twin not in contracts:
        raise NotFound("twin", f"{shown(twin)} is not known here; there is {', '.join(sorted(contracts)) or 'none'}")
    return as_sent(contracts[twin])


def _agreed(field: str, said: Any, given: str | None) -> Any:
    """Return the message's value, or else its topic's or path's; BadInput where they disagree."""
    if said is None:
        return given
    if given is not None and said != given:
        raise BadInput(field, f"is {shown(said)}, but topic, path or query says {shown(given)}")
    return said


def _names(column: pa.ChunkedArray | None, given: str | None) -> str | pa.ChunkedArray:
    """Return the name of all, or a column of names; BadInput where there is neither, or they disagree."""
    if column is None:
        return check_name(given)
    check_text_column("asset", column)
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
