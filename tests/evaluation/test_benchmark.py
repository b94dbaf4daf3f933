"""The benchmark: one file with every figure, and held-out labels that reach nothing but held-out figures."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from foretwin.dataset.table import read_rows
from foretwin.errors import TrainingError
from foretwin.evaluation.baselines import fit_baselines
from foretwin.evaluation.benchmark import peers
from foretwin.evaluation.benchmark import plan as planning
from foretwin.evaluation.benchmark.plan import BenchmarkPlan, make_plan, measure_plan, run, served_model
from foretwin.evaluation.held_out import Truth, figures_of
from foretwin.predictor.bundle import Bundle
from foretwin.training.candidates.trained import Trained, train_others
from foretwin.training.ensemble import Member
from support.small_fleet import fleet_rows, fleet_twin, project, scramble_test
from support.small_network import choice_of

ROOT = Path(__file__).parents[2]
TWIN = fleet_twin()
SEEDS = (1, 2)


def planned(root: Path, scrambled: bool = False, seeds: tuple[int, ...] = SEEDS) -> BenchmarkPlan:
    """A project as the tune stage leaves it; with `scrambled`, held-out labels are dealt out anew."""
    rows = fleet_rows(TWIN)
    paths = project(root / "honest", TWIN, rows)
    if scrambled:
        paths = project(root / "scrambled", TWIN, scramble_test(rows, paths))
    record = {"best": choice_of(chance=0.1).model_dump()}
    (paths.models / "tuning.json").write_text(json.dumps(record))
    return make_plan(paths, seeds)


def report_of(plan: BenchmarkPlan) -> dict:
    networks: dict[str, list[Member]] = {name: [] for name in plan.choices}
    for name, member in plan.train():
        networks[name].append(member)
    others = train_others(plan.development, plan.contract, plan.choices, plan.params.train)
    return measure_plan(plan, Trained(networks, others), plan.paths.models / "pictures")


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what the module's report has shown already: three of the five baselines, and the pictures."""
    monkeypatch.setattr(peers, "fit_baselines", partial(fit_baselines, names=("linear", "extra_trees")))
    monkeypatch.setattr(planning, "draw_all", lambda *_: None)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkPlan:
    return planned(tmp_path_factory.mktemp("benchmark"))


@pytest.fixture(scope="module")
def report(plan: BenchmarkPlan) -> dict:
    return report_of(plan)


def test_the_figures_are_those_of_the_bundles_that_would_be_served(plan: BenchmarkPlan, report: dict) -> None:
    rows = read_rows(plan.paths.windows / "test.parquet", TWIN)
    for seed in report["seeds"]:
        bundle = Bundle.load(plan.work / f"seed-{seed['seed']}")
        assert seed["bundle"] == bundle.digest
        assert seed["rul"] == figures_of(bundle, bundle.score(rows), Truth.of(rows, TWIN))["rul"]
    bundle = Bundle.load(plan.work / "ensemble")
    ensemble = figures_of(bundle, bundle.score(rows), Truth.of(rows, TWIN))
    assert report["rul"]["clipped"]["ensemble"] == ensemble["rul"]["clipped"]
    mean = np.mean([seed["rul"]["clipped"]["rmse"] for seed in report["seeds"]])
    assert report["rul"]["clipped"]["mean"]["rmse"] == pytest.approx(mean)
    assert report["rul"]["interval"]["ensemble"] == ensemble["rul"]["interval"]
    assert report["fault"]["mode"]["ensemble"] == ensemble["fault"]["mode"]
    low, high = report["bootstrap"]["rmse"]
    assert low < ensemble["rul"]["clipped"]["rmse"] < high


def test_every_baseline_has_the_same_figures_inside(report: dict) -> None:
    names = {"constant", "linear", "gradient_boosting", "extra_trees", "random_fourier_ridge"}
    assert report["baselines"].keys() == names
    for found in report["baselines"].values():
        for kind in ("clipped", "unclipped"):
            assert found["rul"][kind]["mean"].keys() == report["rul"][kind]["mean"].keys()
            assert found["rul"][kind]["ensemble"]["rmse"] > 0
        assert 0 <= found["fault"]["mode"]["macro_f1"] <= 1
    worst = report["baselines"]["constant"]["rul"]["clipped"]["mean"]["rmse"]
    assert report["rul"]["clipped"]["mean"]["rmse"] < 0.7 * worst


