"""Guards of every door: which rows are refused, and of what the reader of a score is warned. Pure functions.

Files, the scoring service, ingestion and the loop of the living twin all ask these. A value outside of its channel's
limits, a time before the run began, and times in another unit are no reading of this machine: they are refused. Times
of another pace than the model learnt from, a machine that stood still and a window with holes are answered with a
warning.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.channels import Channel
from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import find_other_spelling
from foretwin.errors import BadInput
from foretwin.predictor.inputs import ModelInputs

SAME_TIME = 1e-4  # steps: readings less apart are one, whose time was rounded on its way
ODD_UNIT = 20  # times the contract's step, or a part of it: hours differ from days by 24, from minutes by 60
OTHER_PACE = 1.5  # times the contract's step, or a part of it, between usual readings
STANDSTILL = 10  # steps without a reading
FULL = 0.8  # share of the steps of a window with a reading, standstill aside


TOO_OLD = "out_of_training_range: age"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Refusal:
    """The fault of one asset's rows; `row` counts all rows, None where the fault is of the whole run."""

    place: int  # of the asset among those to score
    row: int | None
    field: str
    detail: str


def outside_limits(values: NDArray[np.float32], contract: Twin) -> NDArray[np.bool_]:
    """Return a mask (N, C) of values (N, C) outside of their channels' limits."""
    low, high = _limits(contract)
    outside: NDArray[np.bool_] = (values < low) | (values > high)
    return outside


def beyond_limits(value: float, channel: Channel) -> str:
    """Describe a value outside of its channel's limits."""
    unit = f" {channel.unit}" if channel.unit else ""
    return f"is {value:g}{unit}, outside {channel.min:g} to {channel.max:g}"


def before_run(time: float) -> str:
    """Describe a time below zero."""
    return f"is {time:g}, before the run began"


def in_other_unit(usual: float, contract: Twin) -> str:
    """Describe times that usually advance by so much, in another unit than the clock's."""
    clock = contract.clock
    return f"usually advances by {usual:g}, {clock.step:g} is this twin's step: times are in {clock.unit}"


