"""Scores and truths of the small fleet without any training, and the pictures that are drawn of them."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.evaluation.held_out import Truth, figures
from foretwin.evaluation.plots import draw_all
from support.small_fleet import CAP

COUNT = 60
ALONG_A_RUN = {"one_asset", "alpha_lambda"}
PICTURES = {
    "rul": {"predicted_against_true", "error_by_remaining_life", "coverage_by_remaining_life"} | ALONG_A_RUN,
    "faults": {"confusion_mode", "confusion_bearing"},
}
PICTURES["both"] = PICTURES["rul"] | PICTURES["faults"]


def truth_of(twin: Twin, unknown: int = 5) -> Truth:
    """True labels at COUNT cuts; the first `unknown` ones are not known."""
    generator = np.random.default_rng(1)
    rul = generator.uniform(0, 1.5 * CAP, COUNT)
    rul[:unknown] = np.nan
    faults = {axis: generator.integers(0, len(twin.classes(axis)), COUNT) for axis in twin.axes}
    for classes in faults.values():
        classes[:unknown] = -1
    return Truth(rul, faults, subset=np.full(COUNT, ""))


def scores_of(twin: Twin, truth: Truth) -> pd.DataFrame:
    """What a fair predictor says at these cuts."""
    generator = np.random.default_rng(2)
    names = [f"f{i:02d}@{7 * i}" for i in range(COUNT)]
    table: dict[str, object] = {"asset": names, "run": 1, "time": np.arange(COUNT, dtype=float), "rows": 10}
    if twin.rul:
        rul = np.clip(np.nan_to_num(truth.rul, nan=20) + generator.normal(0, 4, COUNT), 0, CAP)
        table |= {"rul": rul, "rul_low": (rul - 5).clip(0), "rul_high": (rul + 5).clip(0, CAP)}
    for axis in twin.axes:
        weights = generator.random((COUNT, len(twin.classes(axis))))
        weights[np.arange(COUNT), truth.faults[axis].clip(0)] += 0.5
        weights /= weights.sum(axis=1, keepdims=True)
        table |= {f"p_{axis}_{name}": weights[:, i] for i, name in enumerate(twin.classes(axis))}
    return pd.DataFrame(table)


def example_of(twin: Twin, asset: str = "f03") -> pd.DataFrame | None:
    """One run's scores from its beginning to its end."""
    if twin.rul is None:
        return None
    true = np.arange(49.0, -1, -1)
    rul = np.clip(true + 3 * np.sin(true), 0, CAP)
    columns = {"asset": [f"{asset}@{i}" for i in range(50)], "time": 49 - true, "rul": rul, "true_rul": true}
    return pd.DataFrame({**columns, "rul_low": (rul - 4).clip(0), "rul_high": (rul + 4).clip(0, CAP)})


def metrics_of(twin: Twin, truth: Truth, scores: pd.DataFrame) -> dict:
    """As the evaluate stage writes them."""
    rul = scores["rul"].to_numpy() if twin.rul else None
    network = figures(twin, truth, rul, [truth.faults[axis].clip(0) for axis in twin.axes])
    baseline = figures(twin, truth, None if rul is None else rul * 0 + 9, [truth.faults[a] * 0 for a in twin.axes])
    if twin.rul:
        network["rul"]["interval"] = {"level": 0.9, "coverage": 0.875, "width": 9.5}
    return {
        "twin": twin.name,
        "bundle": "0123456789abcdef" * 4,
        "assets": 12,
        "cuts": COUNT,
        "unit": "h",
        "network": network,
        "baselines": {"constant": baseline, "gradient_boosting": baseline},
    }


def drawn(twin: Twin, folder: Path) -> dict[str, np.ndarray]:
    """name -> pixels (H, W, 4) of every picture of the twin, drawn into the folder and read back."""
    truth = truth_of(twin)
    draw_all(twin, scores_of(twin, truth), truth, example_of(twin), folder)
    assert {path.suffix for path in folder.iterdir()} == {".png"}
    return {path.stem: matplotlib.image.imread(path) for path in folder.iterdir()}
