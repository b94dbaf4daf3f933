"""Envelope spectra: how much a band of the signal swells and fades with a frequency."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from foretwin.signals.moments import PerSnapshot
from foretwin.signals.spectra import Spectrum

SLIP = 0.02  # rolling elements slip: a bearing's frequency is looked for so far from what its geometry says
MAIN_LOBE = 2  # lines on either side, over which Hann's window spreads a line


@dataclass(frozen=True)
class EnvelopeSpectrum:
    """Squared amplitudes (N, lines) of the envelopes, `width` Hz apart, as Hann's window spreads them."""

    squares: NDArray[np.float32]
    width: float


def envelope_spectrum(spectrum: Spectrum, low: float, high: float) -> EnvelopeSpectrum:
    """Return the spectrum of the envelope of what lies from `low` to `high` Hz.

    The band's lines, moved to 0 Hz and transformed back, are its analytic signal at a rate of twice the band's width;
    its magnitude is the envelope (Randall and Antoni 2011, section 5.1), in the signal's unit.
    """
    band = spectrum.lines[:, spectrum.places(low, high)]
    count = scipy.fft.next_fast_len(2 * band.shape[1])
    analytic = scipy.fft.ifft(band, n=count, axis=1)
    envelope = np.sqrt(analytic.real**2 + analytic.imag**2)
    envelope *= np.float32(2.0 * count / spectrum.samples)
    envelope -= envelope.mean(axis=1, keepdims=True)
    envelope *= np.hanning(count + 1)[:-1].astype(np.float32)
    lines = scipy.fft.rfft(envelope, axis=1)
    squares = lines.real**2 + lines.imag**2
    # Hann's window has a mean square of 3/8: so scaled, the squares of a line's main lobe sum up to its amplitude's.
    squares *= np.float32(4.0 / (3.0 / 8.0) / count**2)
    return EnvelopeSpectrum(squares, spectrum.rate / spectrum.samples)


def line_amplitude(envelope: EnvelopeSpectrum, frequency: PerSnapshot) -> PerSnapshot:
    """Return the amplitude (N,) of the envelope at frequencies (N,) in Hz, with what lies within the bearing's slip.

    The root of the sum of the squares of these lines; 0 where the frequency is above the band's width.
    """
    place = frequency / envelope.width
    reach = np.maximum(SLIP * place, MAIN_LOBE)
    last = envelope.squares.shape[1] - 1
    first = np.maximum(np.rint(place - reach).astype(np.int64), 1)
    end = np.minimum(np.rint(place + reach).astype(np.int64), last) + 1
    sums = [float(row[a:b].sum(dtype=np.float64)) for row, a, b in zip(envelope.squares, first, end, strict=True)]
    return np.where(place <= last, np.sqrt(sums), 0.0)
