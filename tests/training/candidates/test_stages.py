"""The stages train and evaluate with `train.candidates`, and without: what they leave behind, and what they say."""

import json
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest

from foretwin.dataset.table import read_rows
from foretwin.evaluation.candidates import candidates_among, load_candidates, times_slower
from foretwin.evaluation.held_out import read_baselines
from foretwin.evaluation.report import figures_table
from foretwin.predictor.bundle import Bundle
from foretwin.project.digests import file_digests
from foretwin.project.paths import Paths
from foretwin.registry.tracking_store import flatten
from support.small_fleet import TRAIN, fleet_rows, fleet_twin, project
from support.small_network import choice_of

PIPELINES = Path(__file__).parents[3] / "pipelines"
TWIN = fleet_twin()
NAMES = ("network", "convolution", "gradient_boosting", "linear")


def built(root: Path, names: tuple[str, ...], stages: tuple[str, ...] = ("train", "evaluate")) -> Paths:
    """A project after these stages."""
    paths = project(root, TWIN, fleet_rows(TWIN), TRAIN.model_copy(update={"candidates": names}))
    best = {"number": 0, "state": "complete", "value": 0.1, "params": choice_of().model_dump()}
    other = best | {"value": 0.2, "params": choice_of("convolution").model_dump()}
    (paths.models / "tuning.json").write_text(json.dumps({"best": best["params"], "trials": [best, other]}))
    for stage in stages:
        runpy.run_path(str(PIPELINES / f"{stage}.py"))["main"]("fleet", root)
    return paths


@pytest.fixture(scope="module")
def blended(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return built(tmp_path_factory.mktemp("blended"), NAMES)


def test_metrics_tell_of_the_blend_each_candidate_and_the_weights(blended: Paths) -> None:
    metrics = json.loads((blended.models / "evaluation.json").read_text())
    assert list(metrics["candidates"]) == list(NAMES)
    others = ["constant"]
    assert list(metrics["baselines"]) == others
    for figures in (metrics["network"], *metrics["candidates"].values()):
        assert {"below_cap", "late_side", "bands", "coverage", "width"} <= set(figures["rul"]["interval"])
        assert {"answered", "right_of_answered", "macro_f1_of_answers"} <= set(figures["fault"]["mode"])
        assert figures["rul"]["clipped"]["rmse"] < metrics["baselines"]["constant"]["rul"]["clipped"]["rmse"]
    weights = metrics["blend"]["weights"]
    assert set(weights) == {"rul", "mode", "bearing"}
    assert set(weights["rul"]) <= set(NAMES)
    compared = metrics["comparison"]["rul"]
    every = {"network", *(f"candidate {name}" for name in NAMES), *others}
    assert {compared["best"], *compared["chances"]} == every
    rows = figures_table(metrics, TWIN)
    assert [row[0] for row in rows[1:]] == ["blend", *(name.replace("_", " ") for name in (*NAMES, *others))]
    training = json.loads((blended.models / "training.json").read_text())
    assert training["blend"]["weights"] == weights
    assert training["bundle"] == Bundle.load(blended.models / "bundle").digest == metrics["bundle"]


def test_the_headlines_are_those_figures_of_the_whole_record_that_fit_one_table(blended: Paths) -> None:
    whole, told = (json.loads((blended.models / name).read_text()) for name in ("evaluation.json", "metrics.json"))
    shown = flatten(told, ".")
    assert shown == {name: value for name, value in flatten(whole, ".").items() if name in shown}
    assert len(shown) <= 25
    for figure in ("clipped.rmse", "clipped.mae", "clipped.bias", "interval.below_cap", "interval.width"):
        assert f"network.rul.{figure}" in shown
    for figure in ("macro_f1", "answered", "right_of_answered"):
        assert {f"network.fault.{axis}.{figure}" for axis in TWIN.axes} <= set(shown)


def left_by(paths: Paths) -> dict[str, str]:
    """SHA-256 of each file of the stages, but for what the clock said."""
    return {name: digest for name, digest in file_digests(paths.models).items() if name != "timings.json"}


def test_two_trainings_leave_the_same_bytes_but_for_their_times(blended: Paths, tmp_path: Path) -> None:
    again = built(tmp_path, NAMES)
    assert left_by(again) == left_by(blended)
    times = [json.loads((paths.models / "timings.json").read_text()) for paths in (blended, again)]
    assert times[0] != times[1]
    assert {part["candidate"] for part in times[0]["train"]["parts"]} == set(NAMES)
    assert set(times[0]["evaluate"]["seconds"]) == {"constant"}


def test_two_searches_leave_the_same_bytes_but_for_their_times(tmp_path: Path) -> None:
    one, two = (built(tmp_path / name, (), ("tune",)) for name in "ab")
    assert left_by(one) == left_by(two)
    times = json.loads((one.models / "timings.json").read_text())["tune"]
    assert [trial["number"] for trial in times["trials"]] == [0, 1, 2]
    assert all(trial["started"] < trial["ended"] and trial["seconds"] >= 0 for trial in times["trials"])


def test_the_gate_gets_what_every_candidate_says_of_the_same_windows(blended: Paths) -> None:
    rows = read_rows(blended.windows / "test.parquet", TWIN)
    parts = candidates_among(read_baselines(blended.models / "baselines.parquet", TWIN, rows))
    assert list(parts) == list(NAMES)
    scores = Bundle.load(blended.models / "candidates" / "linear").score(rows)
    np.testing.assert_array_equal(parts["linear"].rul, scores["rul"])
    told = [*TWIN.classes("mode"), "unknown"]
    assert [told[given] for given in parts["linear"].answers["mode"]] == scores["mode"].tolist()


def test_without_candidates_the_network_is_alone_and_nothing_is_blended(tmp_path: Path) -> None:
    paths = built(tmp_path, (), ("train",))
    assert "blend" not in json.loads((paths.models / "training.json").read_text())
    assert load_candidates(paths.models / "candidates") == {}
    assert [path.name for path in (paths.models / "candidates").iterdir()] == ["blend.json"]
    nodes = {node.op_type for node in onnx.load(paths.models / "bundle/network.onnx").graph.node}
    assert "TreeEnsemble" not in nodes
    calibration = json.loads((paths.models / "bundle/fault_calibration.json").read_text())
    assert set(calibration["mode"]) == {"temperature", "threshold", "level"}


def test_the_time_of_a_blend_is_told_as_multiples_of_its_network_s(blended: Paths) -> None:
    rows = read_rows(blended.windows / "test.parquet", TWIN)
    network = Bundle.load(blended.models / "candidates" / "network")
    assert times_slower(network, network, rows, 16)[0] == pytest.approx(1, abs=0.5)
    assert times_slower(Bundle.load(blended.models / "bundle"), network, rows, 16)[0] > 0.5
