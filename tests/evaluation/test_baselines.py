"""The baselines: each step up the ladder pays on a fleet whose wear is not linear."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.table import read_rows
from foretwin.dataset.windows import Histories, Windows, last_rows
from foretwin.evaluation.baselines import PENALTIES, BaselineTrial, Features, RandomFourierRidge, fit_baselines
from foretwin.metrics import macro_f1, rmse
from support.small_fleet import CAP, QUESTIONS, fleet_rows, fleet_twin, prepared

TWIN = fleet_twin()
NAMES = ["constant", "linear", "gradient_boosting", "extra_trees", "random_fourier_ridge"]


def development_and_test(folder: Path, twin: Twin, assets: int = 24) -> tuple[Development, Windows]:
    development = prepared(folder, twin, fleet_rows(twin, assets))
    test = read_rows(folder / "test.parquet", twin)
    return development, Histories.from_rows(test, twin).cut(last_rows(test), twin.window.length)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """So small a table is fitted faster by one thread than by several that wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Development, Windows]:
    return development_and_test(tmp_path_factory.mktemp("windows"), TWIN)


@pytest.fixture(scope="module")
def predicted(data: tuple[Development, Windows]) -> dict:
    return fit_baselines(*data, TWIN, seed=1)


def test_the_constant_is_the_mean_of_the_capped_rul_and_the_most_frequent_class(data: tuple, predicted: dict) -> None:
    development, test = data
    rul, faults = predicted["constant"].rul, predicted["constant"].faults
    expected = np.minimum(development.histories.rul[development.ends], CAP).mean()
    np.testing.assert_allclose(rul, np.full(len(test), expected), rtol=1e-6)
    for axis, classes in enumerate(faults):
        counts = np.bincount(development.histories.faults[development.ends, axis])
        np.testing.assert_array_equal(classes, np.full(len(test), counts.argmax()))


def test_linear_beats_constant_and_the_others_are_no_worse_than_linear(data: tuple, predicted: dict) -> None:
    _, test = data
    truth = np.minimum(test.rul, CAP)
    constant, linear, *others = (rmse(predicted[name].rul, truth) for name in NAMES)
    assert linear < 0.7 * constant
    assert max(others) <= linear
    for axis, count in enumerate((3, 2)):
        worst, *f1 = [macro_f1(predicted[name].faults[axis], test.faults[:, axis], count) for name in NAMES]
        assert min(f1) > worst + 0.2


def test_every_prediction_is_possible(data: tuple, predicted: dict) -> None:
    _, test = data
    assert list(predicted) == NAMES
    for found in predicted.values():
        assert found.rul.shape == (len(test),)
        assert found.rul.min() >= 0
        assert found.rul.max() <= CAP
        assert found.seconds > 0
        for classes, count in zip(found.faults, (3, 2), strict=True):
            assert classes.dtype == np.int64
            assert set(classes) <= set(range(count))


def test_the_labels_of_the_test_windows_are_not_looked_at(data: tuple, predicted: dict) -> None:
    development, test = data
    blind = replace(test, rul=np.full_like(test.rul, np.nan), faults=np.full_like(test.faults, -1))
    again = fit_baselines(development, blind, TWIN, seed=1, names={"constant", "random_fourier_ridge"})
    assert list(again) == ["constant", "random_fourier_ridge"]
    for name in again:
        np.testing.assert_array_equal(again[name].rul, predicted[name].rul)
        np.testing.assert_array_equal(again[name].faults, predicted[name].faults)


@pytest.mark.parametrize("questions", QUESTIONS)
def test_a_twin_may_ask_for_rul_or_faults_or_both(questions: str, tmp_path: Path) -> None:
    twin = fleet_twin(questions, aged=False)
    result = fit_baselines(*development_and_test(tmp_path, twin, assets=8), twin, seed=1)
    has_rul, has_faults = QUESTIONS[questions]
    for found in result.values():
        assert (found.rul is not None) == has_rul
        assert len(found.faults) == 2 * has_faults


def test_unknown_labels_are_left_out_and_a_question_with_one_answer_gets_it(data: tuple) -> None:
    development, test = data
    histories = development.histories
    half = np.arange(len(histories.rul)) % 2 == 0
    faults = histories.faults.copy()
    faults[:, 0] = np.where(half, -1, 2)  # the only class that was ever seen
    faults[:, 1] = -1
    rul = np.where(half, np.nan, histories.rul).astype(np.float32)
    partly = replace(development, histories=replace(histories, rul=rul, faults=faults))
    result = fit_baselines(partly, test, TWIN, seed=1)
    expected = np.minimum(rul[development.ends], CAP)
    np.testing.assert_allclose(result["constant"].rul, np.nanmean(expected), rtol=1e-6)
    for found in result.values():
        mode, bearing = found.faults
        assert np.isfinite(found.rul).all()
        assert set(mode) == {2}
        assert set(bearing) == {0}, "where nothing is known, healthy is said"


