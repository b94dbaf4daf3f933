"""Measure the features of 1,000 snapshots of 25,600 samples against the bare transform of the same blocks.

    python -m benchmarks.speed.waveforms

Ratios of CPU time to `numpy.fft.rfft` within one run, in turns, so that neighbours on the machine disturb them little;
reports/waveforms.json. Fails where one is beyond its bound.
"""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foretwin.contract.waveforms import Waveform
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.signals.extraction import extract_features
from foretwin.training.ensemble import environment

ROOT = Path(__file__).parents[2]
SNAPSHOTS, SAMPLES, RATE = 1_000, 25_600, 25_600
TURNS = 5
USUAL: dict[str, dict[str, Any]] = {
    "rms": {"take": "rms"},
    "kurtosis": {"take": "kurtosis"},
    "low_band": {"take": "band_rms", "low": 10, "high": 1000},
    "velocity": {"take": "band_rms", "of": "velocity", "low": 10, "high": 1000},
    "high_band": {"take": "band_rms", "low": 2000, "high": 10_000},
    "centroid": {"take": "centroid"},
    "outer_race": {"take": "envelope", "at": "outer_race"},
    "inner_race": {"take": "envelope", "at": "inner_race"},
}
EVERYTHING = USUAL | {
    "peak": {"take": "peak"},
    "crest_factor": {"take": "crest_factor"},
    "ball": {"take": "envelope", "at": "ball"},
    "cage": {"take": "envelope", "at": "cage"},
    "outer_race_2": {"take": "envelope", "at": "outer_race", "harmonic": 2},
    "first_order": {"take": "order", "order": 1},
    "second_order": {"take": "order", "order": 2},
    "cepstrum": {"take": "cepstrum", "at": "shaft"},
    "spectral_kurtosis": {"take": "spectral_kurtosis"},
}
SETS = {"usual": (USUAL, 2.0), "everything": (EVERYTHING, 4.0)}


def waveform(features: dict[str, dict[str, Any]]) -> Waveform:
    """Return an accelerometer beside a bearing whose shaft's speed is known."""
    return Waveform.model_validate(
        {
            "rate": RATE,
            "unit": "m/s2",
            "features": features,
            "envelope": {"low": 2000, "high": 6000},
            "bearing": {"balls": 9, "ball_diameter": 7.94, "pitch_diameter": 39.04},
            "speed": {"channel": "rpm"},
        }
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the seconds of processor time that the work takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def measure() -> dict[str, Any]:
    """Return milliseconds of the bare transform and of each set of features, their ratios and the bounds of these."""
    generator = np.random.default_rng(1)
    blocks = generator.standard_normal((SNAPSHOTS, SAMPLES), dtype=np.float32)
    speeds = {"rpm": generator.uniform(900, 3000, SNAPSHOTS)}
    waves = {name: {"x": waveform(features)} for name, (features, _) in SETS.items()}
    work: dict[str, Callable[[], object]] = {"rfft": partial(np.fft.rfft, blocks)}
    work |= {name: partial(extract_features, one, {"x": blocks}, speeds) for name, one in waves.items()}
    turns = [{name: cpu_seconds(one) for name, one in work.items()} for _ in range(TURNS)]
    best = {name: min(turn[name] for turn in turns) for name in work}
    return {
        "snapshots": SNAPSHOTS,
        "samples": SAMPLES,
        "features": {name: len(features) for name, (features, _) in SETS.items()},
        "ms": {name: round(1000 * seconds) for name, seconds in best.items()},
        "ratios": {name: round(best[name] / best["rfft"], 2) for name in SETS},
        "bounds": {name: bound for name, (_, bound) in SETS.items()},
        "machine": environment() | {"cores": str(os.cpu_count())},
    }


def main() -> None:
    """Measure, write the figures, and fail where a ratio is beyond its bound."""
    report = measure()
    with fresh_file(ROOT / "reports" / "waveforms.json") as path:
        path.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    beyond = [name for name, ratio in report["ratios"].items() if ratio > report["bounds"][name]]
    if beyond:
        raise SystemExit(f"waveforms: {', '.join(beyond)}: take more than the bound times the bare transform")


if __name__ == "__main__":
    with exit_on_error():
        main()
