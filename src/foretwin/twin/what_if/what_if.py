"""Forecast an asset's remaining life under other duties, from its stored readings and its degradation model.

Where the machine stands is estimated from its last window of readings; from there its life is run on under each option
and under its present duty, `AS_NOW`, with the same random draws for all. Two things are assumed beyond the physics, and
are told in each answer: what an option leaves open goes on as in the machine's own last days, and a pump whose speed is
changed works against another pressure, along the pipe's curve that the fleet's pressures show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.physics.degradation import DRAWS, FILE, FORMAT, DegradationModel, forecast, load_degradation
from foretwin.physics.pump.beliefs import Belief
from foretwin.physics.pump.filtering import Recordings
from foretwin.physics.pump.forecasting import Ends, estimate
from foretwin.project.paths import Paths
from foretwin.twin.scoring.staleness import is_stale
from foretwin.twin.store import Store, assets
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.telemetry import windows
from foretwin.twin.store.telemetry.windows import ReadingQuery
from foretwin.twin.what_if.outlook import compare_options, what_if_assumptions
from foretwin.wire.readings import Readings

AS_NOW = "as now"
MOST_OPTIONS = 10
RECENT = 168  # h of its own duty from which a machine's future is made where an option leaves it open
BRANCHES = ("float", "list[Piece]")  # of a setting's value, which pydantic names in the paths of errors
SEED = 1  # the same readings and options give the same answer


class Piece(BaseModel):
    """A setting's value for some hours; the last of several lasts for ever."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    hours: Annotated[float, Field(gt=0)]
    value: float


class Option(BaseModel):
    """A future duty: setting -> its value from now on, or successive pieces."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    name: Annotated[str, Field(min_length=1, max_length=60)]
    settings: Annotated[
        dict[str, float | Annotated[list[Piece], Field(min_length=1, max_length=100)]], Field(min_length=1)
    ]

    def pieces(self, setting: str) -> list[Piece]:
        """Return the pieces of one setting, in order."""
        asked = self.settings[setting]
        return asked if isinstance(asked, list) else [Piece(hours=1, value=asked)]

    def hourly(self, hours: int) -> dict[str, NDArray[np.float64]]:
        """Return setting -> (hours,) value at the beginning of each coming hour."""
        courses = {}
        for setting in self.settings:
            pieces = self.pieces(setting)
            ends = np.cumsum([piece.hours for piece in pieces])
            number = np.minimum(np.searchsorted(ends, np.arange(hours), side="right"), len(pieces) - 1)
            courses[setting] = np.array([piece.value for piece in pieces], np.float64)[number]
        return courses


def read_options(content: Any) -> list[Option]:
    """Parse options from JSON; BadInput names the field of the first invalid one."""
    if not isinstance(content, list):
        raise BadInput("options", "must be a list of objects with `name` and `settings`")
    options = []
    for number, one in enumerate(content):
        try:
            options.append(Option.model_validate(one))
        except ValidationError as error:
            # Of a value that is neither a number nor a list of pieces, the one that got furthest says more.
            told = max(error.errors(), key=lambda one: (len(one["loc"]), _means_pieces(one["input"], one["loc"])))
            raise BadInput(_place(number, told["loc"]), told["msg"]) from None
    return options


def what_if(
    store: Store, root: Path, contract: Twin, name: str, options: Sequence[Option], now: datetime
) -> dict[str, Any]:
    """Return the remaining life under each option, as JSON: the longest first, `AS_NOW` among them.

    RUL and differences are medians with the central interval at the level of the degradation model; a figure that the
    horizon cuts off is named in `at_least`. BadInput (field `twin`) where the twin has no degradation model, (`asset`)
    where the asset's readings are too few or none of a running machine, (`options...`) where an option cannot be;
    NotFound where there is no such asset.
    """
    forward = load_degradation(Paths(root, contract.name).models / FILE)
    _check(options, contract, forward)
    with store.read() as connection:
        asset = assets.find_asset(connection, name)
        if asset.twin != contract.name:
            raise BadInput("asset", f"{name} is a {asset.twin}, not a {contract.name}")
        wanted = ReadingQuery(contract.name, contract.channel_names, last_batch(connection))
        length = max(RECENT, contract.window.length)
        recent = windows.newest_windows(connection, wanted, [asset.id], length)
    _check_history(asset.name, len(recent), contract)
    seen = hourly(recent, contract, forward)
    window = seen.tail(contract.window.length)
    belief = _estimated(forward, window, asset.name)
    ends = _forecast(forward, belief, seen, options)
    return {
        "asset": asset.name,
        "twin": contract.name,
        "as_of": {"run": asset.run, "time": seen.time, "received_at": _text(asset.received_at)},
        "age_seconds": (now - asset.received_at).total_seconds() if asset.received_at else None,
        "stale": is_stale(contract, asset.received_at, now),
        "options": compare_options(_asked(options), ends, forward, contract),
        "warnings": _window_warnings(window, contract, forward) + _duty_warnings(options, contract, forward, belief),
        "assumptions": what_if_assumptions(forward, len(seen.missing)),
        "model": {
            "twin": forward.twin,
            "format": FORMAT,
            "digest": forward.digest,
            "learnt_from": dict(forward.learnt_from),
            "draws": DRAWS,
            "horizon": forward.horizon,
        },
    }


@dataclass(frozen=True)
class RecentHours:
    """The last T hours of an asset's run; an hour without a reading keeps the settings of the hour before."""

    recordings: Recordings  # of this asset alone, NaN where an hour has no reading
    missing: NDArray[np.bool_]  # (T,)
    time: float  # of the last reading, since the run began

    def tail(self, hours: int) -> "RecentHours":
        """Return the last `hours` of them, or all."""
        begin = max(0, len(self.missing) - hours)
        settings = {name: values[begin:] for name, values in self.recordings.settings.items()}
        counts = self.recordings.counts - begin
        return RecentHours(
            Recordings(settings, self.recordings.measured[begin:], counts), self.missing[begin:], self.time
        )


