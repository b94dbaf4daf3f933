"""The benchmark of censored lives in small: a study sees what it should, and each way and floor has its figures."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import censoring
from benchmarks.render.life import LIFE
from foretwin.contract.twin import load_twin

PUMP = Path(__file__).parents[2] / "data" / "pump"
FIGURES = {"rmse", "bias", "bias_healthy", "late_last_lead_time"}


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_study_sees_the_wanted_share_of_ends_and_nothing_after_it(share):
    rows = censoring.lives(30, 1, load_twin(PUMP / "twin.yaml"))
    seen = censoring.studied(rows, share, 1)
    ends = seen.groupby("asset")["rul"].min()
    assert ends.isna().mean() == pytest.approx(share, abs=0.05)
    assert (ends.dropna() == 0).all()
    assert len(seen) <= len(rows)
    assert seen.groupby("asset")["time"].max().min() >= censoring.SHORTEST


def test_each_way_of_learning_stands_beside_floors_of_the_same_pumps(tmp_path):
    shutil.copytree(PUMP, tmp_path / "data" / "pump", symlinks=True)
    (tmp_path / "reports").mkdir()
    size = censoring.Size(pumps=((24, 0.5),), judges=12, members=1, windows=3000)
    censoring.main(tmp_path, size)
    report = json.loads((tmp_path / "reports" / "censoring.json").read_text())
    (fleet,) = report["fleets"]
    assert fleet["ways"].keys() == set(censoring.WAYS)
    assert fleet["floors"].keys() == {"mean_life", "kaplan_meier"}
    assert all(one.keys() == FIGURES for one in (fleet["ways"] | fleet["floors"]).values())
    assert all(np.isfinite(list(one.values())).all() for one in fleet["ways"].values())
    assert len({one["rmse"] for one in fleet["ways"].values()}) == len(censoring.WAYS), "each learns something else"
    assert "cap and weights" in LIFE["censoring"](report)
