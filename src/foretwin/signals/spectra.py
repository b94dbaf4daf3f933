"""Features of the spectrum: band RMS, centroid, cepstrum, spectral kurtosis, all of one rfft of each block."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from foretwin.signals.moments import Block, PerSnapshot, over

KURTOSIS_BANDS = 32  # into which spectral kurtosis divides the spectrum
HANN_KURTOSIS = (35 / 128) / (3 / 8) ** 2  # of Hann's window: its mean fourth power by its mean square squared
FLOOR = 1e-12  # of the largest line: below, the logarithm of a spectrum would be of rounding errors


@dataclass(frozen=True)
class Spectrum:
    """Half spectra (N, samples // 2 + 1) complex64 of blocks, without a window, and the rate in Hz."""

    lines: NDArray[np.complex64]
    samples: int
    rate: float

    @classmethod
    def of(cls, block: Block, rate: float) -> "Spectrum":
        """Transform blocks (N, samples)."""
        return cls(scipy.fft.rfft(block, axis=1), block.shape[1], rate)

    @cached_property
    def power(self) -> NDArray[np.float32]:
        """Return the mean square (N, lines) that each line has of the signal, so that they sum up to it (Parseval)."""
        found: NDArray[np.float32] = self.lines.real**2
        found += self.lines.imag**2
        found *= np.float32(2.0 / self.samples**2)
        found[:, 0] /= 2
        if self.samples % 2 == 0:
            found[:, -1] /= 2
        return found

    @cached_property
    def frequencies(self) -> NDArray[np.float32]:
        """Return the frequencies (lines,) in Hz."""
        return np.arange(self.lines.shape[1], dtype=np.float32) * np.float32(self.rate / self.samples)

    def places(self, low: float, high: float) -> slice:
        """Return the lines from `low` to `high` Hz, both included; ValueError where there is none."""
        width = self.rate / self.samples
        first, last = int(np.ceil(low / width - 1e-9)), int(np.floor(high / width + 1e-9))
        if first > last:
            raise ValueError(f"no line from {low:g} to {high:g} Hz in snapshots of {self.samples} samples")
        return slice(first, last + 1)


def band_rms(spectrum: Spectrum, low: float, high: float) -> PerSnapshot:
    """Return the RMS (N,) of what lies from `low` to `high` Hz: the root of the sum of the lines' mean squares."""
    found: PerSnapshot = np.sqrt(spectrum.power[:, spectrum.places(low, high)].sum(axis=1, dtype=np.float64))
    return found


def velocity_rms(spectrum: Spectrum, low: float, high: float) -> PerSnapshot:
    """Return the band RMS (N,) of the integral of the signal: each line is divided by 2 pi f.

    Of an acceleration in m/s2 this is the velocity in m/s, which ISO 20816-1 judges from 10 to 1000 Hz.
    """
    band = spectrum.places(low, high)
    weights = (2 * np.pi * spectrum.frequencies[band].astype(np.float64)) ** -2
    found: PerSnapshot = np.sqrt((spectrum.power[:, band] @ weights.astype(np.float32)).astype(np.float64))
    return found


def centroid(spectrum: Spectrum) -> PerSnapshot:
    """Return the centre of the power spectrum (N,) in Hz: sum(f P) / sum(P); 0 of a silent block."""
    together = (spectrum.power @ spectrum.frequencies).astype(np.float64)
    return over(together, spectrum.power.sum(axis=1, dtype=np.float64))


def real_cepstrum(spectrum: Spectrum) -> NDArray[np.float32]:
    """Return the real cepstrum (N, samples // 2 + 1): the inverse transform of log |X| (Bogert 1963).

    Place n is the quefrency n / rate seconds: a family of lines that are f Hz apart shows up at rate / f.
    """
    power = spectrum.power
    floor = np.maximum(power.max(axis=1, keepdims=True) * np.float32(FLOOR), np.float32(1e-30))
    logs = np.log(np.maximum(power, floor)) * np.float32(0.5)
    found: NDArray[np.float32] = scipy.fft.irfft(logs, n=spectrum.samples, axis=1)[:, : spectrum.samples // 2 + 1]
    return found


def spectral_kurtosis(spectrum: Spectrum) -> PerSnapshot:
    """Return the largest spectral kurtosis (N,) of the bands into which the spectrum is divided.

    <|z|^4> / <|z|^2>^2 - 2 of the analytic signal z in a band (Antoni 2006): 0 for Gaussian noise, -1 for a sine, large
    where impacts ring. Under Hann's window, so that the ends of a snapshot are no impacts. 0 where a snapshot is too
    short for bands.
    """
    width = (spectrum.lines.shape[1] - 2) // KURTOSIS_BANDS
    if width < 2:
        return np.zeros(len(spectrum.lines))
    end = 1 + width * KURTOSIS_BANDS
    hann = spectrum.lines[:, 1:end] * np.float32(2)  # the window, as a sum of neighbouring lines
    hann -= spectrum.lines[:, : end - 1]
    hann -= spectrum.lines[:, 2 : end + 1]
    z = scipy.fft.ifft(hann.reshape(len(hann), KURTOSIS_BANDS, width), axis=2)
    square = z.real**2
    square += z.imag**2
    second = square.mean(axis=2, keepdims=True)
    loud = second > FLOOR * second.max(axis=1, keepdims=True)
    square /= np.where(loud, second, np.float32(1))  # before its square, which would overflow
    fourth = np.einsum("nbt,nbt->nb", square, square).astype(np.float64) / (width * HANN_KURTOSIS)
    found: PerSnapshot = np.where(loud[:, :, 0], fourth - 2, -1.0).max(axis=1) * loud.any(axis=(1, 2))
    return found
