"""Protocols of sets of few machines, in small: each machine is left out of what is judged on it, and counted right."""

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks.accuracy import sets
from benchmarks.render.sets import SETS
from foretwin.dataset.table import canonical, write_rows
from foretwin.project.paths import Paths
from support.archives import ROOT

LIVES = {"A": (40, True), "B": (50, True), "C": (60, True), "D": (70, False)}
CONTRACT = {
    "name": "rig",
    "title": "Rig",
    "source": {"kind": "table", "path": "rig.csv", "asset": "asset", "time": "time", "rul": "rul"},
    "clock": {"unit": "cycle", "step": 1, "counts_from_start": True},
    "channels": {"force": {"unit": "N", "role": "sensor", "min": 0, "max": 500}},
    "rul": {"cap": 99, "remedy": {"part": "belt", "instruction": "exchange it", "lead_time": 0}},
    "cases": {},
    "window": {"length": 10},
}
SIZE = sets.Size(seeds=(1, 2), cuts=8, folds=2, trials=1, windows=(200, 200), candidates=("network", "linear"))


def rig(paths: Paths) -> None:
    """A project with machines whose force rises by how much of their life is gone, one of which goes on."""
    parts = []
    for asset, (count, ends) in LIVES.items():
        time = np.arange(count, dtype=float)
        rul = count - 1 - time if ends else np.full(count, np.nan)
        parts.append(
            pd.DataFrame({"asset": asset, "run": 1, "time": time, "rul": rul, "force": 100 + 200 * time / count})
        )
    paths.rows.mkdir(parents=True)
    paths.contract.write_text(yaml.safe_dump(CONTRACT))
    contract = paths.load_contract()
    write_rows(canonical(pd.concat(parts, ignore_index=True), contract), contract, paths.rows / "rows.parquet")
    paths.params.write_text((ROOT / "params.yaml").read_text())
    sets.set_budgets(paths, SIZE)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    paths = Paths(tmp_path_factory.mktemp("rig"), "rig")
    rig(paths)
    assert sets.assets_of(paths) == list(LIVES)
    return pd.concat(sets.leave_out(paths, asset, SIZE) for asset in ("A", "D"))


def test_a_machine_is_left_out_and_what_is_decided_is_decided_by_the_others(told):
    a, d = told[told["asset"] == "A"], told[told["asset"] == "D"]
    assert a["cap"].unique().tolist() == [sets.significant(0.6 * 54.0)], "of the lives of 49 and 59 cycles"
    assert d["cap"].unique().tolist() == [sets.significant(0.6 * 49.0)]
    assert a["life"].unique().tolist() == [39]
    assert d["life"].isna().all()
    np.testing.assert_array_equal(a["mean_life_minus_age"], (54 - (39 - a["left"])).clip(0, a["cap"]))
    one, other = (a.loc[a["seed"] == seed, sets.SERVED].to_numpy() for seed in SIZE.seeds)
    assert np.abs(one - other).max() > 0.01, "each seed is a training of its own"


def test_figures_count_ended_lives_and_shortfalls_of_one_that_goes_on(told):
    report = sets.measure(told)
    machine = report["machines"]["A"]
    own = told[told["asset"] == "A"]
    capped = np.minimum(own["left"], own["cap"])
    assert machine["models"]["constant"]["rmse"] == pytest.approx(
        np.sqrt(np.mean((own["constant"] - capped) ** 2)), abs=0.01
    )
    assert machine["models"]["constant"]["relative_rmse"] == pytest.approx(
        np.sqrt(np.mean(((own["constant"] - own["left"]) / 39) ** 2)), abs=0.001
    )
    assert list(report["machines"]) == ["A"]
    going = told[told["asset"] == "D"]
    short = np.maximum(0, np.minimum(going["left"], going["cap"]) - going["kaplan_meier"]).mean()
    assert report["censored"]["D"]["mean_shortfall"]["kaplan_meier"] == pytest.approx(short, abs=0.01)
    assert short > 0
    assert report["candidates"][sets.SERVED]["rmse"] < report["floors"]["constant"]["rmse"]
    report |= {"name": "rig", "unit": "cycle", "cuts": 8, "seeds": 2, "cores": 2, "seconds": 60.0}
    text = SETS["sets-cells"](report)
    assert "| floor: kaplan meier |" in text
    assert "| D | " in text
