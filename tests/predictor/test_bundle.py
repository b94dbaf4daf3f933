"""The bundle's one `score`, which depends on the asked machine's readings alone."""

import numpy as np
import pandas as pd
import pytest

from foretwin.dataset import windows as dataset_windows
from foretwin.dataset.table import canonical
from foretwin.errors import BadInput, BundleError
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.inputs import read_frame
from foretwin.predictor.rul_intervals import RulIntervals
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_network, tiny_reference, tiny_twin

TWIN = tiny_twin()
KEY = ["asset", "run", "time", "rows"]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    save_tiny_bundle(folder, TWIN)
    return Bundle.load(folder)


def numbers(scores: pd.DataFrame, bundle: Bundle) -> np.ndarray:
    return scores[list(bundle.score_columns)].to_numpy()


def test_a_score_is_what_the_network_says_of_the_last_window(bundle):
    rows = random_rows(TWIN, {"a": 12, "b": 5})
    scores = bundle.score(rows)
    weights = np.random.default_rng(1).normal(0, 3, (3, 1)).astype(np.float32)
    for row, (_, part) in zip(scores.itertuples(), rows.groupby("asset"), strict=True):
        mean = part[list(TWIN.channel_names)].tail(8).to_numpy().mean(axis=0)
        assert row.rul == pytest.approx((60 + mean @ weights)[0] - 0.1 * part["time"].max(), abs=1e-4)
    assert scores[KEY].to_numpy().tolist() == [["a", 1, 12, 8], ["b", 1, 5, 5]]


def test_probabilities_of_an_axis_add_up_to_one(bundle):
    scores = bundle.score(random_rows(TWIN, {f"a{i}": 4 for i in range(20)}))
    assert set(bundle.score_columns) == set(scores.columns) - {*KEY, *TWIN.axes, "warnings"}
    for columns in (["p_mode_healthy", "p_mode_wear", "p_mode_leak"], ["p_bearing_good", "p_bearing_worn"]):
        np.testing.assert_allclose(scores[columns].sum(axis=1), 1, atol=1e-6)
        assert np.ptp(scores[columns[0]]) > 0.01, "the assets must differ, or agreement proves nothing"


def test_probabilities_are_calibrated_and_an_answer_is_a_class_or_unknown(tmp_path):
    network, reference = tiny_network(TWIN), tiny_reference(TWIN)
    rows = random_rows(TWIN, {f"a{i}": 4 for i in range(50)})
    scores = []
    for name, calibration in [("plain", FaultCalibration(1.0, 0.0, 0.9)), ("sharp", FaultCalibration(0.25, 0.5, 0.9))]:
        (tmp_path / name).mkdir()
        rul = RulIntervals(0.9, (0.0,), (1.0,), (1.0,))
        save_bundle(tmp_path / name, TWIN, network, rul, reference, dict.fromkeys(TWIN.axes, calibration))
        scores.append(Bundle.load(tmp_path / name).score(rows))
    plain, sharp = scores
    classes = ["healthy", "wear", "leak"]
    columns = [f"p_mode_{name}" for name in classes]
    powers = plain[columns].to_numpy() ** 4
    np.testing.assert_allclose(sharp[columns], powers / powers.sum(axis=1, keepdims=True), rtol=0, atol=1e-6)
    best = np.array(classes)[plain[columns].to_numpy().argmax(axis=1)]
    assert plain["mode"].tolist() == best.tolist()
    sure = sharp[columns].to_numpy().max(axis=1) >= 0.5
    assert sharp["mode"].tolist() == np.where(sure, best, "unknown").tolist()
    assert set(sharp["mode"]) > {"unknown"}, "some must be answered, or it proves nothing"
    assert list(sharp.columns[-8:]) == ["mode", *columns, "bearing", "p_bearing_good", "p_bearing_worn", "warnings"]


def test_the_interval_holds_the_prediction_within_0_and_the_cap(bundle):
    rows = random_rows(TWIN, {f"a{i}": 4 for i in range(300)})
    rows["c1"] *= 50
    scores = bundle.score(rows)
    assert scores["rul"].min() == 0
    assert scores["rul"].max() == 100
    assert ((scores["rul_low"] <= scores["rul"]) & (scores["rul"] <= scores["rul_high"])).all()
    assert scores["rul_low"].min() >= 0
    assert scores["rul_high"].max() <= 100