def hourly(recent: Readings, contract: Twin, forward: DegradationModel) -> RecentHours:
    """The readings of one asset, with a row for each of its last RECENT hours; of several readings in one the last."""
    hour = np.rint((recent.time - recent.time[-1]) / contract.clock.step).astype(np.int64)
    late = hour > -max(RECENT, contract.window.length)
    hour = hour[late] - hour[late][0]
    row = np.full(hour[-1] + 1, -1)
    row[hour] = np.flatnonzero(late)
    values = recent.values[np.maximum.accumulate(row)]  # rows are in the order of time
    recordings = Recordings.of(values[None], np.array([len(row)]), contract.channel_names, forward.sensors.names)
    measured = np.where(row[:, None, None] < 0, np.nan, recordings.measured)
    return RecentHours(replace(recordings, measured=measured), row < 0, float(recent.time[-1]))


def _estimated(forward: DegradationModel, seen: RecentHours, name: str) -> Belief:
    """Estimate the hidden wear; BadInput where the readings fit no running machine."""
    try:
        return estimate(forward.fleet, seen.recordings, np.array([seen.time]), forward.sensors)
    except (BadInput, np.linalg.LinAlgError) as error:
        raise BadInput("asset", f"{name}: its last readings are none of a running {forward.twin}: {error}") from None


def _forecast(forward: DegradationModel, belief: Belief, seen: RecentHours, options: Sequence[Option]) -> Ends:
    """Forecast the end of life as now and under each option; BadInput names an option that cannot be run."""
    courses = [{}, *(option.hourly(forward.horizon) for option in options)]

    def lives(some: Sequence[Mapping[str, NDArray[np.float64]]]) -> Ends:
        return forecast(forward, belief, seen.recordings, some, np.random.default_rng(SEED))

    try:
        return lives(courses)
    except BadInput:
        for number, course in enumerate(courses[1:]):
            try:
                lives([course])
            except BadInput:
                reason = "would at times be too slow to lift its column, or stall; ask for another speed"
                raise BadInput(f"options[{number}]", f"the machine {reason}") from None
        raise


def _check_history(name: str, rows: int, contract: Twin) -> None:
    if rows < contract.window.shortest:
        shortest = contract.window.shortest
        raise BadInput("asset", f"{name} has {rows} readings of its present run, but {shortest} are needed")


def _check(options: Sequence[Option], contract: Twin, forward: DegradationModel) -> None:
    """Raise BadInput for an impossible option, or for a name that is used twice."""
    if not 1 <= len(options) <= MOST_OPTIONS:
        raise BadInput("options", f"are {len(options)}, but there may be 1 to {MOST_OPTIONS}")
    taken = {AS_NOW}
    for number, option in enumerate(options):
        if option.name in taken:
            raise BadInput(f"options[{number}].name", f"{option.name} is the name of another option; take a new one")
        taken.add(option.name)
        for setting, value in _values(option):
            field, objection = f"options[{number}].settings.{setting}", forward.objection(setting, value)
            if objection:
                raise BadInput(field, objection)
            channel = contract.channels[setting]
            if not channel.min <= value <= channel.max:
                raise BadInput(field, f"{value:g} {channel.unit} is not within {channel.min:g} to {channel.max:g}")


def _values(option: Option) -> list[tuple[str, float]]:
    """Yield every setting with each of its values."""
    return [(setting, piece.value) for setting in option.settings for piece in option.pieces(setting)]


def _window_warnings(window: RecentHours, contract: Twin, forward: DegradationModel) -> list[str]:
    """List what makes the estimate less certain than its intervals say."""
    found = []
    if forward.learnt_from.get("contract") != contract.digest:
        found.append("the contract has changed since the degradation model was learnt")
    hours, absent = len(window.missing), int(window.missing.sum())
    if hours < contract.window.length:
        found.append(f"the history is short: {hours} hours, where the estimate can use {contract.window.length}")
    if absent:
        found.append(f"{absent} of the last {hours} hours have no reading")
    return found


def _duty_warnings(options: Sequence[Option], contract: Twin, forward: DegradationModel, belief: Belief) -> list[str]:
    """List duties never seen in training, and duties at which the machine would stand still."""
    found = []
    for option in options:
        for setting, value in _values(option):
            (low, high), asked = forward.ran[setting], f"{value:g} {contract.channels[setting].unit}"
            if not low <= value <= high:
                found.append(f"{option.name}: {setting} {asked}: the fleet only ran at {low:g} to {high:g}")
            if setting == "commanded_speed" and not forward.delivers(belief, value):
                found.append(f"{option.name}: at {asked} the machine lasts, but is too slow to lift anything")
    return list(dict.fromkeys(found))


def _means_pieces(value: Any, within: tuple[int | str, ...]) -> bool:
    return isinstance(value, list) and BRANCHES[1] in within


def _place(number: int, within: tuple[int | str, ...]) -> str:
    """Return the path of an option's value, as `options[0].settings.commanded_speed[1].hours`."""
    steps = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in within if part not in BRANCHES]
    return f"options[{number}]" + "".join(steps)


def _asked(options: Sequence[Option]) -> dict[str, Any]:
    """Return name -> settings as requested."""
    return {AS_NOW: {}} | {option.name: option.model_dump()["settings"] for option in options}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