def test_it_is_told_what_the_age_and_what_the_averaging_are_worth(report: dict) -> None:
    assert report["without_age"]["rul"]["clipped"]["rmse"] > 0
    assert report["single_network"]["rul"]["clipped"]["mean"]["rmse"] > report["rul"]["clipped"]["ensemble"]["rmse"]


def test_bands_hold_every_prediction(report: dict) -> None:
    for bands in (report["bands"], report["baselines"]["linear"]["bands"]):
        assert sum(band["count"] for band in bands.values()) == report["cuts"]


def test_the_pictures_are_drawn(plan: BenchmarkPlan, report: dict) -> None:
    assert report
    names = {path.stem for path in (plan.paths.models / "pictures").glob("*.png")}
    expected = {"predicted_against_true", "error_by_remaining_life", "coverage_by_remaining_life", "one_asset"}
    assert names >= expected | {"alpha_lambda", "confusion_mode"}


@pytest.mark.usefixtures("briefly")
def test_scrambled_held_out_labels_change_the_held_out_figures_and_nothing_else(report: dict, tmp_path: Path) -> None:
    other = report_of(planned(tmp_path, scrambled=True, seeds=SEEDS[:1]))
    (alone,), honest = other["seeds"], report["seeds"][0]
    assert alone["rul"]["clipped"]["rmse"] != honest["rul"]["clipped"]["rmse"]
    assert alone["bundle"] == honest["bundle"]
    assert alone["rul"]["interval"]["width"] == honest["rul"]["interval"]["width"], "the predictions stay"
    assert other["cuts"] == report["cuts"]


@pytest.mark.usefixtures("briefly")
def test_the_same_seeds_give_the_same_figures(report: dict, tmp_path: Path) -> None:
    again = report_of(planned(tmp_path))
    assert again["rul"] == report["rul"]
    assert again["bootstrap"] == report["bootstrap"]
    assert again["baselines"]["extra_trees"]["rul"] == report["baselines"]["extra_trees"]["rul"]


@pytest.mark.usefixtures("briefly")
def test_of_a_blend_the_benchmark_measures_what_is_served_and_each_of_its_candidates(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    names = ("network", "linear")
    train = plan.params.train.model_copy(update={"candidates": names, "seeds": [1]})
    plan = replace(plan, params=plan.params.model_copy(update={"train": train}))
    report = report_of(plan)
    assert tuple(report["candidates"]) == names
    for weights in report["blend"]["weights"].values():
        assert sum(weights.values()) == pytest.approx(1)
        assert weights.keys() <= set(names)
    rmse = {name: found["rul"]["clipped"]["ensemble"]["rmse"] for name, found in report["candidates"].items()}
    assert rmse["network"] != rmse["linear"]
    everyone = {"network", "candidate network", "candidate linear", *report["baselines"]}
    for question in ("rul", *TWIN.axes):
        compared = report["comparison"][question]
        assert {compared["best"], *compared["chances"]} == everyone
    rows = read_rows(plan.paths.windows / "test.parquet", TWIN)
    served = Bundle.load(plan.work / "seed-1")
    assert (
        report["rul"]["clipped"]["ensemble"]
        == figures_of(served, served.score(rows), Truth.of(rows, TWIN))["rul"]["clipped"]
    )


def test_the_model_of_several_seeds_may_be_as_many_times_as_large(plan: BenchmarkPlan) -> None:
    class Saved(Trained):
        def save(self, *given: object) -> dict:
            raise ZeroDivisionError(given[2].blend_mb)

    members = [SimpleNamespace(seed=seed) for seed in (1, 1, 2, 2)]
    with pytest.raises(ZeroDivisionError, match=str(2 * plan.params.train.blend_mb)):
        served_model(plan, Saved({"network": members}), "ensemble")


def test_a_twin_that_is_not_listed_gets_its_chain_of_stages(tmp_path: Path) -> None:
    paths = project(tmp_path, TWIN, fleet_rows(TWIN))
    listed = yaml.safe_load(paths.params.read_text())
    paths.params.write_text(yaml.safe_dump(listed | {"twins": []}))
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    with pytest.raises(TrainingError, match=r"the stages before training failed; .*data/fleet/dvc.yaml:tune"):
        run(tmp_path, "fleet", [1])  # in no project of DVC
    assert yaml.safe_load(paths.params.read_text())["twins"] == ["fleet"]
    assert "tune" in yaml.safe_load((paths.data / "dvc.yaml").read_text())["stages"]
