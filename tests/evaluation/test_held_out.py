"""The figures of a result, worked by hand, and that a truth is held against its own prediction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foretwin.dataset.windows import last_rows, truncate
from foretwin.errors import RegistryError
from foretwin.evaluation.held_out import (
    HeldOut,
    Truth,
    figures,
    figures_of,
    predict,
    predicted_class,
    read_baselines,
    write_baselines,
)
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import RegimeCentres
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.project.json import strict_json
from foretwin.training.onnx import to_onnx
from support.small_fleet import CAP, fleet_rows, fleet_twin, prepared
from support.small_network import network_of
from support.tiny_bundle import tiny_reference

TWIN = fleet_twin()
NAN = float("nan")
TRUTH = Truth(
    rul=np.array([10.0, NAN, 35.0, 20.0]),
    faults={"mode": np.array([0, 1, -1, 2]), "bearing": np.array([0, 0, 1, 1])},
    subset=np.array([""] * 4),
)
SCORES = pd.DataFrame(
    {
        "asset": ["a@1", "b@2", "c@3", "d@4"],
        "rul": [13.0, 5.0, 26.0, 20.0],
        "rul_low": [11.0, 4.0, 22.0, 15.0],
        "rul_high": [17.0, 8.0, 30.0, 25.0],
        "mode": ["healthy", "wear", "leak", "unknown"],
        "p_mode_healthy": [0.6, 0.1, 0.2, 0.5],
        "p_mode_wear": [0.3, 0.8, 0.2, 0.4],
        "p_mode_leak": [0.1, 0.1, 0.6, 0.1],
        "bearing": ["good", "worn", "worn", "unknown"],
        "p_bearing_good": [0.9, 0.2, 0.1, 0.3],
        "p_bearing_worn": [0.1, 0.8, 0.9, 0.7],
    }
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    rows = fleet_rows(TWIN)
    development = prepared(tmp_path_factory.mktemp("windows"), TWIN, rows)
    calibration = RulIntervals(0.9, (0.0, CAP), (2.0, 2.0), (3.0, 3.0))
    faults = {axis: FaultCalibration(1.0, 0.4, 0.9) for axis in TWIN.axes}
    onnx = to_onnx([network_of(TWIN, development, "statistics")], TWIN)
    save_bundle(folder, TWIN, onnx, calibration, tiny_reference(TWIN, 1e6), faults)
    return Bundle.load(folder)


def test_the_figures_of_a_small_table_are_those_worked_by_hand(bundle: Bundle) -> None:
    got = figures_of(bundle, SCORES, TRUTH)
    clipped, unclipped = got["rul"]["clipped"], got["rul"]["unclipped"]
    # Errors against the capped truths 10, 30 and 20 are 3, -4 and 0; uncapped, the second is 26 - 35 = -9.
    assert clipped["rmse"] == pytest.approx(np.sqrt((9 + 16 + 0) / 3))
    assert unclipped["rmse"] == pytest.approx(np.sqrt((9 + 81 + 0) / 3))
    scale = 125 / CAP  # the PHM 2008 score counts in 125ths of the cap
    assert clipped["phm08"] == pytest.approx(np.exp(0.3 * scale) - 1 + np.exp(4 / 13 * scale) - 1)
    assert unclipped["phm08"] == pytest.approx(np.exp(0.3 * scale) - 1 + np.exp(9 / 13 * scale) - 1)
    assert np.isnan([clipped["rmse_late"], unclipped["rmse_late"]]).all(), "no truth is within 30 of 125 parts of 30"
    # [11, 17] misses 10; [22, 30] holds the capped 30; [15, 25] holds 20; the second truth is unknown.
    assert got["rul"]["interval"]["coverage"] == pytest.approx(2 / 3)
    assert got["rul"]["interval"]["width"] == pytest.approx((6 + 4 + 8 + 10) / 4)
    assert got["rul"]["interval"]["level"] == 0.9
    # mode: truths 0, 1, 2 are told as 0, 1, 0; F1 of the classes 2/3, 1 and 0.
    assert got["fault"]["mode"]["macro_f1"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert got["fault"]["mode"]["accuracy"] == pytest.approx(2 / 3)
    # bearing: truths 0, 0, 1, 1 are told as 0, 1, 1, 1; F1 2/3 and 4/5.
    assert got["fault"]["bearing"]["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert got["fault"]["bearing"]["accuracy"] == pytest.approx(3 / 4)
    # The third truth of mode is not known; of the other three one is answered with "unknown" and two are right.
    mode, bearing = got["fault"]["mode"], got["fault"]["bearing"]
    assert mode["unknown"] == pytest.approx(1 / 3)
    assert mode["accuracy_answered"] == 1
    assert mode["nll"] == pytest.approx(-np.log([0.6, 0.8, 0.1]).mean())
    assert mode["ece"] == pytest.approx((0.4 + 0.2 + 0.5) / 3)  # confidences 0.6, 0.8 and 0.5; the last one errs
    # bearing: right with 0.9, wrong with 0.8, right with 0.9, and unknown, which would be right, with 0.7.
    assert bearing["unknown"] == pytest.approx(1 / 4)
    assert bearing["accuracy_answered"] == pytest.approx(2 / 3)
    assert bearing["nll"] == pytest.approx(-np.log([0.9, 0.2, 0.9, 0.7]).mean())
    assert bearing["ece"] == pytest.approx((2 * 0.1 + 0.8 + 0.3) / 4)


def test_a_predictor_without_an_interval_gets_the_same_figures(bundle: Bundle) -> None:
    classes = [predicted_class(SCORES, TWIN, axis) for axis in TWIN.axes]
    plain, full = figures(TWIN, TRUTH, SCORES["rul"].to_numpy(), classes), figures_of(bundle, SCORES, TRUTH)
    del full["rul"]["interval"]
    for axis in TWIN.axes:
        full["fault"][axis] = {name: full["fault"][axis][name] for name in ("macro_f1", "accuracy")}
    assert strict_json(plain) == strict_json(full), "with what is not known as null"
    only_faults = figures(fleet_twin("faults"), TRUTH, None, classes)
    assert only_faults == {"fault": full["fault"]}
    only_rul = figures(fleet_twin("rul"), TRUTH, SCORES["rul"].to_numpy(), [])
    assert strict_json(only_rul) == strict_json({"rul": full["rul"]})


def test_the_predicted_class_is_the_most_probable_one() -> None:
    assert predicted_class(SCORES, TWIN, "mode").tolist() == [0, 1, 2, 0]
    assert predicted_class(SCORES, TWIN, "bearing").tolist() == [0, 1, 1, 1]


def test_where_nothing_is_answered_or_known_there_is_no_figure(bundle: Bundle) -> None:
    silent = figures_of(bundle, SCORES.assign(mode="unknown"), TRUTH)["fault"]["mode"]
    assert silent["unknown"] == 1
    assert np.isnan(silent["accuracy_answered"])
    blind = replace(TRUTH, faults={**TRUTH.faults, "mode": np.full(4, -1)})
    assert np.isnan(list(figures_of(bundle, SCORES, blind)["fault"]["mode"].values())).all()


def test_truth_and_scores_stand_in_the_same_order_where_assets_are_not_sorted(bundle: Bundle) -> None:
    rows = fleet_rows(TWIN, assets=5)
    order = ["f03", "f00", "f04", "f01"]
    unsorted = pd.concat([rows[rows["asset"] == asset] for asset in order], ignore_index=True)
    unsorted["subset"] = np.where(unsorted["time"] > 10, "late", "")
    ends = np.flatnonzero(unsorted["time"].isin([3, 12, 25]))
    test_rows = truncate(unsorted, ends, TWIN.window.length)
    scores, truth = bundle.score(test_rows), Truth.of(test_rows, TWIN)
    assert scores["asset"].str[:3].tolist() == np.repeat(order, 3).tolist()
    assert scores["time"].tolist() == [3, 12, 25] * 4
    expected = unsorted.set_index(["asset", "time"]).loc[
        list(zip(scores["asset"].str[:3], scores["time"], strict=True))
    ]
    np.testing.assert_array_equal(truth.rul, expected["rul"])
    np.testing.assert_array_equal(truth.faults["mode"], expected["fault_mode"])
    np.testing.assert_array_equal(truth.faults["bearing"], expected["fault_bearing"])
    np.testing.assert_array_equal(truth.subset, expected["subset"])
    held_out, said = HeldOut.of(test_rows, bundle), predict(bundle, test_rows)
    assert held_out.assets.tolist() == np.repeat(order, 3).tolist()
    np.testing.assert_array_equal(held_out.truth.rul, truth.rul)
    np.testing.assert_array_equal(said.rul, scores["rul"])
    np.testing.assert_array_equal(said.high, scores["rul_high"])
    assert said.level == 0.9
    np.testing.assert_array_equal(said.faults["mode"], predicted_class(scores, TWIN, "mode"))
    chosen = held_out.assets == "f03"
    assert held_out.part(chosen).assets.tolist() == ["f03"] * 3
    np.testing.assert_array_equal(said.part(chosen).rul, scores["rul"][:3])


def test_a_window_has_the_regime_of_its_last_row(bundle: Bundle) -> None:
    settings = RegimeCentres((1,), np.array([[1000], [2000]], np.float32), np.array([1], np.float32))
    two = replace(bundle, reference=replace(bundle.reference, regimes=settings))
    rows = fleet_rows(TWIN, assets=5)
    test_rows = truncate(rows, np.arange(3, len(rows), 7), TWIN.window.length)
    fast = test_rows.iloc[last_rows(test_rows)]["duty"] > 1500
    assert 0 < fast.sum() < len(fast)
    np.testing.assert_array_equal(HeldOut.of(test_rows, two).regimes, fast)


@pytest.mark.parametrize("questions", ["both", "rul", "faults"])
def test_what_baselines_said_is_read_back_and_belongs_to_its_rows(questions, bundle: Bundle, tmp_path) -> None:
    twin, path = fleet_twin(questions), tmp_path / "baselines.parquet"
    rows = fleet_rows(TWIN, assets=5)
    test_rows = truncate(rows, np.array([3, 20, 50, 90]), TWIN.window.length)
    scores, said = bundle.score(test_rows), predict(bundle, test_rows)
    told = replace(said, low=None, high=None, level=None)
    if questions == "rul":
        told = replace(told, faults={})
    if questions == "faults":
        told = replace(told, rul=None)
    with pytest.raises(RegistryError, match=r"not found; run `dvc repro data/fleet/dvc.yaml:evaluate`"):
        read_baselines(path, twin, test_rows)
    write_baselines({"constant": told, "linear": told}, scores, path)
    found = read_baselines(path, twin, test_rows)
    assert list(found) == ["constant", "linear"]
    np.testing.assert_array_equal(found["linear"].rul, told.rul)
    for axis in twin.axes:
        np.testing.assert_array_equal(found["linear"].faults[axis], told.faults[axis])
    others = truncate(rows, np.array([3, 20, 51, 90]), TWIN.window.length)
    with pytest.raises(RegistryError, match="held-out windows"):
        read_baselines(path, twin, others)
    if questions != "both":
        with pytest.raises(RegistryError, match=r"has no column constant/"):
            read_baselines(path, TWIN, test_rows)


def test_each_subset_gets_the_figures_of_its_own_predictions(bundle: Bundle) -> None:
    parted = replace(TRUTH, subset=np.array(["warm", "", "cold", "warm"]))
    got = figures_of(bundle, SCORES, parted)
    subsets = got.pop("subsets")
    assert strict_json(got) == strict_json(figures_of(bundle, SCORES, TRUTH))
    assert list(subsets) == ["cold", "warm"]
    assert subsets["warm"].keys() == got.keys()
    # Errors against the capped truths: 3 and 0, and -4; intervals [11, 17] misses 10, [15, 25] holds 20.
    assert subsets["warm"]["rul"]["clipped"]["rmse"] == pytest.approx(np.sqrt(9 / 2))
    assert subsets["cold"]["rul"]["clipped"]["rmse"] == pytest.approx(4)
    assert subsets["warm"]["rul"]["interval"]["coverage"] == pytest.approx(1 / 2)
    assert subsets["cold"]["rul"]["interval"]["coverage"] == 1
    assert subsets["warm"]["fault"]["mode"]["accuracy"] == pytest.approx(1 / 2)
    classes = [predicted_class(SCORES, TWIN, axis) for axis in TWIN.axes]
    plain = figures(TWIN, parted, SCORES["rul"].to_numpy(), classes)["subsets"]["warm"]
    assert strict_json(plain["rul"]["unclipped"]) == strict_json(subsets["warm"]["rul"]["unclipped"])
    assert plain["fault"]["bearing"]["accuracy"] == 1


def test_a_score_does_not_depend_on_a_label(bundle: Bundle) -> None:
    rows = truncate(fleet_rows(TWIN, assets=3), np.array([20, 60]), TWIN.window.length)
    blind = rows.drop(columns=["rul", "fault_mode", "fault_bearing", "subset"])
    pd.testing.assert_frame_equal(bundle.score(rows), bundle.score(blind))
