"""Waveforms of a machine: the `waveforms` section of the contract, and the features of them that are channels."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foretwin.contract.parts import ContractPart, Word

Positive = Annotated[float, Field(gt=0)]
GRAVITY = 9.80665  # m/s2
ACCELERATION = {"m/s2": 1.0, "m/s^2": 1.0, "m/s²": 1.0, "mm/s2": 1e-3, "g": GRAVITY}  # unit -> its size in m/s2
SHAFT = "shaft"
BEARING_PARTS = ("outer_race", "inner_race", "ball", "cage")
LINES = ("envelope", "cepstrum")  # features of a frequency that the shaft or a bearing has
Statistic = Literal["rms", "peak", "crest_factor", "kurtosis"]
Taken = Statistic | Literal["band_rms", "centroid", "envelope", "order", "cepstrum", "spectral_kurtosis"]
Line = Literal["shaft", "outer_race", "inner_race", "ball", "cage"]


class Bearing(ContractPart):
    """Geometry of a rolling bearing; both diameters are in the same unit."""

    balls: Annotated[int, Field(ge=1)]
    ball_diameter: Positive
    pitch_diameter: Positive
    contact_angle: Annotated[float, Field(ge=0, lt=90)] = Field(default=0.0, description="in degrees")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ball_diameter >= self.pitch_diameter:
            raise ValueError("ball_diameter: must be below pitch_diameter; both are in one unit")
        return self


class ShaftSpeed(ContractPart):
    """Speed of the shaft: the same always, a channel, or counted from the pulses of another waveform."""

    rpm: Positive | None = Field(default=None, description="revolutions per minute, where it never changes")
    channel: Word | None = Field(default=None, description="channel that holds the revolutions per minute")
    tachometer: Word | None = Field(default=None, description="waveform of a tachometer, taken at the same time")
    pulses: Annotated[int, Field(ge=1)] = Field(default=1, description="of the tachometer in one revolution")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(way is not None for way in (self.rpm, self.channel, self.tachometer)) != 1:
            raise ValueError("say the speed in one way: rpm, channel, or tachometer")
        if self.pulses != 1 and self.tachometer is None:
            raise ValueError("pulses: are those of a tachometer; name it, or leave them out")
        return self


class Demodulation(ContractPart):
    """Band, in Hz, whose envelope is looked at: where a resonance rings after each impact."""

    low: Positive
    high: Positive


class Feature(ContractPart):
    """One number of each snapshot, which becomes a channel."""

    take: Taken
    low: Annotated[float, Field(ge=0)] | None = Field(default=None, description="band_rms: the lowest frequency, in Hz")
    high: Positive | None = Field(default=None, description="band_rms: the highest frequency, in Hz")
    of: Literal["signal", "velocity"] = Field(
        default="signal", description="band_rms: velocity is an acceleration integrated once, in mm/s"
    )
    at: Line | None = Field(default=None, description="envelope and cepstrum: the frequency of the shaft or a bearing")
    harmonic: Annotated[int, Field(ge=1, le=20)] = Field(default=1, description="envelope: multiple of that frequency")
    order: Positive | None = Field(default=None, description="order: events in one revolution of the shaft")

    @model_validator(mode="after")
    def _its_own_fields(self) -> Self:
        own = {"band_rms": ("low", "high"), "order": ("order",), **dict.fromkeys(LINES, ("at",))}.get(self.take, ())
        lacking = [name for name in own if getattr(self, name) is None]
        if lacking:
            raise ValueError(f"{self.take}: needs {lacking[0]}; add it")
        may = {*own, *({"of"} if self.take == "band_rms" else ()), *({"harmonic"} if self.take == "envelope" else ())}
        odd = [name for name in ("low", "high", "of", "at", "harmonic", "order") if name not in may]
        said = [name for name in odd if getattr(self, name) != type(self).model_fields[name].default]
        if said:
            raise ValueError(f"{said[0]}: is not for {self.take}; leave it out")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        return self


class Waveform(ContractPart):
    """A quantity sampled so fast that not its samples but features of its snapshots are channels."""

    rate: Positive = Field(description="samples per second, in Hz")
    unit: str
    features: dict[Word, Feature] = Field(default={}, description="channel: what is taken of each snapshot")
    envelope: Demodulation | None = Field(default=None, description="band whose envelope is looked at")
    bearing: Bearing | None = None
    speed: ShaftSpeed | None = None
    keep: bool = Field(
        default=False, description="keep the snapshots that come live, for as long as retention.waveforms says"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name, feature in self.features.items():
            reason = self._lacks(feature)
            if reason:
                raise ValueError(f"features.{name}: {reason}")
        highest = [one.high for one in (*self.features.values(), self.envelope) if one and one.high is not None]
        if highest and max(highest) > self.rate / 2:
            raise ValueError(f"high: {max(highest):g} Hz is above half the rate, {self.rate / 2:g} Hz; lower it")
        if self.envelope and self.envelope.low >= self.envelope.high:
            raise ValueError(f"envelope: low {self.envelope.low:g} must be below high {self.envelope.high:g}")
        return self

    def _lacks(self, feature: Feature) -> str | None:
        """Return what a feature needs and the waveform does not say."""
        if feature.of == "velocity" and self.unit not in ACCELERATION:
            return f"velocity is made of an acceleration in {', '.join(ACCELERATION)}, and this is in {self.unit}"
        if feature.of == "velocity" and not feature.low:
            return "velocity needs low above 0, since it is unbounded there; write such as 10"
        if feature.take == "envelope" and self.envelope is None:
            return "needs the band to demodulate; add `envelope: {low: ..., high: ...}` to the waveform"
        if (feature.at or feature.order) and self.speed is None:
            return "needs the speed of the shaft; add `speed` to the waveform"
        if feature.at in BEARING_PARTS and self.bearing is None:
            return f"{feature.at} needs the geometry of the bearing; add `bearing` to the waveform"
        return None


def check_waveforms(waveforms: Mapping[str, Waveform], channels: Collection[str]) -> None:
    """Raise ValueError where features are no channels, or one channel is of two."""
    seen: set[str] = set()
    for name, wave in waveforms.items():
        if name in channels:
            raise ValueError(f"waveforms: {name} is the name of a channel too; rename one of them")
        for channel in wave.features:
            if channel not in channels:
                raise ValueError(f"waveforms.{name}.features: {channel} is not a channel; add it to `channels`")
            if channel in seen:
                raise ValueError(f"waveforms.{name}.features: {channel} is taken twice; keep one of them")
            seen.add(channel)
    for name, wave in waveforms.items():
        speed = wave.speed or ShaftSpeed(rpm=1)
        if speed.channel is not None and (speed.channel not in channels or speed.channel in seen):
            raise ValueError(f"waveforms.{name}.speed: {speed.channel} is not a channel that is measured; name one")
        if speed.tachometer is not None and speed.tachometer not in waveforms:
            raise ValueError(f"waveforms.{name}.speed: {speed.tachometer} is not a waveform; add it to `waveforms`")