@pytest.mark.parametrize(("rul", "faults"), [(True, False), (False, True)])
def test_a_score_has_no_column_for_what_the_twin_does_not_have(rul, faults, tmp_path):
    twin = tiny_twin(rul=rul, faults=faults)
    save_tiny_bundle(tmp_path, twin)
    assert (tmp_path / "calibration.json").exists() is rul
    columns = Bundle.load(tmp_path).score(random_rows(twin, {"a": 4})).columns
    assert ("rul" in columns) is rul
    assert any(name.startswith("p_") for name in columns) is faults
    assert ("mode" in columns) is faults
    assert (tmp_path / "fault_calibration.json").exists() is faults


def test_of_several_runs_the_last_one_counts_and_none_of_the_earlier_ones_is_seen(bundle):
    first, second = random_rows(TWIN, {"a": 9}, seed=1), random_rows(TWIN, {"a": 3}, seed=2).assign(run=2)
    scores = bundle.score(pd.concat([first, second], ignore_index=True))
    assert scores[KEY].to_numpy().tolist() == [["a", 2, 3, 3]]
    np.testing.assert_array_equal(numbers(scores, bundle), numbers(bundle.score(second), bundle))


def test_more_history_than_the_window_changes_nothing(bundle):
    rows = random_rows(TWIN, {"a": 30})
    assert bundle.score(rows).equals(bundle.score(rows.tail(8)))
    assert not bundle.score(rows.tail(7)).equals(bundle.score(rows.tail(8)))


def test_warnings_tell_a_short_history_a_new_range_and_the_cap(bundle):
    rows = random_rows(TWIN, {"short": 5, "far": 8, "new": 8, "plain": 8})
    rows[list(TWIN.channel_names)] = rows[list(TWIN.channel_names)].clip(-3, 3)  # the range that it was trained on
    rows.loc[rows.index[rows["asset"] == "far"][[2, 5]], ["c2", "speed"]] = 3.5
    rows.loc[rows["asset"] == "new", "time"] -= 1000  # this network says 0.1 h more for each hour less
    answers = bundle.answer(read_frame(rows, TWIN)).frame()  # without the guards, which take no time below 0
    warnings = dict(zip(*answers[["asset", "warnings"]].to_numpy().T, strict=True))
    assert warnings["plain"] == []
    assert warnings["short"] == ["short_history: 5 of 8 rows"]
    assert warnings["far"] == ["out_of_training_range: speed", "out_of_training_range: c2"]
    assert warnings["new"] == ["rul_at_cap: 100 h or more"]


def test_a_reading_outside_the_window_does_not_warn(bundle):
    rows = random_rows(TWIN, {"a": 9})
    rows[list(TWIN.channel_names)] = 0.5
    rows.loc[0, "c1"] = -4
    assert bundle.score(rows)["warnings"].tolist() == [[]]
    assert bundle.score(rows.head(8))["warnings"].tolist() == [["out_of_training_range: c1"]]


def test_the_order_of_columns_does_not_matter(bundle):
    rows = random_rows(TWIN, {"a": 12, "b": 5})
    assert bundle.score(rows[sorted(rows.columns, reverse=True)]).equals(bundle.score(rows))


def test_labels_and_other_columns_cannot_change_a_score(bundle):
    rows = random_rows(TWIN, {"a": 12, "b": 5})
    expected = bundle.score(rows)
    table = canonical(rows, TWIN)
    for rul, fault in [(0, 0), (99, 2), (np.nan, -1)]:
        assert bundle.score(table.assign(rul=np.float32(rul), fault_mode=np.int8(fault))).equals(expected)
    assert bundle.score(rows.assign(rul="soon", fault_mode=None, note="x")).equals(expected)


def test_scores_do_not_depend_on_which_other_assets_are_in_the_call(bundle, monkeypatch):
    monkeypatch.setattr(dataset_windows, "AT_ONCE", 64)
    rows = random_rows(TWIN, {f"a{i:03}": 2 + i % 11 for i in range(300)})
    together = bundle.score(rows)
    assert len(together) == 300
    alone = pd.concat([bundle.score(part) for _, part in rows.groupby("asset")], ignore_index=True)
    pd.testing.assert_frame_equal(together[[*KEY, "warnings"]], alone[[*KEY, "warnings"]])
    np.testing.assert_allclose(numbers(together, bundle), numbers(alone, bundle), rtol=0, atol=1e-6 * 100)
    assert np.ptp(together["rul"]) > 5


