"""Contract of one machine type: `data/<twin>/twin.yaml` as a frozen, validated object.

The validation rules of its data, the network's inputs and heads, the model signature and the HTTP schema are derived
from it. Times (`lead_time`, `rul.cap`, `cases.open_below`, ...) are in `clock.unit`.
"""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from foretwin.contract.channels import Channel, Clock, check_counters, check_regimes
from foretwin.contract.holdout import Holdout
from foretwin.contract.parts import ContractPart, Word
from foretwin.contract.policy import CasePolicy, Costs, Quality, Runs
from foretwin.contract.retention import Retention
from foretwin.contract.source import Source, TableSource
from foretwin.contract.source.side_checks import check_side_tables
from foretwin.contract.waveforms import Waveform, check_waveforms
from foretwin.contract.yaml import describe_problem, read_yaml
from foretwin.errors import ContractError

TwinName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]

RESERVED = {"asset", "run", "time", "rul", "fixed_split", "subset"}
FAILURE = "p_failure"  # the chance of a failure within a horizon
SCORED = {"asset", "run", "time", "rows", "rul", "rul_low", "rul_high", "warnings", FAILURE}  # in tables of scores
SCORED |= {"health_index", "health_state", "health_baseline"}
HEALTH, NORMAL, DEPARTED = "health", "normal", "departed"  # the axis without labels, and its classes
UNKNOWN = "unknown"  # the value on a fault axis where no class is probable enough


class Remedy(ContractPart):
    """Repair of a fault: part, instruction, skills; `lead_time` is the delivery time of the part."""

    part: str
    instruction: str
    skills: tuple[str, ...] = ()
    lead_time: Annotated[float, Field(ge=0)]


class Rul(ContractPart):
    """Remaining useful life, not distinguished beyond `cap`, and chances of a failure within `horizons`, as outputs."""

    cap: Annotated[float, Field(gt=0)]
    remedy: Remedy
    horizons: tuple[float, ...] = Field(default=(), max_length=5, exclude_if=lambda horizons: not horizons)

    @model_validator(mode="after")
    def _horizons_rise(self) -> Self:
        if self.horizons and any(one >= other for one, other in pairwise((0.0, *self.horizons, self.cap))):
            raise ValueError(f"horizons must be above 0, rise, and stay below the cap of {self.cap:g}")
        return self


class FaultAxis(ContractPart):
    """A fault axis: exclusive classes of one component or condition, of which the first is healthy."""

    title: str
    classes: Annotated[dict[Word, Remedy | None], Field(min_length=2)]

    @model_validator(mode="after")
    def _healthy_first(self) -> Self:
        healthy, *others = self.classes
        if self.classes[healthy] is not None:
            raise ValueError(
                f"the first class, {healthy}, is the healthy one and has no remedy; write `{healthy}: null`"
            )
        bare = [name for name in others if self.classes[name] is None]
        if bare:
            raise ValueError(f"class {bare[0]} has no remedy; add part, instruction and lead_time")
        if UNKNOWN in self.classes:
            raise ValueError(f"class {UNKNOWN} is reserved for uncertain scores; rename it or leave it out")
        return self


class Health(ContractPart):
    """Departure from what is normal as an output, which needs no labels: the fault axis `health`."""

    remedy: Remedy
    false_alarms: Annotated[float, Field(gt=0)] = Field(
        default=12, description="per machine and year of its clock; where that counts no time, per 10,000 steps"
    )
    baseline: int = Field(
        default=0,
        ge=0,
        le=100,
        exclude_if=lambda windows: not windows,
        description="whole windows of a machine's first life, by which it is judged from then on; 0: by the fleet's",
    )
    off: dict[Word, float] = Field(
        default={},
        exclude_if=lambda off: not off,
        description="the machine stands still while each of these channels is at most so much: nothing is said of it",
    )

    @property
    def axis(self) -> FaultAxis:
        """Return the axis that stands for it among the faults."""
        return FaultAxis(title="Health", classes={NORMAL: None, DEPARTED: self.remedy})


class Regimes(ContractPart):
    """Operating regimes: `count` clusters of setting channels; sensors are scaled within each."""

    channels: tuple[Word, ...]
    count: Annotated[int, Field(ge=2, le=20)]


