"""A scoring call in JSON: to tracks, or refused with the path of the field at fault.

    {"twin": "pump", "assets": [{"asset": "P-017", "run": 1, "time": [58, 59], "channels": {"flow": [1.2, 1.3]}}]}

Nothing is guessed and nothing is dropped: a call either becomes the rows it holds or is refused as a whole.
"""

import json
from collections.abc import Callable
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from foretwin.champion.champion import Champion
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, TooLarge
from foretwin.predictor.inputs import Tracks
from foretwin.serving.scoring.call import ScoreCall, check_moment, check_units

LARGEST = float(np.finfo(np.float32).max)  # the network reads float32: what is larger would become infinite
LONGEST_NAME = 200
NUMBERS = {int, float}  # bool is neither
KINDS = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}

Find = Callable[[str], Champion]  # the champion of a twin; raises where there is none


class _Asset(NamedTuple):
    name: str
    run: int
    time: NDArray[np.float64]  # (T,)
    values: NDArray[np.float32]  # (T, C)
    observed_at: datetime | None


def decode_json(body: bytes, find: Find, most_rows: int) -> ScoreCall:
    """The call in a body; BadInput names the field that breaks the contract, TooLarge where it has too many rows."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _name_the_field(body, find, most_rows)
        raise BadInput("body", f"is not JSON: {error}") from None
    return _decode(content, find, most_rows)


def _decode(content: Any, find: Find, most_rows: int) -> ScoreCall:
    call = _object(content, "body", required=("twin", "assets"), optional=("units",))
    champion = find(_text(call["twin"], "twin"))
    contract = champion.bundle.contract
    if "units" in call:
        check_units(_object(call["units"], "units", (), None), contract)
    found: dict[str, _Asset] = {}
    for i, entry in enumerate(_filled_list(call["assets"], "assets")):
        asset = _decode_asset(entry, f"assets[{i}]", contract, most_rows)
        if asset.name in found:
            first = list(found).index(asset.name)
            raise BadInput(f"assets[{i}].asset", f"{_shown(asset.name)} stands at assets[{first}] already")
        found[asset.name] = asset
        most_rows -= len(asset.time)
    names, runs, times, values, observed_at = zip(*found.values(), strict=True)
    decoded = ScoreCall(champion, Tracks.of_one_run_each(names, runs, times, values, len(contract.axes)), observed_at)
    odd = decoded.find_odd_clock()
    if odd:
        raise decoded.odd_clock(f"assets[{odd[0]}].time", odd[1])
    return decoded


def _decode_asset(entry: Any, path: str, contract: Twin, most_rows: int) -> _Asset:
    asset = _object(entry, path, required=("asset", "time", "channels"), optional=("run", "observed_at"))
    name = _text(asset["asset"], f"{path}.asset")
    run = asset.get("run", 1)
    if type(run) is not int or not -(2**63) <= run < 2**63:
        raise BadInput(f"{path}.run", f"is {_shown(run)}, an integer is needed")
    observed_at = _moment(asset["observed_at"], f"{path}.observed_at") if "observed_at" in asset else None
    time = _filled_list(asset["time"], f"{path}.time")
    if len(time) > most_rows:
        raise TooLarge(f"{path}.time", f"has {len(time)} rows, {most_rows} more fit in one call: send several calls")
    if len(time) < contract.window.shortest:
        raise BadInput(f"{path}.time", f"has {len(time)} rows, at least {contract.window.shortest} are needed")
    names = contract.channel_names
    channels = _object(asset["channels"], f"{path}.channels", required=names)
    columns = [time]
    for channel in names:
        values = channels[channel]
        if type(values) is not list or len(values) != len(time):
            found = len(_filled_list(values, f"{path}.channels.{channel}"))
            raise BadInput(f"{path}.channels.{channel}", f"has {found} values, but time has {len(time)}")
        columns.append(values)
    numbers = _matrix(columns, path, names)
    late = numbers[0, 1:] <= numbers[0, :-1]
    if late.any():
        raise BadInput(f"{path}.time[{int(late.argmax()) + 1}]", "does not increase on the one before")
    return _Asset(name, run, numbers[0], np.ascontiguousarray(numbers[1:].T, np.float32), observed_at)


def _matrix(columns: list[list[Any]], path: str, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Time and channels, T values each, become (1 + C, T); BadInput names the first value that is no finite number."""
    if NUMBERS.issuperset(map(type, chain.from_iterable(columns))):
        try:
            numbers = np.array(columns, np.float64)
        except OverflowError:  # an integer beyond the largest double
            numbers = np.array([[np.inf]])
        if numbers.min() >= -LARGEST and numbers.max() <= LARGEST:  # false for NaN
            return numbers
    fields = [f"{path}.time", *(f"{path}.channels.{name}" for name in names)]
    wrong = ((f, i, v) for f, vs in zip(fields, columns, strict=True) for i, v in enumerate(vs) if not _number(v))
    field, place, value = next(wrong)
    if type(value) in NUMBERS:
        raise BadInput(f"{field}[{place}]", "is not a finite number of single precision")
    raise BadInput(f"{field}[{place}]", f"is {_shown(value)}, a number is needed")


def _number(value: Any) -> bool:
    return type(value) in NUMBERS and abs(value) <= LARGEST


def _object(value: Any, path: str, required: tuple[str, ...], optional: tuple[str, ...] | None = ()) -> dict[str, Any]:
    """An object with the required fields and none but the optional ones besides; None: whichever there are."""
    if type(value) is not dict:
        raise BadInput(path, f"is {_shown(value)}, an object is needed")
    prefix = "" if path == "body" else f"{path}."
    for name in required:
        if name not in value:
            raise BadInput(f"{prefix}{name}", "is missing")
    if len(value) > len(required) and optional is not None:
        for name in value:
            if name not in required and name not in optional:
                raise BadInput(f"{prefix}{_clipped(name)}", f"is unknown; there is {', '.join(required + optional)}")
    return value


def _filled_list(value: Any, path: str) -> list[Any]:
    if type(value) is not list:
        raise BadInput(path, f"is {_shown(value)}, a list is needed")
    if not value:
        raise BadInput(path, "is empty")
    return value


def _text(value: Any, path: str) -> str:
    if type(value) is not str or not 0 < len(value) <= LONGEST_NAME:
        raise BadInput(path, f"is {_shown(value)}, a text of 1 to {LONGEST_NAME} characters is needed")
    return value


def _moment(value: Any, path: str) -> datetime:
    try:
        at = datetime.fromisoformat(_text(value, path))
    except ValueError:
        raise BadInput(path, f"is {_shown(value)}; a moment such as 2026-11-21T12:00:00Z is needed") from None
    return check_moment(at, path)


def _shown(value: Any) -> str:
    """A value as a message may show it: the kind of a container, the beginning of a long text."""
    if isinstance(value, str):
        return f'"{_clipped(value)}"'
    if type(value) in NUMBERS:
        return f"{value:g}" if _number(value) else "a huge number"
    return KINDS[type(value)]


def _clipped(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}... ({len(text)} characters)"


def _name_the_field(body: bytes, find: Find, most_rows: int) -> None:
    """BadInput with the field's path where the only fault is NaN, Infinity or 1e999.

    orjson refuses these with a position alone; the standard library's parser reads them, so that the checks of
    every other value can say which field holds them.
    """
    try:
        _decode(json.loads(body.decode("utf-8")), find, most_rows)
    except (ValueError, RecursionError):
        return
