"""A scoring call and its answer: JSON to rows, scores to JSON, and every refusal with the field's path.

    {"twin": "pump", "assets": [{"asset": "P-017", "run": 1, "time": [58, 59], "channels": {"flow": [1.2, 1.3]}}]}

Nothing is guessed and nothing is dropped: a call either becomes the rows it holds or is refused as a whole.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from foretwin.bundle import Bundle, probability_column
from foretwin.contract import UNKNOWN, Twin
from foretwin.errors import BadInput, BundleError, ParamsError, TooLarge, UnknownTwin

LARGEST = float(np.finfo(np.float32).max)  # the network reads float32: what is larger would become infinite
LONGEST_NAME = 200
NUMBERS = {int, float}  # bool is neither
KINDS = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}


@dataclass(frozen=True)
class Limits:
    """How much one call may ask for."""

    body_bytes: int = 8 * 1024 * 1024
    rows: int = 100_000

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """FORETWIN_MAX_BODY_BYTES and FORETWIN_MAX_ROWS where they are set; ParamsError unless positive integers."""
        return cls(
            _positive(environ, "FORETWIN_MAX_BODY_BYTES", cls.body_bytes),
            _positive(environ, "FORETWIN_MAX_ROWS", cls.rows),
        )


@dataclass(frozen=True)
class ModelIdentity:
    """Which champion answers: its registry name and version, the run that trained it, its bundle's digest."""

    name: str
    version: str
    run: str
    digest: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read identity.json; BundleError where it is missing or something else."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(*(str(content[name]) for name in ("name", "version", "run", "digest")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path}: not a champion's identity: {error!r}; run `dvc repro package` again") from None


@dataclass(frozen=True)
class ScoreCall:
    """What a call asks for. `rows` has asset, run, time (float64) and the twin's channels (float32, in their units)."""

    twin: str
    rows: pd.DataFrame


def decode_call(body: bytes, twins: Mapping[str, Twin], most_rows: int) -> ScoreCall:
    """The rows of a call; BadInput names the field that breaks the contract, UnknownTwin a twin that is not served."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _name_the_field(body, twins, most_rows)
        raise BadInput("body", f"is not JSON: {error}") from None
    return _decode(content, twins, most_rows)


_NUMBER, _TEXT = {"type": "number"}, {"type": "string"}
_INTERVAL = {**dict.fromkeys(("value", "low", "high", "level"), _NUMBER), "unit": _TEXT}
_PROBABILITIES = {"type": "object", "additionalProperties": _NUMBER}
_SCORE = {
    "asset": _TEXT,
    "time": _NUMBER,
    "rul": {"type": "object", "properties": _INTERVAL, "description": "only where the twin has an RUL"},
    "faults": {
        "type": "object",
        "additionalProperties": _PROBABILITIES,
        "description": "the calibrated probability of each class of each fault axis",
    },
    "diagnosis": {
        "type": "object",
        "additionalProperties": _TEXT,
        "description": f"of each fault axis the most probable class, or `{UNKNOWN}` where none is probable enough",
    },
    "warnings": {"type": "array", "items": _TEXT},
}
ANSWER_SCHEMA = {  # JSON Schema of what `encode_scores` writes
    "type": "object",
    "properties": {
        "model": {"type": "object", "properties": dict.fromkeys(("name", "version", "run"), _TEXT)},
        "scores": {"type": "array", "items": {"type": "object", "properties": _SCORE}},
    },
}


def encode_scores(bundle: Bundle, identity: ModelIdentity, table: pd.DataFrame) -> bytes:
    """The answer for a table of `Bundle.score`; BundleError when a number in it is not finite."""
    contract = bundle.contract
    columns = {name: table[name].to_numpy(np.float64) for name in ("time", *bundle.score_columns)}
    for name, values in columns.items():
        if not np.isfinite(values).all():
            raise BundleError(f"bundle of {contract.name}: {name} is not finite for these rows; train or promote again")
    numbers = {name: values.tolist() for name, values in columns.items()}
    level = bundle.calibration.level if bundle.calibration else None
    answers = {axis: table[axis].tolist() for axis in contract.axes}
    scores: list[dict[str, Any]] = []
    for i, (asset, warnings) in enumerate(zip(table["asset"].tolist(), table["warnings"].tolist(), strict=True)):
        score: dict[str, Any] = {"asset": asset, "time": numbers["time"][i]}
        if contract.rul:
            ends = {"low": numbers["rul_low"][i], "high": numbers["rul_high"][i]}
            score["rul"] = {"value": numbers["rul"][i], **ends, "level": level, "unit": contract.clock.unit}
        score["faults"] = {
            axis: {name: numbers[probability_column(axis, name)][i] for name in contract.classes(axis)}
            for axis in contract.axes
        }
        score["diagnosis"] = {axis: answers[axis][i] for axis in contract.axes}
        score["warnings"] = warnings
        scores.append(score)
    model = {"name": identity.name, "version": identity.version, "run": identity.run}
    return orjson.dumps({"model": model, "scores": scores})


def encode_problem(status: int, field: str, reason: str) -> bytes:
    """The body of a refusal as application/problem+json (RFC 9457); `field` is where the fault lies."""
    title = HTTPStatus(status).phrase
    detail = f"{field}: {reason}"
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "field": field}
    # A key of the call may hold half a surrogate pair, which is no text that could be sent back.
    return orjson.dumps({k: _sendable(v) if isinstance(v, str) else v for k, v in problem.items()})


def _decode(content: Any, twins: Mapping[str, Twin], most_rows: int) -> ScoreCall:
    call = _object(content, "body", required=("twin", "assets"))
    twin = _text(call["twin"], "twin")
    if twin not in twins:
        raise UnknownTwin("twin", f"{_shown(twin)} is not served here; there is {', '.join(sorted(twins)) or 'none'}")
    assets = _filled_list(call["assets"], "assets")
    contract = twins[twin]
    names, runs, times, values = [], [], [], []
    taken: dict[str, int] = {}
    left = most_rows
    for i, entry in enumerate(assets):
        path = f"assets[{i}]"
        name, run, time, channels = _decode_asset(entry, path, contract, left)
        if name in taken:
            raise BadInput(f"{path}.asset", f"{_shown(name)} stands at assets[{taken[name]}] already")
        taken[name] = i
        left -= len(time)
        names.append(name)
        runs.append(run)
        times.append(time)
        values.append(channels)
    lengths = [len(time) for time in times]
    columns: dict[str, Any] = {"asset": np.repeat(np.array(names, dtype=object), lengths)}
    columns |= {"run": np.repeat(np.array(runs, np.int64), lengths), "time": np.concatenate(times)}
    together = np.concatenate(values, axis=1).astype(np.float32)  # (C, R)
    return ScoreCall(twin, pd.DataFrame(columns | dict(zip(contract.channel_names, together, strict=True)), copy=False))


def _decode_asset(
    entry: Any, path: str, contract: Twin, most_rows: int
) -> tuple[str, int, NDArray[np.float64], NDArray[np.float64]]:
    """Asset, run, time (T,) and channels (C, T), the latter in the contract's order."""
    asset = _object(entry, path, required=("asset", "time", "channels"), optional=("run",))
    name = _text(asset["asset"], f"{path}.asset")
    run = asset.get("run", 1)
    if type(run) is not int or not -(2**63) <= run < 2**63:
        raise BadInput(f"{path}.run", f"is {_shown(run)}, an integer is needed")
    time = _filled_list(asset["time"], f"{path}.time")
    if len(time) > most_rows:
        raise TooLarge(f"{path}.time", f"has {len(time)} rows, {most_rows} more fit in one call: send several calls")
    if len(time) < contract.window.shortest:
        raise BadInput(f"{path}.time", f"has {len(time)} rows, at least {contract.window.shortest} are needed")
    channels = _object(asset["channels"], f"{path}.channels", required=contract.channel_names)
    lists = {f"{path}.time": time}
    lists |= {f"{path}.channels.{channel}": channels[channel] for channel in contract.channel_names}
    for field, values in lists.items():
        if len(_filled_list(values, field)) != len(time):
            raise BadInput(field, f"has {len(values)} values, but time has {len(time)}")
    numbers = _matrix(lists)
    late = np.flatnonzero(numbers[0, 1:] <= numbers[0, :-1])
    if len(late):
        raise BadInput(f"{path}.time[{late[0] + 1}]", "does not increase on the one before")
    return name, run, numbers[0], numbers[1:]


