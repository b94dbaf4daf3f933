"""A small synthetic fleet to learn from: wear shows in a vibration, a leak in a pressure, and there are two duties."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import canonical
from foretwin.project.params import Params, PrepareParams, PromoteParams, TrainParams, TuneParams
from foretwin.project.paths import Paths

REMEDY = {"part": "P-1", "instruction": "replace it", "lead_time": 2}
CAP = 30  # h
FAULTS = {
    "mode": {"title": "Failure mode", "classes": {"healthy": None, "wear": REMEDY, "leak": REMEDY}},
    "bearing": {"title": "Bearing", "classes": {"good": None, "worn": REMEDY}},
}
PREPARE = PrepareParams(test_share=0.25, folds=2, cuts=8, seed=1)
TRAIN = TrainParams(windows=960, batch=32, level=0.9, confidence=0.9, seeds=[1])
TUNE = TuneParams(trials=3, windows=320, seed=1)
QUESTIONS = {"both": (True, True), "rul": (True, False), "faults": (False, True)}  # name -> has RUL, has faults


def fleet_twin(
    questions: str = "both", length: int = 10, regimes: bool = True, aged: bool = True, whole: bool = False
) -> Twin:
    """A machine with a duty, a leak's pressure, a vibration and a channel that never changes.

    `whole` windows are never padded.
    """
    rul, faults = QUESTIONS[questions]
    return Twin.model_validate(
        {
            "name": "fleet",
            "title": "Small fleet",
            "source": {"kind": "pump", "assets": 12, "seed": 1},
            "clock": {"unit": "h", "step": 1, "counts_from_start": aged},
            "channels": {
                "pressure": {"unit": "bar", "role": "sensor", "min": -1e4, "max": 1e4},
                "duty": {"unit": "rpm", "role": "setting", "min": 0, "max": 3000},
                "vibration": {"unit": "mm/s", "role": "sensor", "min": -1e4, "max": 1e4},
                "ballast": {"unit": "kg", "role": "sensor", "min": 0, "max": 1000},
            },
            "regimes": {"channels": ["duty"], "count": 2} if regimes else None,
            "rul": {"cap": CAP, "remedy": REMEDY} if rul else None,
            "faults": FAULTS if faults else {},
            "window": {"length": length, "shortest": length if whole else 1},
        }
    )


def gappy_twin(**more: object) -> Twin:
    """The small fleet with a pressure and a vibration that may be missing."""
    content = fleet_twin().model_dump() | more
    for name in ("pressure", "vibration"):
        content["channels"][name] |= {"may_be_missing": True}
    return Twin.model_validate(content)


def worded_twin(**more: object) -> Twin:
    """The small fleet with the duty as a word, that of a recipe, which need not be known."""
    content = fleet_twin(regimes=False).model_dump() | more
    content["channels"]["duty"] = {"categories": ["slow", "fast", "idle"]}
    content["channels"]["recipe"] = {"categories": ["steel", "brass"], "may_be_missing": True}
    return Twin.model_validate(content)


def worded_rows(twin: Twin, assets: int = 16, seed: int = 1) -> pd.DataFrame:
    """The rows of `fleet_rows` with words: f01's recipe is missing, that of f02 is one that nobody knows."""
    rows = fleet_rows(fleet_twin(), assets, seed)
    number = rows["asset"].str[1:].astype(int)
    recipe = pd.Series(np.take(["steel", "brass"], number % 2)).mask(number == 1).mask(number == 2, "zinc")
    return canonical(rows.assign(duty=np.where(rows["duty"] > 1500, "fast", "slow"), recipe=recipe), twin)


def gappy_rows(twin: Twin, assets: int = 16, seed: int = 1) -> pd.DataFrame:
    """The rows of `fleet_rows` with a vibration each third hour, no pressure of the first, and no hours 12 to 15."""
    rows = fleet_rows(twin, assets, seed)
    rows["vibration"] = rows["vibration"].where(rows["time"] % 3 == 0)
    rows["pressure"] = rows["pressure"].where(rows["asset"] != "f00")
    return rows[~rows["time"].between(12, 15)].reset_index(drop=True)


def fleet_rows(twin: Twin, assets: int = 16, seed: int = 1) -> pd.DataFrame:
    """Assets f00, f01, ... that each ran to failure after 30 to 60 h; every other one leaks instead of wearing out.

    Vibration grows with the square of the life that is spent. Level and size of each sensor depend on the duty.
    """
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(assets):
        life = int(generator.integers(30, 61))
        time = np.arange(1, life + 1, dtype=float)
        fast = generator.random(life) < 0.5
        leaks = number % 2 == 1
        worn = (time / life) ** 2
        vibration = worn + generator.normal(0, 0.03, life)
        pressure = 5 - 2 * worn * leaks + generator.normal(0, 0.05, life)
        late = time > 0.6 * life
        parts.append(
            pd.DataFrame(
                {
                    "asset": f"f{number:02d}",
                    "run": 1,
                    "time": time,
                    "pressure": pressure * np.where(fast, 20, 10),
                    "duty": np.where(fast, 2000.0, 1000.0) + generator.normal(0, 5, life),
                    "vibration": 3 + np.where(fast, 40 + 8 * vibration, 4 * vibration),
                    "ballast": 123.456,
                    "rul": life - time,
                    "fault_mode": np.where(late, 2 if leaks else 1, 0),
                    "fault_bearing": (worn > 0.5).astype(int),
                }
            )
        )
    return canonical(pd.concat(parts, ignore_index=True), twin)


def prepared(folder: Path, twin: Twin, rows: pd.DataFrame, params: PrepareParams = PREPARE) -> Development:
    """What the prepare stage leaves in `folder`, read back."""
    folder.mkdir(parents=True, exist_ok=True)
    prepare(rows, twin, params, folder)
    return Development.load(folder, twin, params)


def project(root: Path, twin: Twin, rows: pd.DataFrame, train: TrainParams = TRAIN, tune: TuneParams = TUNE) -> Paths:
    """A project's folder as the prepare stage leaves it."""
    paths = Paths(root, twin.name)
    prepared(paths.windows, twin, rows)
    paths.models.mkdir(parents=True)
    paths.contract.write_text(yaml.safe_dump(twin.model_dump(mode="json"), sort_keys=False))
    promote = PromoteParams(allowed_loss=0.02)
    params = Params(twins=[twin.name], prepare=PREPARE, tune=tune, train=train, promote=promote)
    paths.params.write_text(yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False))
    return paths


def scramble_test(rows: pd.DataFrame, paths: Paths) -> pd.DataFrame:
    """The rows with the labels of the project's held-out assets dealt out anew among their rows."""
    folds = json.loads((paths.windows / "splits.json").read_text())
    held_out = np.flatnonzero(rows["asset"].map(folds) == -1)
    dealt = np.random.default_rng(1).permutation(held_out)
    labels = ["rul", "fault_mode", "fault_bearing"]
    other = rows.copy()
    other.loc[held_out, labels] = rows.loc[dealt, labels].to_numpy()
    return other
