"""The spectra of a machine's newest kept snapshot, each of as many points as a picture needs."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray
from pydantic import BaseModel

from foretwin.contract.twin import Twin
from foretwin.signals.spectra import Spectrum
from foretwin.twin.ingest.snapshot_keeping import newest_of

MOST_POINTS = 800
DIGITS = 4


class WaveformSpectrum(BaseModel):
    """RMS amplitude in `unit` over frequency in Hz; of lines that share a point the largest."""

    unit: str
    frequency: list[float]
    amplitude: list[float]


class Spectra(BaseModel):
    """The spectra of the snapshot that came with a reading; no `waveforms` where none is kept."""

    asset: str
    twin: str
    run: int | None
    time: float | None
    waveforms: dict[str, WaveformSpectrum]


def newest_spectra(root: Path, contract: Twin, asset: str) -> dict[str, Any]:
    """Return run, time and spectra of the newest kept snapshot of a machine; without the mean, and no window."""
    path = newest_of(root, contract.name, asset)
    if path is None:
        return {"run": None, "time": None, "waveforms": {}}
    table = pyarrow.parquet.read_table(path)
    newest = table.slice(table.num_rows - 1).to_pylist()[0]
    kept = {name: wave for name, wave in contract.waveforms.items() if newest.get(name)}
    spectra = {name: _spectrum(newest[name], wave.rate) | {"unit": wave.unit} for name, wave in kept.items()}
    return {"run": newest.get("run"), "time": newest["time"], "waveforms": spectra}


def _spectrum(samples: list[float], rate: float) -> dict[str, list[float]]:
    block = np.array([samples], np.float32)
    spectrum = Spectrum.of(block - block.mean(), rate)
    lines = np.sqrt(spectrum.power[0])
    wide = -(-len(lines) // MOST_POINTS)
    first = np.arange(0, len(lines), wide)
    highest = np.array([begin + lines[begin : begin + wide].argmax() for begin in first])
    return {"frequency": _shown(spectrum.frequencies[highest]), "amplitude": _shown(lines[highest])}


def _shown(values: NDArray[np.float32]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]
