"""Orders: what repeats with the turning of the shaft, at a speed that is known or counted from a tachometer."""

import numpy as np
from numpy.typing import NDArray

from foretwin.signals.moments import Block, PerSnapshot

FEWEST_PULSES = 3
HALF = 0.5  # of the range of a tachometer's signal: the level whose rising crossings are its pulses


def weighted(block: Block) -> Block:
    """Return blocks (N, samples) under Hann's window."""
    return block * np.hanning(block.shape[1] + 1)[:-1].astype(np.float32)


def steady_order(block: Block, rate: float, frequency: PerSnapshot) -> PerSnapshot:
    """Return the amplitude (N,) at frequencies (N,) in Hz that need not be lines of the spectrum.

    The projection of weighted blocks (N, samples) on exp(-2 pi i f t). It is written as the product of a matrix with
    the exponentials of fine and of coarse steps, so that a snapshot needs few of them.
    """
    samples = block.shape[1]
    fine = max(int(np.sqrt(samples)), 1)
    coarse, turn = samples // fine, 2j * np.pi * frequency[:, None] / rate
    inner = np.exp(-turn * np.arange(fine)).astype(np.complex64).view(np.float32).reshape(len(block), fine, 2)
    outer = np.exp(-turn * fine * np.arange(coarse))
    sums = np.empty(len(block), np.complex128)
    for i, row in enumerate(block):
        parts = row[: coarse * fine].reshape(coarse, fine) @ inner[i]
        sums[i] = (parts[:, 0] + 1j * parts[:, 1]) @ outer[i]
    rest = np.arange(coarse * fine, samples)
    sums += (block[:, rest] * np.exp(-turn * rest)).sum(axis=1)
    return _amplitude(sums, samples)


def turning_order(block: Block, angle: NDArray[np.float64], order: float) -> PerSnapshot:
    """Return the amplitude (N,) of an order where the shaft's angle (N, samples), in radians, is known.

    The projection of weighted blocks on exp(-i order angle): the time-variant discrete Fourier transform (Blough 1997),
    which follows a changing speed.
    """
    return _amplitude(np.einsum("ns,ns->n", block, np.exp(-1j * order * angle)), block.shape[1])


def pulse_times(signal: Block, rate: float) -> NDArray[np.float64]:
    """Return the times (M,) in s at which one tachometer signal (samples,) rises through the half of its range."""
    low, high = float(signal.min()), float(signal.max())
    level = low + HALF * (high - low)
    above = signal >= level
    before = np.flatnonzero(~above[:-1] & above[1:])
    first, second = signal[before].astype(np.float64), signal[before + 1].astype(np.float64)
    return (before + (level - first) / (second - first)) / rate


def shaft_angles(
    tachometer: Block, tachometer_rate: float, pulses: int, samples: int, rate: float
) -> NDArray[np.float64]:
    """Return the angle (N, samples) of the shaft in radians at each sample of another waveform of the same time.

    Between two pulses the speed changes smoothly, beyond the first and the last it stays as it is there. With fewer
    than three pulses in a snapshot the shaft stands still.
    """
    from scipy.interpolate import CubicSpline  # here, since most twins have no tachometer

    at, found = np.arange(samples) / rate, np.zeros((len(tachometer), samples))
    for i, signal in enumerate(tachometer):
        times = pulse_times(signal, tachometer_rate)
        if len(times) < FEWEST_PULSES:
            continue
        angle = 2 * np.pi / pulses * np.arange(len(times))
        inside = np.clip(at, times[0], times[-1])
        course = CubicSpline(times, angle, bc_type="natural")
        found[i] = course(inside) + (at - inside) * course(inside, 1)
    return found


def _amplitude(sums: NDArray[np.complex128], samples: int) -> PerSnapshot:
    """Return amplitudes (N,) of projections under Hann's window, whose mean is a half."""
    return 4.0 / samples * np.abs(sums)
