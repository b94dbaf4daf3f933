"""Samples in files of arrays and sound (.mat, HDF5, .npy, WAV), as one array for each column."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foretwin.errors import SourceError
from foretwin.sources.files.arrays import holds_arrays, read_arrays

RATE_NAMES = {"fs", "rate", "samplerate", "samplingrate", "samplefrequency", "samplingfrequency", "samplefreq"}
RATE_NAMES |= {"samplingfreq", "sr", "sfreq", "abtastrate", "freqacquisition"}


def is_sound(head: bytes) -> bool:
    """Return whether these first bytes are those of a WAV file."""
    return head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE"


def holds_samples(head: bytes) -> bool:
    """Return whether these first bytes are those of a file that is read as arrays."""
    return is_sound(head) or holds_arrays(head)


def read_samples(path: Path, shown: str, head: bytes) -> tuple[dict[str, "np.ndarray[Any, Any]"], float | None]:
    """Return the arrays (M,) and single values () of a file by name, and the rate in Hz if the file tells it.

    A sound's channels are `channel_1`, `channel_2`, ..., in parts of its full scale.
    """
    if is_sound(head):
        return _sound(path, shown)
    arrays = read_arrays(path, shown, head)
    return arrays, _told_rate(arrays)


def _sound(path: Path, shown: str) -> tuple[dict[str, "np.ndarray[Any, Any]"], float]:
    from scipy.io import wavfile

    try:
        rate, samples = wavfile.read(path)
    except (ValueError, OSError, EOFError) as error:
        raise SourceError(f"{shown}: damaged WAV file ({error}); export it again") from None
    if samples.dtype.kind == "u":
        samples = samples.astype(np.float32) / 128 - 1
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    columns = samples.reshape(len(samples), -1)
    return {f"channel_{number + 1}": columns[:, number] for number in range(columns.shape[1])}, float(rate)


def _told_rate(arrays: Mapping[str, "np.ndarray[Any, Any]"]) -> float | None:
    """Return the single number whose name is that of a rate; None where there is none."""
    for name, value in arrays.items():
        last = name.replace("/", ".").rpartition(".")[2].lower()
        plain = "".join(char for char in last if char.isalpha())
        if plain in RATE_NAMES and value.ndim == 0 and value.dtype.kind in "iuf" and value > 0:
            return float(value)
    return None
