"""Decode a scoring call in a table: columns asset, run (optional), time, one per channel, observed_at (optional)."""

from datetime import datetime

import numpy as np
import pyarrow as pa

from foretwin.champion.champion import Champion
from foretwin.errors import BadInput
from foretwin.predictor.guards import find_refusal
from foretwin.predictor.inputs import ModelInputs, Names
from foretwin.serving.scoring.calls.call import ScoreCall, check_moment
from foretwin.wire.columns import Columns, check_text_column, columns_of
from foretwin.wire.readings import Invalid, Readings
from foretwin.wire.values import PRESENT_RUN, cell_of, wrong_run

KEYS = ("asset", "run", "time", "observed_at")


def decode_table_call(table: pa.Table, champion: Champion) -> ScoreCall:
    """Decode a table with distinct column names.

    Each asset's rows stand together, in order of time; of several runs of an asset the last one is scored. A field may
    have a `unit` in its metadata, which is checked. BadInput names the column that breaks the contract.
    """
    contract = champion.bundle.contract
    columns, units = columns_of(table)
    for name in ("asset", "time"):
        if name not in columns:
            raise BadInput(name, "is missing")
    asset = check_text_column("asset", columns["asset"])
    channels = {name: cells for name, cells in columns.items() if name not in KEYS}
    read = Columns(contract, asset, columns.get("run", 1), columns["time"], channels, units)
    readings = _all_of(read)
    tracks = ModelInputs.of_columns(
        Names(readings.asset, np.array(readings.names, object)),
        readings.run,
        readings.time,
        readings.values,
        len(contract.axes),
    )
    call = ScoreCall(champion, tracks, _moments(columns.get("observed_at"), tracks))
    refused = find_refusal(tracks, contract)
    if refused:
        asset = tracks.assets[refused.place]
        if refused.row is None:
            raise BadInput(f"{refused.field} of {asset}", refused.detail)
        raise BadInput(refused.field, f"{refused.detail} (asset {asset}, row {refused.row + 1})")
    return call


def _all_of(columns: Columns) -> Readings:
    """Return the readings; BadInput names the column at fault, with row and asset."""
    found = columns.decode_all()
    if isinstance(found, Readings):
        empty = np.flatnonzero(found.run == PRESENT_RUN)
        if len(empty) == 0:
            return found
        found = Invalid(int(empty[0]), "run", "type", wrong_run(None))  # no present run is known here
    field = found.field.removeprefix("channels.")
    if found.row is None:
        raise BadInput(field, found.detail)
    row = f"row {found.row + 1}"
    where = row if found.field == "asset" else f"asset {cell_of(columns.asset, found.row)}, {row}"
    raise BadInput(field, f"{found.detail} ({where})")


def _moments(column: pa.ChunkedArray | None, tracks: ModelInputs) -> tuple[datetime | None, ...]:
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
