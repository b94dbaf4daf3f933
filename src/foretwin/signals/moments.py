"""Features of the samples themselves: RMS, peak, crest factor, kurtosis. Blocks are float32 (N, samples)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]
PerSnapshot = NDArray[np.float64]  # (N,)


def centred(block: Block) -> Block:
    """Return blocks (N, samples) less their means: the offset of a sensor is no vibration."""
    found: Block = block - block.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    return found


@dataclass(frozen=True)
class Moments:
    """RMS, peak and kurtosis (N,) of centred blocks, in the waveform's unit; of a silent block all are 0."""

    rms: PerSnapshot
    peak: PerSnapshot
    kurtosis: PerSnapshot

    @property
    def crest_factor(self) -> PerSnapshot:
        """Return peak / RMS (N,), without a unit (ISO 20816-1, 3.3); 0 of a silent block."""
        return over(self.peak, self.rms)


def moments_of(block: Block) -> Moments:
    """Measure centred blocks (N, samples).

    rms = sqrt(m2), peak = max |x|, kurtosis = m4 / m2^2 (3 for Gaussian noise, 1.5 for a sine; Dyer and Stewart 1978),
    with m_k the mean of x^k.
    """
    count = block.shape[1]
    second, fourth, peak = (np.empty(len(block)) for _ in range(3))
    for i, x in enumerate(block):  # row by row, so that squares stay in the cache; the products are BLAS
        largest = float(max(x.max(), -x.min()))
        unit = x / np.float32(largest) if largest else x  # no power of it overflows
        squares = unit * unit
        second[i], fourth[i], peak[i] = np.dot(unit, unit) / count, np.dot(squares, squares) / count, largest
    return Moments(peak * np.sqrt(second), peak, over(fourth, second**2))


def over(above: PerSnapshot, below: PerSnapshot) -> PerSnapshot:
    """Return quotients (N,), 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
