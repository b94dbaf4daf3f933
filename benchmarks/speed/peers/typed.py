"""The call and its answer as pydantic types, for the peers whose framework reads them."""

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator


class Asset(BaseModel):
    """One asset's rows."""

    model_config = ConfigDict(strict=True, extra="forbid")
    asset: Annotated[str, Field(min_length=1, max_length=200)]
    run: int = 1
    time: Annotated[list[FiniteFloat], Field(min_length=1)]
    channels: dict[str, list[FiniteFloat]]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(len(values) != len(self.time) for values in self.channels.values()):
            raise ValueError("every channel needs as many values as time")
        if any(later <= earlier for earlier, later in zip(self.time, self.time[1:], strict=False)):
            raise ValueError("time does not increase")
        return self

    def numbers(self, channels: tuple[str, ...]) -> NDArray[np.float64]:
        """(1 + C, T); ValueError unless the asset's channels are exactly these."""
        if self.channels.keys() != set(channels):
            raise ValueError(f"channels are not {', '.join(channels)}")
        return np.array([self.time, *(self.channels[name] for name in channels)], np.float64)


class Call(BaseModel):
    """A scoring call."""

    model_config = ConfigDict(strict=True, extra="forbid")
    twin: str
    assets: Annotated[list[Asset], Field(min_length=1)]


class Interval(BaseModel):
    """An RUL and where it lies with the probability `level`."""

    value: float
    low: float
    high: float
    level: float
    unit: str


class Score(BaseModel):
    """What is said of one asset."""

    asset: str
    time: float
    rows: int
    rul: Interval
    warnings: list[str]


class Answer(BaseModel):
    """One score per asset."""

    model: dict[str, str]
    scores: list[Score]
