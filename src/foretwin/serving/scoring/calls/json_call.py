"""Decode a scoring call in JSON, or refuse it with the path of the field at fault.

    {"twin": "pump", "assets": [{"asset": "P-017", "run": 1, "time": [58, 59], "channels": {"flow": [1.2, 1.3]}}]}

Nothing is guessed and nothing is dropped: a call either becomes the rows it holds or is refused as a whole. What is a
name, a run, a number or a unit is decided in `wire`, as for readings that are stored.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from foretwin.champion.champion import Champion
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, TooLarge
from foretwin.predictor.guards import Refusal, find_refusal
from foretwin.predictor.inputs import ModelInputs
from foretwin.serving.scoring.calls.call import ScoreCall, check_moment
from foretwin.wire.asset_names import check_name
from foretwin.wire.columns import Columns, find_wrong_unit
from foretwin.wire.json import check_list, check_object, check_text, parse
from foretwin.wire.readings import Invalid, Readings
from foretwin.wire.values import clipped, shown, wrong_run

Find = Callable[[str], Champion]  # the champion of a twin; raises where there is none


class _Asset(NamedTuple):
    readings: Readings  # of one run
    observed_at: datetime | None


def decode_json(body: bytes, find: Find, most_rows: int) -> ScoreCall:
    """Decode a body; BadInput names the field that breaks the contract, TooLarge where it has too many rows."""
    call = check_object(parse(body), "body", required=("twin", "assets"), optional=("units",))
    champion = find(check_text(call["twin"], "twin"))
    contract = champion.bundle.contract
    if "units" in call:
        wrong = find_wrong_unit(check_object(call["units"], "units"), contract)
        if wrong:
            raise BadInput(f"units.{wrong[0]}", wrong[1])
    found: dict[str, _Asset] = {}
    for i, entry in enumerate(check_list(call["assets"], "assets")):
        asset = _decode_asset(entry, f"assets[{i}]", contract, most_rows)
        name = asset.readings.names[0]
        if name in found:
            raise BadInput(f"assets[{i}].asset", f"{shown(name)} stands at assets[{list(found).index(name)}] already")
        found[name] = asset
        most_rows -= len(asset.readings)
    readings, observed_at = zip(*found.values(), strict=True)
    decoded = ScoreCall(champion, _tracks(list(found), readings, contract), observed_at)
    refused = find_refusal(decoded.tracks, contract)
    if refused:
        raise BadInput(_path_in_call(refused, decoded.tracks), refused.detail)
    return decoded


def _decode_asset(entry: Any, path: str, contract: Twin, most_rows: int) -> _Asset:
    asset = check_object(entry, path, required=("asset", "time", "channels"), optional=("run", "observed_at"))
    name = check_name(asset["asset"], f"{path}.asset")
    run = asset.get("run", 1)
    if run is None:  # there is no present run that a caller could mean
        raise BadInput(f"{path}.run", wrong_run(run))
    observed_at = _moment(asset["observed_at"], f"{path}.observed_at") if "observed_at" in asset else None
    time = check_list(asset["time"], f"{path}.time")
    if len(time) > most_rows:
        raise TooLarge(f"{path}.time", f"has {len(time)} rows, {most_rows} more fit in one call: send several calls")
    if len(time) < contract.window.shortest:
        raise BadInput(f"{path}.time", f"has {len(time)} rows, at least {contract.window.shortest} are needed")
    channels = check_object(asset["channels"], f"{path}.channels")
    for channel, cells in channels.items():
        if type(cells) is not list:
            raise BadInput(f"{path}.channels.{clipped(channel)}", f"is {shown(cells)}, a list is needed")
    readings = Columns(contract, name, run, time, channels, {}).decode_all()
    if isinstance(readings, Invalid):
        raise BadInput(_path_of(readings, path), readings.detail)
    late = readings.time[1:] <= readings.time[:-1]
    if late.any():
        raise BadInput(f"{path}.time[{int(late.argmax()) + 1}]", "does not increase on the one before")
    return _Asset(readings, observed_at)


def _tracks(names: list[str], readings: tuple[Readings, ...], contract: Twin) -> ModelInputs:
    runs, times = [int(one.run[0]) for one in readings], [one.time for one in readings]
    return ModelInputs.of_one_run_each(names, runs, times, [one.values for one in readings], len(contract.axes))


def _path_of(fault: Invalid, path: str) -> str:
    """Return the path of a fault in the call: a run is that of all rows, a column at fault as a whole or in a cell."""
    is_cell = fault.row is not None and fault.field != "run"
    return f"{path}.{fault.field}[{fault.row}]" if is_cell else f"{path}.{fault.field}"


def _path_in_call(refused: Refusal, tracks: ModelInputs) -> str:
    """Return the path of what a guard refuses."""
    path = f"assets[{refused.place}]"
    field = refused.field if refused.field in ("asset", "time") else f"channels.{refused.field}"
    if refused.row is None:
        return f"{path}.{field}"
    return f"{path}.{field}[{refused.row - int(tracks.histories.first[refused.row])}]"


def _moment(value: Any, path: str) -> datetime:
    try:
        at = datetime.fromisoformat(check_text(value, path))
    except ValueError:
        raise BadInput(path, f"is {shown(value)}; a moment such as 2026-11-21T12:00:00Z is needed") from None
    return check_moment(at, path)