def test_more_assets_than_are_in_memory_at_once_are_scored_in_order(bundle):
    assets = dataset_windows.AT_ONCE + 7
    rows = random_rows(TWIN, {f"a{i}": 2 for i in range(assets)})
    scores = bundle.score(rows)
    assert scores["asset"].tolist() == [f"a{i}" for i in range(assets)]
    ends = bundle.score(rows[rows["asset"].isin(["a0", f"a{assets - 1}"])])
    np.testing.assert_allclose(numbers(scores.iloc[[0, -1]], bundle), numbers(ends, bundle), rtol=0, atol=1e-4)


def test_scoring_changes_nothing_of_its_input(bundle):
    rows = random_rows(TWIN, {"a": 12, "b": 5})
    before = rows.copy()
    scores = bundle.score(rows)
    scores.loc[:, "asset"] = "changed"
    scores.loc[:, "time"] = -1.0
    pd.testing.assert_frame_equal(rows, before)


def test_the_number_types_of_pandas_are_all_read(bundle):
    rows = random_rows(TWIN, {"a": 5}).assign(c1=[1, 2, 3, 4, 5])
    expected = bundle.score(rows)
    for dtype in ("float32", "int8", "uint16", "Int64", "Float64", "int64[pyarrow]"):
        np.testing.assert_array_equal(
            numbers(bundle.score(rows.astype({"c1": dtype})), bundle), numbers(expected, bundle)
        )


def changed(name: str, value: object, row: int = 6) -> pd.DataFrame:
    """Two assets of five rows, the second of which has that value in its second row."""
    rows = random_rows(TWIN, {"a": 5, "b": 5})
    if not isinstance(value, float):
        rows = rows.astype({name: "object"})
    rows.loc[row, name] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "field", "reason"),
    [
        (random_rows(TWIN, {"a": 5})[:0], "rows", "there is none to score"),
        (random_rows(TWIN, {"a": 5}).drop(columns="c1"), "c1", "this column is missing"),
        (random_rows(TWIN, {"a": 5}).drop(columns="run"), "run", "this column is missing"),
        (random_rows(TWIN, {"a": 5}).drop(columns="time"), "time", "this column is missing"),
        (changed("c2", np.nan), "c2", "is not finite for asset b in row 7"),
        (changed("c2", np.inf), "c2", "is not finite for asset b in row 7"),
        (changed("c2", 1e39), "c2", "is not finite for asset b in row 7"),
        (changed("speed", "fast"), "speed", "holds something other than numbers"),
        (changed("speed", None), "speed", "holds something other than numbers"),
        (random_rows(TWIN, {"a": 5}).assign(c1="1.5"), "c1", "holds something other than numbers"),
        (random_rows(TWIN, {"a": 5}).assign(c1=True), "c1", "holds something other than numbers"),
        (random_rows(TWIN, {"a": 5}).assign(time=pd.Timestamp("2024-01-01")), "time", "other than numbers"),
        (changed("time", np.nan), "time", "is not finite for asset b in row 7"),
        (changed("time", 1.0), "time", "does not increase for asset b in row 7"),
        (changed("time", 0.5), "time", "does not increase for asset b in row 7"),
        (random_rows(TWIN, {"a": 5}).assign(run=np.nan), "run", "holds something other than whole numbers"),
        (random_rows(TWIN, {"a": 5}).assign(run="first"), "run", "holds something other than whole numbers"),
        (changed("asset", None), "asset", "has no name in row 7"),
        (random_rows(TWIN, {"a": 5, "b": 5}).iloc[[0, 1, 5, 6, 2, 3]], "asset", "the rows of a are not contiguous"),
        (random_rows(TWIN, {"a": 4}).assign(run=[1, 2, 1, 2]), "run", "the rows of a run are not contiguous"),
        (random_rows(TWIN, {"a": 5, "b": 1}), "assets.b", "has 1 rows, at least 2 are needed"),
        (random_rows(TWIN, {"a": 5}).assign(run=[1, 1, 1, 1, 2]), "assets.a", "has 1 rows, at least 2 are needed"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_field(bundle, rows, field, reason):
    with pytest.raises(BadInput) as error:
        bundle.score(rows)
    assert error.value.field == field
    assert reason in error.value.reason


def test_a_prediction_that_is_not_finite_is_never_given(bundle):
    rows = random_rows(TWIN, {"a": 5, "b": 5})
    rows.loc[5:, "c1"], rows.loc[5:, "c2"] = 3e38, -3e38
    with pytest.raises(BundleError, match="bundle of pump: rul is not finite for b"):
        bundle.answer(read_frame(rows, TWIN))
    assert len(bundle.score(rows[:5])) == 1