def odd_step(time: Floats, step: float) -> float | None:
    """Return the usual step of a run's times (T,) where they cannot be in the contract's unit, else None.

    The usual step is the median of those of three rows or more, since a machine may have stood still in between; of
    two steps both have to tell.
    """
    count = len(time) - 1
    if count < 2 or step / ODD_UNIT * count < time[-1] - time[0] < ODD_UNIT * step * count:
        return None
    steps = np.sort(np.diff(time))
    low, high = float(steps[(count - 1) // 2]), float(steps[count // 2])
    if low >= ODD_UNIT * step:
        return low
    return high if high <= step / ODD_UNIT else None


def find_refusal(tracks: ModelInputs, contract: Twin) -> Refusal | None:
    """Return the first fault for which named machines are not scored; None where there is none."""
    found = find_wrong_reading(tracks, contract)
    pair = find_other_spelling(tracks.assets.tolist()) if found is None and len(tracks) > 1 else None
    if pair is None:
        return found
    other = f"is another spelling of {tracks.assets[pair[0]]!r}, the same machine; write one of them"
    return Refusal(pair[1], None, "asset", other)


def find_wrong_reading(tracks: ModelInputs, contract: Twin) -> Refusal | None:
    """Return the first fault of rows that are no readings of these machines; None where there is none."""
    time, ends = tracks.histories.time, tracks.ends
    outside = outside_limits(tracks.histories.values, contract)
    if outside.any():
        row, channel = (int(i) for i in np.argwhere(outside)[0])
        name = contract.channel_names[channel]
        detail = beyond_limits(float(tracks.histories.values[row, channel]), contract.channels[name])
        return Refusal(int(np.searchsorted(ends, row)), row, name, detail)
    if time.min() < 0:
        row = int(np.argmax(time < 0))
        return Refusal(int(np.searchsorted(ends, row)), row, "time", before_run(float(time[row])))
    again = _find_again(tracks, SAME_TIME * contract.clock.step)
    if again is not None:
        return again
    for place, (first, end) in enumerate(zip(tracks.histories.first[ends].tolist(), ends.tolist(), strict=True)):
        usual = odd_step(time[first : end + 1], contract.clock.step)
        if usual is not None:
            return Refusal(place, None, "time", in_other_unit(usual, contract))
    return None


def _find_again(tracks: ModelInputs, near: float) -> Refusal | None:
    """Return the first row that is the reading before it with a rounded time."""
    time, first = tracks.histories.time, tracks.histories.first
    again = np.flatnonzero((np.diff(time) <= near) & (first[1:] == first[:-1])) + 1
    if len(again) == 0:
        return None
    row = int(again[0])
    detail = f"is {time[row]:.12g}, does not increase on the one before, {time[row - 1]:.12g}, but for rounding"
    return Refusal(int(np.searchsorted(tracks.ends, row)), row, "time", detail)


def check_rows(tracks: ModelInputs, contract: Twin) -> None:
    """Raise BadInput where rows are not scored; it names the column and the asset."""
    _raise(find_refusal(tracks, contract), tracks)


def check_readings(tracks: ModelInputs, contract: Twin) -> None:
    """Raise BadInput as `check_rows`, of machines that have numbers instead of names."""
    _raise(find_wrong_reading(tracks, contract), tracks)


def _raise(found: Refusal | None, tracks: ModelInputs) -> None:
    if found:
        row = "" if found.row is None else f" in row {found.row + 1}"
        raise BadInput(found.field, f"{found.detail} (asset {tracks.assets[found.place]}{row})")


def pace_warnings(tracks: ModelInputs, contract: Twin) -> list[list[str]]:
    """Return warnings of each of A assets' windows: another pace, a standstill, holes."""
    time, ends, step = tracks.histories.time, tracks.ends, contract.clock.step
    first = np.maximum(tracks.histories.first[ends], ends + 1 - contract.window.length)
    span, steps = time[ends] - time[first], ends - first
    usual = np.abs(span - steps * step) <= (1 - FULL) * steps * step
    usual &= span < steps * step + STANDSTILL * step
    found: list[list[str]] = [[] for _ in ends]
    for i in np.flatnonzero(~usual & (steps > 0)).tolist():
        found[i] = _pace_of(np.diff(time[first[i] : ends[i] + 1]), contract)
    return found


def age_warnings(tracks: ModelInputs, contract: Twin, oldest: float | None) -> list[list[str]]:
    """Return warnings of each of A assets that is older than any machine was in training, where age is an input."""
    if oldest is None or not contract.clock.counts_from_start:
        return [[] for _ in tracks.ends]
    old = tracks.histories.time[tracks.ends] > oldest
    return [[TOO_OLD] if one else [] for one in old.tolist()]


def _pace_of(gaps: Floats, contract: Twin) -> list[str]:
    """Return the warnings of one window, from the times (T - 1,) between its rows."""
    step, unit = contract.clock.step, contract.clock.unit
    usual, longest = float(np.median(gaps)), float(gaps.max())
    if len(gaps) > 1 and not step / OTHER_PACE <= usual <= OTHER_PACE * step:
        return [f"cadence: {usual:.3g} {unit} between readings, the model learnt from {step:g} {unit}"]
    found = []
    stood = gaps[gaps > STANDSTILL * step]
    if len(stood):
        found.append(f"standstill: {longest:.4g} {unit} without a reading in the window")
    moving = round(float(gaps.sum() - stood.sum()) / step) + len(stood) + 1
    if len(gaps) + 1 < FULL * moving:
        found.append(f"window_coverage: {len(gaps) + 1} of {moving} steps have a reading")
    return found


@lru_cache(maxsize=64)
def _limits_of(limits: tuple[tuple[float, float], ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return lowest and highest values, rounded as the values are, so that a limit itself stays inside."""
    with np.errstate(over="ignore"):
        low, high = np.array(limits).T.astype(np.float32)
    return low, high


def _limits(contract: Twin) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return _limits_of(tuple((channel.min, channel.max) for channel in contract.channels.values()))