class Window(ContractPart):
    """Window of one prediction, in rows; a shorter history is padded, below `shortest` it is not scored.

    Where nothing but health is asked for, `shortest` is the whole window unless the contract says otherwise.
    """

    length: Annotated[int, Field(ge=1, le=1000)]
    shortest: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shortest > self.length:
            raise ValueError(f"shortest {self.shortest} must not exceed length {self.length}")
        return self


class Twin(ContractPart):
    """Contract of one machine type. The order of `channels` is the order of the network's inputs."""

    name: TwinName
    title: str
    description: str = ""
    source: Source
    clock: Clock
    channels: Annotated[dict[Word, Channel], Field(min_length=1)]
    waveforms: dict[Word, Waveform] = Field(default={}, exclude_if=lambda waveforms: not waveforms)
    regimes: Regimes | None = None
    rul: Rul | None = None
    faults: dict[Word, FaultAxis] = Field(default={})
    health: Health | None = Field(default=None, exclude_if=lambda health: health is None)
    window: Window
    quality: Quality = Quality()
    holdout: Holdout = Field(default=Holdout(), exclude_if=lambda holdout: holdout == Holdout())
    cases: CasePolicy = CasePolicy()
    # Not part of the contract that a model was trained under: readers take these from the project's file.
    runs: Runs = Field(default=Runs(), exclude=True)
    costs: Costs | None = Field(default=None, exclude=True)
    retention: Retention = Field(default=Retention(), exclude=True)

    @model_validator(mode="after")
    def _health_is_an_axis(self) -> Self:
        if self.health is not None:
            if self.faults.get(HEALTH, self.health.axis) != self.health.axis:
                raise ValueError("faults.health: is the axis of `health`; rename this one")
            # not self.faults[HEALTH] = ...: the mapping may be the caller's, or the default of all contracts
            object.__setattr__(self, "faults", {**self.faults, HEALTH: self.health.axis})
            if self.rul is None and self.axes == (HEALTH,) and "shortest" not in self.window.model_fields_set:
                # A few rows are far from what whole windows of normal machines show: each new machine would be told.
                object.__setattr__(self, "window", self.window.model_copy(update={"shortest": self.window.length}))
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.rul is None and not self.faults:
            raise ValueError("no output to predict; add `rul`, `faults` or `health`")
        taken = [name for name in self.channels if name in RESERVED or name.startswith("fault_")]
        if taken:
            raise ValueError(f"channel name {taken[0]} is reserved for the canonical table; rename it")
        numbers = [name for name, channel in self.channels.items() if channel.categories is None]
        wrong = [name for name in (self.health.off if self.health else ()) if name not in numbers]
        if wrong:
            raise ValueError(f"health.off: {wrong[0]} is no channel of numbers; name one that tells a standstill")
        check_regimes(self.regimes.channels if self.regimes else (), self.channels)
        self._check_grid()
        check_waveforms(self.waveforms, tuple(self.channels))
        for field in ("may_be_constant", "allow"):
            wrong = [name for name in getattr(self.quality, field) if name not in self.channels]
            if wrong:
                raise ValueError(f"quality.{field}: {wrong[0]} is not a channel")
        answers = [f"{axis}_{name}" for axis, fault in self.faults.items() for name in fault.classes]
        twice = [name for name in answers if answers.count(name) > 1]
        if twice:
            raise ValueError(f"two axes have the same column p_{twice[0]}; rename an axis or a class")
        taken = [axis for axis in self.faults if axis in SCORED or axis in {f"p_{name}" for name in answers}]
        if taken:
            raise ValueError(f"fault axis {taken[0]} has the name of another column of the scores; rename it")
        if isinstance(self.source, TableSource):
            self._check_table(self.source)
        return self

    def _check_grid(self) -> None:
        wait = self.clock.wait or self.clock.step
        for name, channel in self.channels.items():
            grid = channel.grid
            if grid is not None and grid.take == "interpolate" and not 0 < (grid.longest_age or 0) <= wait:
                reason = f"interpolate needs a longest_age of at most clock.wait ({wait:g})"
                raise ValueError(f"channels.{name}.grid: {reason}, in which the next value must have come")

    def _check_table(self, source: TableSource) -> None:
        if source.snapshot is not None and not self.waveforms:
            raise ValueError("source.snapshot: is of waveforms; describe them in `waveforms`, or leave it out")
        if self.has_grid and source.missing != "refuse":
            held = "write `grid: {take: last}` at each channel whose value holds, and leave `missing` out"
            raise ValueError(f"source.missing: {source.missing} is not for channels that are put on the grid; {held}")
        self.holdout.check_columns(source.subset, source.split)
        for axis, fault in source.faults.items():
            if axis not in self.faults:
                raise ValueError(f"source.faults: {axis} is not a fault axis")
            unknown = [name for name in fault.classes_named if name not in self.faults[axis].classes]
            if unknown:
                raise ValueError(f"source.faults.{axis}: {unknown[0]} is not a class of the axis")
        for field, names in {"columns": source.columns, "rates": source.rates}.items():
            wrong = [name for name in names if name not in self.channels and name not in self.waveforms]
            if wrong:
                raise ValueError(f"source.{field}: {wrong[0]} is not a channel")
        check_counters(source.rates, self.channels)
        classes = {axis: tuple(fault.classes) for axis, fault in self.faults.items()}
        check_side_tables(source, self.channels, classes, self.quality.allow)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Return the channels in the order of the network's inputs."""
        return tuple(self.channels)

    @property
    def may_be_missing(self) -> tuple[int, ...]:
        """Return the positions of the channels that may be missing."""
        return tuple(i for i, channel in enumerate(self.channels.values()) if channel.may_be_missing)

    @property
    def categories(self) -> tuple[tuple[int, int], ...]:
        """Return the positions of the channels of words, each with how many words there are."""
        words = ((i, channel.categories) for i, channel in enumerate(self.channels.values()))
        return tuple((i, len(found)) for i, found in words if found is not None)

    def cell(self, name: str, value: float) -> float | str:
        """Return a channel's value as a sender writes it; that of a channel of another contract as it is."""
        return self.channels[name].cell(value) if name in self.channels else value

    def cells(self, values: Iterable[float]) -> dict[str, float | str]:
        """Return a reading's values, in the contract's order, by channel and as a sender writes them."""
        return {name: one.cell(value) for (name, one), value in zip(self.channels.items(), values, strict=True)}

    @property
    def has_grid(self) -> bool:
        """Return whether readings are put on the clock's grid, rather than taken as rows."""
        return any(channel.grid is not None for channel in self.channels.values())

    @property
    def has_split(self) -> bool:
        """Return whether a column of the source says what is held out, or which fold a row is of."""
        return isinstance(self.source, TableSource) and self.source.split is not None

    @property
    def slot(self) -> float | None:
        """Return the time that each place of a window stands for; None where windows count rows, as they lie."""
        return self.clock.step if self.has_grid or self.may_be_missing else None

    @property
    def tells_ends(self) -> bool:
        """Return whether the data say of each life how it ended."""
        return isinstance(self.source, TableSource) and self.source.tells_ends

    @property
    def axes(self) -> tuple[str, ...]:
        """Return the fault axes in the order of the network's heads."""
        return tuple(self.faults)

    def classes(self, axis: str) -> tuple[str, ...]:
        """Return the classes of one axis; the first is healthy."""
        return tuple(self.faults[axis].classes)

    @property
    def longest_silence(self) -> timedelta | None:
        """Return the time without readings after which an asset is stale; None: never, as with a clock of cycles."""
        stale_after, seconds = self.cases.stale_after, self.clock.seconds
        return None if stale_after is None or seconds is None else timedelta(seconds=stale_after * seconds)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the contract's content, independent of the YAML's layout."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_twin(path: Path) -> Twin:
    """Read a twin.yaml; ContractError names the file, the line and the field."""
    try:
        content, root = read_yaml(path, ContractError)
    except FileNotFoundError:
        raise ContractError(f"{path}: no such contract; run `foretwin new NAME FILE` to create one") from None
    try:
        twin = Twin.model_validate(content)
    except ValidationError as error:
        raise ContractError(describe_problem(path, root, error, "contract")) from None
    if path.name == "twin.yaml" and path.parent.parent.name == "data" and path.parent.name != twin.name:
        raise ContractError(f"{path}:1: name: is {twin.name}, but its folder is {path.parent.name}")
    return twin
