"""Channels and clock of a machine: what is measured, and how values with times of their own become readings."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from foretwin.contract.categories import UNKNOWN_CODE, UNKNOWN_WORD, find_twice, label_key
from foretwin.contract.parts import ContractPart

LONGEST_GAP = 1000  # steps of the clock, where the contract does not say otherwise
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}  # of the clock units that are units of time
MOST_CATEGORIES = 100  # of a channel: each is an input of the network
MICROSECONDS = 1e6  # in one second, as moments since 1970 are told


class Clock(ContractPart):
    """Clock of the machine: `unit` of every time in the contract, `step` between two readings."""

    unit: Annotated[str, Field(min_length=1)]
    step: Annotated[float, Field(gt=0)]
    counts_from_start: bool = Field(
        default=True, description="time is the age of the run, known when scoring too, and may be learnt from"
    )
    # Fields that are not set are left out of the digest, so that older bundles keep this contract's digest.
    longest_gap: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        exclude_if=lambda gap: gap is None,
        description="a reading further ahead of the last one has a clock that jumped; 1000 steps where it is not set",
    )
    wait: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        exclude_if=lambda time: time is None,
        description="how long a reading waits for values that come singly; one step where it is not set",
    )

    @property
    def longest_jump(self) -> float:
        """Return how far a reading may be ahead of the one before."""
        return self.longest_gap or LONGEST_GAP * self.step

    @property
    def seconds(self) -> float | None:
        """Return the length of the unit in seconds; None for a unit that is not of time, such as a cycle."""
        return SECONDS.get(self.unit)


class Grid(ContractPart):
    """How the values of a channel, each with its own time, become one value at each step of the clock."""

    take: Literal["last", "mean", "max", "count", "interpolate"] = Field(
        description="the last value; mean, maximum or number of those since the step before; or what lies on the line"
        " between the values before and after"
    )
    longest_age: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="`last`: an older value is none; without it a value holds until the next. `interpolate`: the"
        " longest time between the two values",
    )

    @model_validator(mode="after")
    def _ages(self) -> Self:
        if self.longest_age is not None and self.take not in ("last", "interpolate"):
            raise ValueError(f"longest_age is not for {self.take}, which takes the values of one step; leave it out")
        return self


class Channel(ContractPart):
    """A measured or set quantity; `min` and `max` are the physical limits of valid readings.

    Of a category there are words instead of a unit and limits, and it is a setting.
    """

    unit: str
    role: Literal["setting", "sensor"]
    min: float
    max: float
    description: str = ""
    grid: Grid | None = Field(
        default=None,
        exclude_if=lambda grid: grid is None,
        description="how values become readings; where another channel has it, the last value of each step",
    )
    may_be_missing: bool = Field(
        default=False, exclude_if=lambda may: not may, description="a reading without this channel is one too"
    )
    categories: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] | None = Field(
        default=None,
        exclude_if=lambda words: words is None,
        max_length=MOST_CATEGORIES,
        description="the words of the channel, such as models or recipes, instead of unit, role, min and max; another"
        " word is taken as unknown",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_words(cls, content: Any) -> Any:
        """Fill in what a category has not; its numbers are those of `categories`."""
        if isinstance(content, dict) and isinstance(content.get("categories"), (list, tuple)):
            whole = {"unit": "", "role": "setting", "min": UNKNOWN_CODE, "max": len(content["categories"])}
            return whole | content
        return content

    @model_validator(mode="after")
    def _complete(self) -> Self:
        words = self.categories
        if words is None:
            return self
        if (self.unit, self.role, self.min, self.max) != ("", "setting", UNKNOWN_CODE, len(words)):
            raise ValueError("categories: are words of a setting; leave out unit, role, min and max")
        if find_twice(words):
            raise ValueError(f"categories: {find_twice(words)} is there in two spellings; keep one")
        if UNKNOWN_WORD in map(label_key, words):
            raise ValueError(f"categories: {UNKNOWN_WORD} is what any other word is taken as; leave it out")
        if self.grid is not None and self.grid.take != "last":
            raise ValueError(f"grid: {self.grid.take} is of numbers; of a category take the last")
        return self

    def cell(self, value: float) -> float | str:
        """Return a value as a sender writes it: of a category the word, else the number."""
        if self.categories is None or not 0 <= value <= len(self.categories):
            return value
        return self.categories[int(value) - 1] if value >= 1 else UNKNOWN_WORD

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:g} must be below max {self.max:g}")
        return self


def check_regimes(names: Sequence[str], channels: Mapping[str, Channel]) -> None:
    """Raise ValueError where one of the channels cannot tell a regime."""
    settings = {name for name, channel in channels.items() if channel.role == "setting"}
    wrong = [name for name in names if name not in settings]
    if wrong:
        raise ValueError(f"regimes: {wrong[0]} is not a channel with role `setting`")
    wrong = [name for name in names if channels[name].may_be_missing]
    if wrong:
        raise ValueError(f"regimes: {wrong[0]} may be missing, and then no regime is known; leave one of both out")
    wrong = [name for name in names if channels[name].categories]
    if wrong:
        raise ValueError(f"regimes: {wrong[0]} holds words, between which there is no distance; leave it out")


def check_counters(names: Sequence[str], channels: Mapping[str, Channel]) -> None:
    """Raise ValueError where one of the channels that are read as rates holds words."""
    wrong = [name for name in names if name in channels and channels[name].categories]
    if wrong:
        raise ValueError(f"source.rates: {wrong[0]} holds words, which do not rise; leave it out")
