"""Snapshots of waveforms in messages and tables: their features become channels as they arrive.

    {"twin": "fan", "asset": "F-1", "time": 58, "waveforms": {"vibration": [0.1, ...]}, "channels": {"speed": 1480}}

Of several readings `time` is a list, and each waveform a list of snapshots.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.signals.extraction import extract_features
from foretwin.signals.lists import is_list, stacked
from foretwin.wire.values import Cells, clipped, parse_numbers, shown

Lists = Mapping[str, pa.Array]  # of each waveform, a list of samples for each reading


def lists_of(sent: Mapping[str, Any], is_single: bool, contract: Twin) -> Lists:
    """Return the snapshots of a message; BadInput where they are no lists of numbers, or of other waveforms."""
    _check_names(sent, contract)
    found = {}
    for name, snapshots in sent.items():
        try:
            cells = pa.array([snapshots] if is_single else snapshots, pa.list_(pa.float32()))
        except (pa.ArrowException, TypeError, OverflowError):
            needed = "a list of numbers" if is_single else "a list of numbers for each time"
            raise BadInput(f"waveforms.{name}", f"is not {needed}") from None
        found[name] = _checked(name, cells)
    return found


def lists_of_columns(columns: Mapping[str, pa.ChunkedArray], contract: Twin) -> Lists:
    """Return the snapshots of a table, whose columns of lists are waveforms; BadInput for other columns of lists."""
    lists = {name: cells.combine_chunks() for name, cells in columns.items() if is_list(cells.type)}
    if lists:
        _check_names(lists, contract)
    return {name: _checked(name, cells) for name, cells in lists.items()}


def check_sample_rates(rates: Mapping[str, Any], contract: Twin) -> None:
    """Raise BadInput where a sender says another rate of a waveform than the contract does."""
    for name, rate in rates.items():
        if name not in contract.waveforms:
            raise BadInput(f"rates.{clipped(name)}", f"is unknown; there is {', '.join(contract.waveforms) or 'none'}")
        if rate != contract.waveforms[name].rate:
            raise BadInput(f"rates.{name}", f"is {shown(rate)}, {contract.waveforms[name].rate:g} Hz is needed")


def features_of(contract: Twin, lists: Lists, time: Cells, channels: Mapping[str, Cells]) -> dict[str, Any]:
    """Return the features (N,) of N readings' snapshots, as channels; those that hold a speed are in `channels`.

    They are computed as those of files are. BadInput where there are not N snapshots, a feature is sent too, or a
    snapshot is too short.
    """
    for name, cells in lists.items():
        if len(cells) != len(time):
            raise BadInput(f"waveforms.{name}", f"has {len(cells)} snapshots, but time has {len(time)}")
    features = [channel for wave in contract.waveforms.values() for channel in wave.features]
    twice = next((name for name in features if name in channels), None)
    if twice is not None:
        raise BadInput(f"channels.{twice}", "is a feature of the snapshot that is sent: leave one of them out")
    speeds = {wave.speed.channel for wave in contract.waveforms.values() if wave.speed and wave.speed.channel}
    cells = {name: channels[name] for name in sorted(speeds) if name in channels}
    lacking = next((name for name in sorted(speeds) if len(cells.get(name, ())) != len(time)), None)
    if lacking is not None:
        raise BadInput(f"channels.{lacking}", "is the speed of the shaft: a number is needed for each snapshot")
    _, values, _ = parse_numbers(time, list(cells.values()))
    found = {name: np.full(len(time), np.nan) for name in features}
    for rows, blocks in stacked(lists):
        turns = {name: values[rows, place].astype(np.float64) for place, name in enumerate(cells)}
        try:
            taken = extract_features(contract.waveforms, blocks, turns)
        except ValueError as error:
            name, _, reason = str(error).partition(": ")
            raise BadInput(f"waveforms.{name}", reason) from None
        for name, of_rows in taken.items():
            found[name][rows] = of_rows
    is_list_of_python = isinstance(time, list)
    return {name: of.tolist() if is_list_of_python else pa.chunked_array([of]) for name, of in found.items()}


def kept_snapshots(contract: Twin, keys: Mapping[str, Any], lists: Lists) -> pa.Table | None:
    """Return asset, run, time and the snapshots of the waveforms that are kept; None where none is.

    `keys` has a column or a value for all. Rate and unit are in the metadata of a waveform's field.
    """
    kept = {name: cells for name, cells in lists.items() if contract.waveforms[name].keep}
    if not kept:
        return None
    count = len(next(iter(kept.values())))
    columns = {
        name: cells if isinstance(cells, (list, pa.ChunkedArray)) else [cells] * count for name, cells in keys.items()
    }
    table = pa.table({name: cells for name, cells in columns.items() if name != "run" or keys["run"] is not None})
    for name, cells in kept.items():
        wave = contract.waveforms[name]
        field = pa.field(name, cells.type, metadata={"rate": f"{wave.rate:.12g}", "unit": wave.unit})
        table = table.append_column(field, cells)
    return table


def _check_names(sent: Mapping[str, Any], contract: Twin) -> None:
    known = ", ".join(contract.waveforms) or "none"
    for name in sent:
        if name not in contract.waveforms:
            raise BadInput(f"waveforms.{clipped(name)}", f"is unknown; there is {known}")
    lacking = next((name for name in contract.waveforms if name not in sent), None)
    if lacking is not None:
        raise BadInput(f"waveforms.{lacking}", "is missing")


def _checked(name: str, cells: pa.Array) -> pa.Array:
    """Return the snapshots; BadInput where a sample is missing, or no finite number of single precision."""
    values = cells.flatten().to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        finite = np.isfinite(values.astype(np.float32))
    if cells.null_count or not finite.all():
        raise BadInput(f"waveforms.{name}", "has a sample that is missing, or not a finite number")
    return cells
