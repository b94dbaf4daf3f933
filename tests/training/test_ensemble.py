"""The ensemble: calibrated on what its members have not seen, blind to test labels, whole after an interruption."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from foretwin.dataset.splits import Development
from foretwin.dataset.table import read_rows
from foretwin.errors import TrainingError
from foretwin.predictor.bundle import Bundle, verify
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.project.params import TrainParams
from foretwin.project.paths import Paths
from foretwin.training.ensemble import (
    Member,
    describe_member,
    inputs_digest,
    out_of_fold_faults,
    save_ensemble,
    train_members,
)
from foretwin.training.trainer import Choice
from foretwin.training.tuning import tune
from support.small_fleet import CAP, PREPARE, TRAIN, TUNE, fleet_rows, fleet_twin, prepared, project, scramble_test
from support.small_network import choice_of

PIPELINES = Path(__file__).parents[2] / "pipelines"
TWIN = fleet_twin()
LONGER = TRAIN.model_copy(update={"windows": 12_800})


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Development:
    return prepared(tmp_path_factory.mktemp("windows"), TWIN, fleet_rows(TWIN))


@pytest.fixture(scope="module")
def members(development: Development, tmp_path_factory: pytest.TempPathFactory) -> list[Member]:
    return list(train_members(development, TWIN, choice_of(), TRAIN, tmp_path_factory.mktemp("work")))


def bundle_digest(folder: Path, development: Development, choice: Choice, params: TrainParams = TRAIN) -> str:
    out = folder / "bundle"
    out.mkdir(parents=True)
    trained = list(train_members(development, TWIN, choice, params, folder / "work"))
    return str(save_ensemble(trained, development, TWIN, params, out)["bundle"])


def test_there_is_one_member_per_fold_and_each_speaks_of_its_own_fold(
    members: list[Member], development: Development
) -> None:
    assert [member.fold for member in members] == list(development.folds) == [0, 1]
    for member in members:
        cuts = development.cuts[development.fold[development.cuts] == member.fold]
        truth = np.minimum(development.histories.rul[cuts], CAP)
        np.testing.assert_array_equal(member.truth, truth)
        assert member.predicted.shape == truth.shape
        assert member.predicted.min() >= 0
        assert member.predicted.max() <= CAP
        assert member.predicted.std() > 1


def test_members_look_back_differently_far_unless_a_window_is_one_whole_cycle(tmp_path: Path) -> None:
    twins = {"life": TWIN, "cycle": fleet_twin(whole=True)}
    reaches = {}
    for name, twin in twins.items():
        development = prepared(tmp_path / name, twin, fleet_rows(twin, assets=8))
        both = TRAIN.model_copy(update={"seeds": [1, 2]})
        trained = train_members(development, twin, choice_of(), both, tmp_path / f"{name}-work")
        reaches[name] = [int(member.network.within.sum()) for member in trained]
    assert reaches == {"life": [8, 5, 5, 10], "cycle": [10, 10, 10, 10]}


def test_the_bundle_is_calibrated_on_all_held_out_predictions(
    members: list[Member], development: Development, tmp_path: Path
) -> None:
    record = save_ensemble(members, development, TWIN, TRAIN, tmp_path)
    bundle = Bundle.load(tmp_path)
    predicted = np.concatenate([member.predicted for member in members])
    truth = np.concatenate([member.truth for member in members])
    assert bundle.calibration == RulIntervals.fit(predicted, truth, TRAIN.level)
    assert bundle.digest == record["bundle"] == verify(tmp_path)
    assert bundle.contract == TWIN
    low, high = bundle.calibration.interval(predicted, CAP)
    assert np.mean((low <= truth) & (truth <= high)) >= TRAIN.level - 0.02
    channels = development.histories.cut(np.arange(len(development.fold)), 1).x[:, 0]
    np.testing.assert_array_equal(bundle.reference.regimes.centres, members[0].network.scaling.centres)
    np.testing.assert_array_equal(bundle.reference.ranges, [channels.min(axis=0), channels.max(axis=0)])
    json.dumps(record, allow_nan=False)


def test_fault_probabilities_are_calibrated_on_all_held_out_cuts(
    members: list[Member], development: Development, tmp_path: Path
) -> None:
    save_ensemble(members, development, TWIN, TRAIN, tmp_path)
    fitted = Bundle.load(tmp_path).fault_calibration
    cuts = [development.cuts[development.fold[development.cuts] == fold] for fold in development.folds]
    windows = development.histories.cut(cuts[0], TWIN.window.length)
    with torch.inference_mode():
        said = members[0].network(*(torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age))).logits
    for i, axis in enumerate(TWIN.axes):
        probabilities, classes = out_of_fold_faults(members, axis)
        np.testing.assert_allclose(probabilities[: len(cuts[0])], said[i].softmax(1), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(classes, development.histories.faults[np.concatenate(cuts), i])
        assert fitted[axis] == FaultCalibration.fit(probabilities, classes, TRAIN.confidence)
        assert fitted[axis].temperature != 1


def test_the_fault_probabilities_of_a_fold_are_the_mean_over_its_members(members: list[Member]) -> None:
    others = [replace(m, seed=2, probabilities={a: p[:, ::-1] for a, p in m.probabilities.items()}) for m in members]
    for axis in TWIN.axes:
        alone, classes = out_of_fold_faults(members, axis)
        together, same = out_of_fold_faults([*members, *others], axis)
        np.testing.assert_allclose(together, (alone + alone[:, ::-1]) / 2, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(same, classes)
        assert np.abs(together - alone).max() > 0.1, "the members must differ, or agreement proves nothing"


def test_training_twice_gives_the_same_bundle(development: Development, tmp_path: Path) -> None:
    choice = choice_of(chance=0.2)
    first = bundle_digest(tmp_path / "first", development, choice)
    assert bundle_digest(tmp_path / "again", development, choice) == first
    other = TRAIN.model_copy(update={"seeds": [2]})
    assert bundle_digest(tmp_path / "other", development, choice, other) != first


def test_a_training_that_was_complete_before_took_as_long_as_it_did_then(
    development: Development, tmp_path: Path
) -> None:
    first, again = (list(train_members(development, TWIN, choice_of(), TRAIN, tmp_path)) for _ in range(2))
    assert [one.seconds for one in first] == [one.seconds for one in again]
    assert all(one.seconds > 0 for one in first)


def test_labels_of_test_assets_reach_neither_tuning_nor_training_nor_calibration(tmp_path: Path) -> None:
    rows = fleet_rows(TWIN)
    honest = project(tmp_path / "honest", TWIN, rows)
    scrambled = project(tmp_path / "scrambled", TWIN, scramble_test(rows, honest))
    tests = [read_rows(paths.windows / "test.parquet", TWIN) for paths in (honest, scrambled)]
    assert not tests[0]["rul"].equals(tests[1]["rul"]), "nothing was scrambled"
    assert not tests[0]["fault_mode"].equals(tests[1]["fault_mode"])
    digests, bests = [], []
    for paths in (honest, scrambled):
        development = Development.load(paths.windows, TWIN, PREPARE)
        record = tune(development, TWIN, TUNE, TRAIN, paths.work / "tune.log")
        bests.append((record["best"], record["value"], [trial["curve"] for trial in record["trials"]]))
        digests.append(bundle_digest(paths.work, development, choice_of(chance=0.1)))
    assert bests[0] == bests[1]
    assert digests[0] == digests[1]


def test_a_twin_without_rul_gets_a_bundle_without_calibration(tmp_path: Path) -> None:
    twin = fleet_twin("faults")
    development = prepared(tmp_path / "windows", twin, fleet_rows(twin, assets=8))
    trained = list(train_members(development, twin, choice_of(), TRAIN, tmp_path / "work"))
    out = tmp_path / "bundle"
    out.mkdir()
    save_ensemble(trained, development, twin, TRAIN, out)
    assert Bundle.load(out).calibration is None
    assert not (out / "calibration.json").exists()
    assert "macro-F1" in describe_member(trained[0], twin)
    assert "RMSE" not in describe_member(trained[0], twin)


def test_what_a_member_achieved_is_told_in_one_line(members: list[Member]) -> None:
    line = describe_member(replace(members[0], seconds=3.2), TWIN)
    assert line.startswith("seed 1, fold 0 held out: loss ")
    assert " RMSE " in line
    assert "mode macro-F1" in line
    assert line.endswith("(3 s)")
    assert "\n" not in line


def test_no_known_rul_to_calibrate_on_is_said(members: list[Member], development: Development, tmp_path: Path) -> None:
    blind = [replace(member, predicted=np.empty(0), truth=np.empty(0)) for member in members]
    with pytest.raises(TrainingError, match="fleet: no held-out cut has a known RUL"):
        save_ensemble(blind, development, TWIN, TRAIN, tmp_path)


def test_the_digest_of_the_inputs_changes_with_any_of_them() -> None:
    base = inputs_digest({"a": "1"}, "x", "y")
    assert base == inputs_digest({"a": "1"}, "x", "y")
    others = [inputs_digest({"a": "2"}, "x", "y"), inputs_digest({"b": "1"}, "x", "y"), inputs_digest({"a": "1"}, "xy")]
    assert len({base, *others}) == 4


def interrupt(stage: str, root: Path, begun: Callable[[], bool]) -> subprocess.CompletedProcess[str]:
    """Run a stage in a process of its own, which may have others for its folds, and press Ctrl-C when `begun`."""
    kept = {name: value for name, value in os.environ.items() if name != "LOKY_MAX_CPU_COUNT"}
    process = subprocess.Popen(
        [sys.executable, str(PIPELINES / f"{stage}.py"), "fleet"],
        cwd=root,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not begun():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the stage did not begin its work"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(stage, process.returncode, out, err)


def one_line(stopped: subprocess.CompletedProcess[str]) -> None:
    assert stopped.returncode == 1, stopped.stderr
    assert stopped.stderr == "error: interrupted: nothing half-written was kept\n"


def test_ctrl_c_in_training_leaves_nothing_half_written_and_the_next_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = project(tmp_path, TWIN, fleet_rows(TWIN), LONGER)
    choice = choice_of(chance=0.2)
    (paths.models / "tuning.json").write_text(json.dumps({"best": choice.model_dump()}))

    stopped = interrupt("train", tmp_path, lambda: any(paths.work.glob("train-*/seed-1-fold-0/last.ckpt")))
    one_line(stopped)
    assert [path.name for path in paths.models.iterdir()] == ["tuning.json"]

    runpy.run_path(str(PIPELINES / "train.py"))["main"]("fleet", tmp_path)
    assert capsys.readouterr().out.count("held out: loss") == 2
    assert verify(paths.models / "bundle") == uninterrupted(paths, choice, tmp_path / "elsewhere")
    curves = pd.read_csv(paths.models / "curves.csv")
    assert curves["fold"].tolist() == [0] * 10 + [1] * 10
    assert curves["epoch"].tolist() == [*range(10), *range(10)]
    assert not list(paths.work.glob("train-*")), "checkpoints of a finished training are not kept"


def uninterrupted(paths: Paths, choice: Choice, folder: Path) -> str:
    development = Development.load(paths.windows, TWIN, PREPARE)
    return bundle_digest(folder, development, choice, LONGER)


def test_ctrl_c_in_tuning_is_one_line_and_the_study_goes_on(tmp_path: Path) -> None:
    paths = project(tmp_path, TWIN, fleet_rows(TWIN), tune=TUNE.model_copy(update={"windows": 50_000}))

    def begun() -> bool:
        return any('"choice"' in journal.read_text() for journal in paths.work.glob("tune-*.log"))

    one_line(interrupt("tune", tmp_path, begun))
    assert list(paths.models.iterdir()) == []
    (journal,) = paths.work.glob("tune-*.log")
    development = Development.load(paths.windows, TWIN, PREPARE)
    record = tune(development, TWIN, TUNE, TRAIN, journal)
    states = [trial["state"] for trial in record["trials"]]
    assert states[0] == "fail"
    assert sum(state in ("complete", "pruned") for state in states) == TUNE.trials
    assert record["trials"][1]["params"] == record["trials"][0]["params"], "what was interrupted is tried again"
