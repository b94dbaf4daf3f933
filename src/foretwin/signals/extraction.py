"""Features of snapshots as a contract asks for them: the one way from waveforms to channels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.waveforms import ACCELERATION, SHAFT, Feature, Waveform
from foretwin.signals.bearings import strikes_per_turn
from foretwin.signals.envelopes import SLIP, EnvelopeSpectrum, envelope_spectrum, line_amplitude
from foretwin.signals.moments import Block, Moments, PerSnapshot, centred, moments_of
from foretwin.signals.orders import shaft_angles, steady_order, turning_order, weighted
from foretwin.signals.spectra import (
    Spectrum,
    band_rms,
    centroid,
    real_cepstrum,
    spectral_kurtosis,
    velocity_rms,
)

AT_ONCE = 16  # snapshots: what is made of them stays in the cache
FEWEST_SAMPLES = 16  # of a snapshot
MM = 1000.0  # mm in one m


def extract_features(
    waveforms: Mapping[str, Waveform], blocks: Mapping[str, Block], channels: Mapping[str, PerSnapshot]
) -> dict[str, PerSnapshot]:
    """Return the channels (N,) that the waveforms' features are.

    `blocks` has the snapshots (N, samples) float32 of each waveform, finite, in its unit; `channels` the channels (N,)
    that hold a speed, in revolutions per minute. ValueError, with the waveform first, where a snapshot cannot have a
    feature, since it has too few samples. What depends on the speed of a shaft is 0 where that stands still.
    """
    found = {channel: list[PerSnapshot]() for wave in waveforms.values() for channel in wave.features}
    for name, wave in waveforms.items():
        count, samples = blocks[name].shape
        if wave.features and samples < FEWEST_SAMPLES:
            raise ValueError(f"{name}: has {samples} samples in a snapshot, {FEWEST_SAMPLES} are needed")
        for begin in range(0, count if wave.features else 0, AT_ONCE):
            rows = slice(begin, begin + AT_ONCE)
            part = _Snapshots(wave, centred(blocks[name][rows]), _turning(wave, waveforms, blocks, channels, rows))
            for channel, feature in wave.features.items():
                try:
                    found[channel].append(TAKEN[feature.take](part, feature))
                except ValueError as error:
                    raise ValueError(f"{name}: {channel}: {error}") from None
    return {channel: np.concatenate(parts) if parts else np.empty(0) for channel, parts in found.items()}


@dataclass(frozen=True)
class Turning:
    """How the shaft turns in each snapshot: revolutions per second (N,), and its angle (N, samples) if it is known."""

    speed: PerSnapshot
    angle: NDArray[np.float64] | None = None


def _turning(
    wave: Waveform,
    waveforms: Mapping[str, Waveform],
    blocks: Mapping[str, Block],
    channels: Mapping[str, PerSnapshot],
    rows: slice,
) -> Turning | None:
    if wave.speed is None:
        return None
    if wave.speed.rpm is not None:
        count = len(next(iter(blocks.values()))[rows])
        return Turning(np.full(count, wave.speed.rpm / 60))
    if wave.speed.channel is not None:
        return Turning(np.asarray(channels[wave.speed.channel][rows], np.float64) / 60)
    name = wave.speed.tachometer or ""
    of_wave = next(blocks[one] for one, other in waveforms.items() if other is wave)
    samples = of_wave.shape[1]
    angle = shaft_angles(blocks[name][rows], waveforms[name].rate, wave.speed.pulses, samples, wave.rate)
    turns = (angle[:, -1] - angle[:, 0]) / (2 * np.pi)
    return Turning(turns * wave.rate / (samples - 1), angle)


@dataclass(frozen=True)
class _Snapshots:
    """A few snapshots of one waveform, less their means; what several features need is made once."""

    wave: Waveform
    block: Block
    turning: Turning | None

    @cached_property
    def moments(self) -> Moments:
        return moments_of(self.block)

    @cached_property
    def spectrum(self) -> Spectrum:
        return Spectrum.of(self.block, self.wave.rate)

    @cached_property
    def envelope(self) -> EnvelopeSpectrum:
        assert self.wave.envelope is not None  # noqa: S101 - the contract was checked
        return envelope_spectrum(self.spectrum, self.wave.envelope.low, self.wave.envelope.high)

    @cached_property
    def cepstrum(self) -> NDArray[np.float32]:
        return real_cepstrum(self.spectrum)

    @cached_property
    def weighted(self) -> Block:
        return weighted(self.block)

    @property
    def known_turning(self) -> Turning:
        assert self.turning is not None  # noqa: S101 - the contract was checked
        return self.turning

    def frequency(self, feature: Feature) -> PerSnapshot:
        """Return the frequency (N,) in Hz of the shaft or a part of the bearing; 0 where the shaft stands still."""
        speed = self.known_turning.speed
        return np.where(speed > 0, speed, 0.0) * strikes_per_turn(self.wave.bearing, feature.at or SHAFT)


def _band_rms(part: _Snapshots, feature: Feature) -> PerSnapshot:
    low, high = feature.low or 0.0, feature.high or 0.0
    if feature.of == "signal":
        return band_rms(part.spectrum, low, high)
    return velocity_rms(part.spectrum, low, high) * (ACCELERATION[part.wave.unit] * MM)


def _envelope(part: _Snapshots, feature: Feature) -> PerSnapshot:
    frequency = part.frequency(feature) * feature.harmonic
    return np.where(frequency > 0, line_amplitude(part.envelope, frequency), 0.0)


def _order(part: _Snapshots, feature: Feature) -> PerSnapshot:
    order, turning = feature.order or 1.0, part.known_turning
    if turning.angle is not None:
        return turning_order(part.weighted, turning.angle, order)
    frequency = part.frequency(feature) * order
    return np.where(frequency > 0, steady_order(part.weighted, part.wave.rate, frequency), 0.0)


def _cepstrum(part: _Snapshots, feature: Feature) -> PerSnapshot:
    """Return the largest value of the cepstrum within the bearing's slip of a frequency's quefrency."""
    frequency, last = part.frequency(feature), part.cepstrum.shape[1]
    turns = frequency > 0
    place = part.wave.rate / np.where(turns, frequency, part.wave.rate)
    first, end = np.floor(place * (1 - SLIP)).astype(int), np.ceil(place * (1 + SLIP)).astype(int) + 1
    if int(end.max()) > last:
        needed = 2 * int(end.max())
        raise ValueError(f"a snapshot has {part.block.shape[1]} samples, {needed} are needed for two turns")
    found = np.array([row[a:b].max() for row, a, b in zip(part.cepstrum, first, end, strict=True)], np.float64)
    return np.where(turns, found, 0.0)


TAKEN: dict[str, Callable[[_Snapshots, Feature], PerSnapshot]] = {
    "rms": lambda part, _: part.moments.rms,
    "peak": lambda part, _: part.moments.peak,
    "crest_factor": lambda part, _: part.moments.crest_factor,
    "kurtosis": lambda part, _: part.moments.kurtosis,
    "band_rms": _band_rms,
    "centroid": lambda part, _: centroid(part.spectrum),
    "envelope": _envelope,
    "order": _order,
    "cepstrum": _cepstrum,
    "spectral_kurtosis": lambda part, _: spectral_kurtosis(part.spectrum),
}
