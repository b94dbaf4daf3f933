"""What a benchmark's model is compared with: the candidates of its blend, the baselines, the pump's physics."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import Histories, Windows, last_rows
from foretwin.evaluation.baselines import fit_baselines
from foretwin.evaluation.candidates import CANDIDATE, load_candidates, read_blend_record
from foretwin.evaluation.held_out import Predictions, Truth, figures, figures_of, predicted_class, predictions_of
from foretwin.evaluation.resampling import by_band, majority, over_seeds
from foretwin.metrics import coverage
from foretwin.physics import pump_prognosis


@dataclass(frozen=True)
class Peers:
    """Figures of the models that the served one is compared with, and what each, as an ensemble, says."""

    figures: dict[str, Any]  # keys of the benchmark's report
    said: dict[str, Predictions]  # of the held-out cuts

    def __or__(self, other: "Peers") -> "Peers":
        """Return the peers of both."""
        return Peers(self.figures | other.figures, self.said | other.said)


@dataclass(frozen=True)
class Questions:
    """What all models of a benchmark are asked: the held-out cuts of a twin, and their truth."""

    contract: Twin
    rows: pd.DataFrame
    truth: Truth

    @property
    def windows(self) -> Windows:
        """Return the windows of the cuts."""
        return Histories.from_rows(self.rows, self.contract).cut(last_rows(self.rows), self.contract.window.length)


def measure_parts(asked: Questions, of_seeds: Sequence[Path], whole: Path) -> Peers:
    """Measure each candidate of a blend, equally bagged, and tell the ensemble's weights; nothing without a blend.

    The folders hold the candidates of each seed's model, and those of the ensemble of all.
    """
    together = load_candidates(whole)
    if not together:
        return Peers({}, {})
    each, rows, truth = [load_candidates(folder) for folder in of_seeds], asked.rows, asked.truth
    scores = {name: ensemble.score(rows) for name, ensemble in together.items()}
    candidates = {
        name: over_seeds(
            [figures_of(one[name], one[name].score(rows), truth) for one in each],
            figures_of(ensemble, scores[name], truth),
        )
        for name, ensemble in together.items()
    }
    record = read_blend_record(whole)
    told = {"candidates": candidates, "blend": {name: record[name] for name in ("weights", "power")}}
    return Peers(told, {f"{CANDIDATE}{name}": predictions_of(one, scores[name]) for name, one in together.items()})


def measure_baselines(asked: Questions, development: Development, seeds: Sequence[int], level: float) -> Peers:
    """Measure each baseline under the same seeds, and the mean (RUL) or the vote (faults) of all seeds.

    With them the pump's physics, under the first seed, whose interval is at `level`.
    """
    contract, truth, windows = asked.contract, asked.truth, asked.windows
    fitted = [fit_baselines(development, windows, contract, seed) for seed in seeds]
    result, said = {}, {}
    for name in fitted[0]:
        runs = [one[name] for one in fitted]
        rul = np.mean([one.rul for one in runs if one.rul is not None], axis=0) if contract.rul else None
        faults = [majority([one.faults[i] for one in runs]) for i in range(len(contract.axes))]
        per_seed = [figures(contract, truth, one.rul, one.faults) for one in runs]
        classes = dict(zip(contract.axes, faults, strict=True))
        said[name] = Predictions(rul, classes)
        result[name] = {
            **over_seeds(per_seed, figures(contract, truth, rul, faults)),
            "bands": band_figures(contract, truth, rul, classes),
            "seconds": round(float(np.mean([one.seconds for one in runs])), 1),
        }
    if pump_prognosis.knows(contract):
        result["physics_known"], said["physics_known"] = _measure_physics(asked, development, seeds[0], level)
    return Peers({"baselines": result}, said)


def _measure_physics(
    asked: Questions, development: Development, seed: int, level: float
) -> tuple[dict[str, Any], Predictions]:
    """Measure the physics-based prognosis of the pump, which predicts no faults."""
    contract, truth = asked.contract, asked.truth
    rul, low, high = pump_prognosis.predict_with_physics(development, asked.windows, contract, seed, level)
    found = figures(contract.model_copy(update={"faults": {}}), truth, rul, [])
    result = over_seeds([found], found)
    capped = np.minimum(truth.rul, contract.rul.cap if contract.rul else np.inf)
    covered = {"coverage": coverage(low, high, capped), "width": float(np.mean(high - low))}
    result["rul"]["interval"] = {"level": level, **covered}
    return result | {"bands": band_figures(contract, truth, rul, {})}, Predictions(rul, {})


def band_figures(
    contract: Twin, truth: Truth, rul: NDArray[np.float64] | None, classes: dict[str, NDArray[np.int64]]
) -> dict[str, Any]:
    """Compute figures by band of true RUL; empty without an RUL."""
    if contract.rul is None:
        return {}
    faults = {axis: (found, truth.faults[axis], len(contract.classes(axis))) for axis, found in classes.items()}
    return by_band(truth.rul, contract.rul.cap, rul, faults)


def classes_of(scores: pd.DataFrame, contract: Twin) -> dict[str, NDArray[np.int64]]:
    """Return the most probable class of each cut, by axis."""
    return {axis: predicted_class(scores, contract, axis) for axis in contract.axes}