def test_age_is_a_feature_only_where_the_contract_allows_it(data: tuple, tmp_path: Path) -> None:
    development, test = data
    aged = Features(development, TWIN, seed=1)
    older = replace(test, age=test.age + 1)
    ageless = Features(development, fleet_twin(aged=False), seed=1)
    assert not np.array_equal(aged(test), aged(older))
    np.testing.assert_array_equal(ageless(test), ageless(older))
    assert aged(test).shape[1] == ageless(test).shape[1] + 1


def test_extremes_are_features_where_a_window_is_a_whole_cycle(data: tuple) -> None:
    development, test = data
    plain, whole = (Features(development, fleet_twin(whole=kind, aged=False), seed=1) for kind in (False, True))
    full = replace(test, mask=np.ones_like(test.mask))
    table = whole(full)
    channels = 3  # the ballast never changes and is left out
    assert plain(full).shape[1] == 6 * channels + 1
    assert table.shape[1] == (6 + 10 + 2) * channels + 1
    scaled = whole.scaling(torch.from_numpy(full.x))[:, :, [0, 1, 2]].numpy()
    np.testing.assert_array_equal(table[:, -6:-3], scaled.min(axis=1))
    np.testing.assert_array_equal(table[:, -3:], scaled.max(axis=1))


def test_a_channel_that_was_constant_is_no_feature_when_it_moves(data: tuple) -> None:
    development, test = data
    features = Features(development, TWIN, seed=1)
    moved = replace(test, x=test.x + np.array([0, 0, 0, 50], np.float32))
    np.testing.assert_array_equal(features(test), features(moved))


def wave(count: int = 600) -> tuple[np.ndarray, np.ndarray, BaselineTrial]:
    """Features (N, 2) of which the first says all in a wave, what to learn (N,), and a trial on a third of them."""
    x = np.random.default_rng(1).uniform(-2, 2, (count, 2)).astype(np.float32)
    judge = np.arange(count) % 3 == 0
    return x, np.sin(3 * x[:, 0]).astype(np.float64), BaselineTrial(~judge, judge)


def test_the_fourier_ridge_learns_a_wave_that_a_line_cannot_and_sees_its_columns_only() -> None:
    x, y, trial = wave()
    errors = []
    for columns in ([0, 1], [1]):
        ridge = RandomFourierRidge(trial, np.array(columns), seed=1).fit(x, y)
        errors.append(rmse(ridge.predict(x), y))
    line = Ridge().fit(x, y)
    assert errors[0] < 0.1 < rmse(line.predict(x), y)
    assert errors[1] > 0.5, "the second feature says nothing"


def test_the_fourier_ridge_takes_the_settings_that_the_judged_windows_ask_for() -> None:
    x, y, trial = wave()
    for judged, penalty in ((y, min(PENALTIES)), (0 * y, max(PENALTIES))):
        ridge = RandomFourierRidge(trial, np.array([0, 1]), seed=1)
        assert ridge.fit(x, np.where(trial.judge, judged, y)).penalty == penalty


def test_the_fourier_ridge_does_without_a_trial_where_nothing_judges() -> None:
    x, y, trial = wave()
    nobody, line = np.zeros_like(trial.judge), Ridge().fit(x, y)
    for empty in (BaselineTrial(trial.learn, nobody), BaselineTrial(nobody, trial.judge)):
        ridge = RandomFourierRidge(empty, np.array([0, 1]), seed=1).fit(x, y)
        assert rmse(ridge.predict(x), y) < 0.9 * rmse(line.predict(x), y)


@pytest.mark.parametrize(("whole", "unordered"), [(False, 3), (True, 9)])
def test_smooth_features_leave_out_spread_and_extremes_alone(data: tuple, whole: bool, unordered: int) -> None:
    development, test = data
    features = Features(development, fleet_twin(whole=whole), seed=1)
    full = replace(test, mask=np.ones_like(test.mask))
    table, backwards = features(full), features(replace(full, x=full.x[:, ::-1].copy()))
    same = np.isclose(table, backwards, atol=1e-4).all(axis=0)
    smooth = features.smooth()
    # Read backwards, a window keeps its mean, share of rows and age; and its spread and extremes, which are not smooth.
    assert same[smooth].sum() == 3 + 2
    assert same.sum() == 3 + 2 + unordered
    assert len(smooth) == table.shape[1] - unordered
