"""Figures of classes by records, on answers whose worth is known; and who learns from whom."""

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from benchmarks.accuracy import class_sets
from benchmarks.accuracy.sets import Size, set_budgets
from benchmarks.render.sets import SETS
from foretwin.dataset.table import canonical
from foretwin.evaluation import resampling
from foretwin.project.paths import Paths
from support.archives import ROOT

SIZE = Size(seeds=(1,), folds=2, trials=1, windows=(200, 200), candidates=("network", "linear"))
ROWS, LOADS = 14, (0, 10, 20, 30)
CLASSES = ("healthy", "broken")
CONTRACT = {
    "name": "rig",
    "title": "Rig",
    "source": {
        "kind": "table",
        "path": "rig.csv",
        "asset": "asset",
        "time_format": "row",
        "subset": "load",
        "snapshot": 512,
        "faults": {"fault": {"column": "fault", "values": {"h": "healthy", "b": "broken"}}},
        "columns": {"a": "a"},
    },
    "clock": {"unit": "row", "step": 1, "counts_from_start": False},
    "channels": {
        "a_rms": {"unit": "g", "role": "sensor", "min": 0, "max": 9},
        "a_kurtosis": {"unit": "1", "role": "sensor", "min": 0, "max": 99},
        "load": {"unit": "%", "role": "setting", "min": 0, "max": 99},
    },
    "waveforms": {
        "a": {
            "rate": 1000,
            "unit": "g",
            "features": {"a_rms": {"take": "rms"}, "a_kurtosis": {"take": "kurtosis"}},
        }
    },
    "faults": {
        "fault": {
            "title": "Fault",
            "classes": {"healthy": None, "broken": {"part": "gear", "instruction": "exchange it", "lead_time": 0}},
        }
    },
    "cases": {},
    "window": {"length": 10},
    "quality": {"min_assets": 2},
}


def rig(paths: Paths) -> pd.DataFrame:
    """Rows of a record of each class at each load: kurtosis tells the fault, RMS the load alone."""
    draw = np.random.default_rng(1)
    parts = [
        pd.DataFrame(
            {
                "asset": f"{name}{load}",
                "run": 1,
                "time": np.arange(ROWS, dtype=float),
                "a_rms": 1 + load / 10 + draw.normal(0, 0.01, ROWS),
                "a_kurtosis": 3 + 6 * number + draw.normal(0, 0.1, ROWS),
                "load": float(load),
                "subset": str(load),
                "fault_fault": number,
            }
        )
        for number, name in enumerate(CLASSES)
        for load in LOADS
    ]
    paths.rows.mkdir(parents=True)
    paths.contract.write_text(yaml.safe_dump(CONTRACT, sort_keys=False))
    paths.params.write_text((ROOT / "params.yaml").read_text())
    set_budgets(paths, SIZE)
    return canonical(pd.concat(parts, ignore_index=True), paths.load_contract())


def test_the_area_under_the_curve_is_scikit_learn_s_with_ties_too():
    draw = np.random.default_rng(2)
    said, true = draw.integers(0, 9, 200) / 9, draw.random(200) < 0.3
    assert class_sets.auroc(said, true) == pytest.approx(roc_auc_score(true, said), abs=1e-12)


def test_a_load_is_left_out_whole_and_others_are_dealt_by_whole_loads():
    split = class_sets.split_of(pd.Series(["0", "10", "20", "30", "100", "0", "10"]), "10", 2)
    assert split.tolist() == ["0", "test", "1", "0", "1", "0", "test"]


def test_figures_are_of_records_at_their_ends_and_of_floors_that_learn_from_other_loads(tmp_path, monkeypatch):
    paths = Paths(tmp_path, "rig")
    rows = rig(paths)
    stages = []
    monkeypatch.setattr(class_sets, "run_stages", lambda _, *names: stages.extend(names))
    monkeypatch.setattr(class_sets, "Bundle", _Served)
    monkeypatch.setattr(resampling, "DRAWS", 50)
    learnt, floors_of = [], class_sets.floors_of

    def floors(others, own, *rest):
        learnt.append((set(others["subset"]), set(own["subset"])))
        return floors_of(others, own, *rest)

    monkeypatch.setattr(class_sets, "floors_of", floors)
    found = class_sets.measure(paths, rows, paths.load_contract(), SIZE)
    every = {str(load) for load in LOADS}
    assert learnt == [(every - {str(load)}, {str(load)}) for load in LOADS]
    split = class_sets.read_set(paths).groupby("subset")["fixed_split"].unique()
    assert {load: part.tolist() for load, part in split.items()} == {
        "0": ["0"],
        "10": ["1"],
        "20": ["0"],
        "30": ["test"],
    }
    assert stages == ["prepare", "tune", "train"] * len(LOADS)
    assert found["windows"] == len(CLASSES) * len(LOADS) * (ROWS - 10 + 1)
    floors = found["floors"]
    assert floors["limit_of_kurtosis"]["records"]["macro_f1"] == 1
    assert floors["limit_of_kurtosis"]["gain_of_served"][1] < 0, "the served one is surely worse"
    assert floors["limit_of_rms"]["records"]["auroc"] < 0.7, "RMS tells the load"
    always = floors["always_healthy"]["records"]
    assert (always["auroc"], always["macro_f1"], always["wrong"]) == (0.5, pytest.approx(1 / 3, abs=1e-4), 0.5)
    served = found["candidates"]["served"]["records"]
    assert (served["unknown"], served["wrong"], served["auroc"]) == (0.5, 0.5, 0)
    assert found["answers"] == [[[0, 4, 0], [0, 0, 4]]]
    report = {"name": "rig", "classes": list(CLASSES), "group": "load", "groups": [*map(str, LOADS)], "records": 8}
    report |= {"window": 10, "snapshot": 512, "seeds": 1, "seconds": 60.0, "cores": 2}
    text = SETS["sets-gearbox"](report | {"all_features": found, "shape_alone": found})
    assert "| floor: always healthy | 0.500 " in text
    assert "| broken | 0 | 0 | 4 |" in text


class _Served:
    """A model that holds faults for healthy, and says "unknown" of those and `broken` of healthy ones."""

    @classmethod
    def load(cls, _):
        return cls()

    def score(self, cuts: pd.DataFrame) -> pd.DataFrame:
        last = cuts.groupby(["asset", "run"], sort=False)["a_kurtosis"].last().to_numpy() < 6
        said = np.where(last, 0.1, 0.6)
        answer = np.where(last, "broken", "unknown")
        return pd.DataFrame({"p_fault_healthy": said, "p_fault_broken": 1 - said, "fault": answer})


def test_only_features_that_keep_their_shape_are_kept(tmp_path):
    paths = Paths(tmp_path, "rig")
    rig(paths)
    contract = class_sets.keep_channels(paths, class_sets.SHAPE)
    assert list(contract.channels) == ["a_kurtosis", "load"]
    assert list(contract.waveforms["a"].features) == ["a_kurtosis"]