def _matrix(lists: dict[str, list[Any]]) -> NDArray[np.float64]:
    """Field -> T values becomes (fields, T); BadInput names the first value that is no finite number."""
    if all(NUMBERS.issuperset(map(type, values)) for values in lists.values()):
        try:
            numbers = np.array(list(lists.values()), np.float64)
        except OverflowError:  # an integer beyond the largest double
            numbers = np.array([[np.inf]])
        if (np.abs(numbers) <= LARGEST).all():
            return numbers
    field, value = next((f"{field}[{i}]", v) for field, vs in lists.items() for i, v in enumerate(vs) if not _number(v))
    if type(value) in NUMBERS:
        raise BadInput(field, "is not a finite number of single precision")
    raise BadInput(field, f"is {_shown(value)}, a number is needed")


def _number(value: Any) -> bool:
    return type(value) in NUMBERS and abs(value) <= LARGEST


def _object(value: Any, path: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    if type(value) is not dict:
        raise BadInput(path, f"is {_shown(value)}, an object is needed")
    prefix = "" if path == "body" else f"{path}."
    for name in required:
        if name not in value:
            raise BadInput(f"{prefix}{name}", "is missing")
    if len(value) > len(required):
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


def _shown(value: Any) -> str:
    """A value as a message may show it: the kind of a container, the beginning of a long text."""
    if isinstance(value, str):
        return f'"{_clipped(value)}"'
    if type(value) in NUMBERS:
        return f"{value:g}" if _number(value) else "a huge number"
    return KINDS[type(value)]


def _clipped(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}... ({len(text)} characters)"


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _name_the_field(body: bytes, twins: Mapping[str, Twin], most_rows: int) -> None:
    """BadInput with the field's path where the only fault is NaN, Infinity or 1e999.

    orjson refuses these with a position alone; the standard library's parser reads them, so that the checks of
    every other value can say which field holds them.
    """
    try:
        _decode(json.loads(body.decode("utf-8")), twins, most_rows)
    except (ValueError, RecursionError):
        return


def _positive(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
        raise ParamsError(f"{name}: is {_shown(text)}, a positive integer is needed")
    return int(text)
