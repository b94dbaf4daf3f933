"""The baselines: each step up the ladder pays on a fleet whose wear is not linear."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_fleet import CAP, QUESTIONS, fleet_rows, fleet_twin, prepared
from threadpoolctl import threadpool_limits

from foretwin.baselines import Features, fit_and_predict
from foretwin.contract import Twin
from foretwin.metrics import macro_f1, rmse
from foretwin.rows import read_rows
from foretwin.splits import Development
from foretwin.windows import Histories, Windows, last_rows

TWIN = fleet_twin()
NAMES = ["constant", "linear", "gradient_boosting"]


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
    return fit_and_predict(*data, TWIN, seed=1)


def test_the_constant_is_the_mean_of_the_capped_rul_and_the_most_frequent_class(data: tuple, predicted: dict) -> None:
    development, test = data
    rul, faults = predicted["constant"]
    expected = np.minimum(development.histories.rul[development.ends], CAP).mean()
    np.testing.assert_allclose(rul, np.full(len(test), expected), rtol=1e-6)
    for axis, classes in enumerate(faults):
        counts = np.bincount(development.histories.faults[development.ends, axis])
        np.testing.assert_array_equal(classes, np.full(len(test), counts.argmax()))


def test_linear_beats_constant_and_boosting_is_no_worse_than_linear(data: tuple, predicted: dict) -> None:
    _, test = data
    truth = np.minimum(test.rul, CAP)
    constant, linear, boosted = (rmse(predicted[name][0], truth) for name in NAMES)
    assert linear < 0.7 * constant
    assert boosted <= linear
    for axis, count in enumerate((3, 2)):
        f1 = [macro_f1(predicted[name][1][axis], test.faults[:, axis], count) for name in NAMES]
        assert f1[1] > f1[0] + 0.2
        assert f1[2] > f1[0] + 0.2


def test_every_prediction_is_possible(data: tuple, predicted: dict) -> None:
    _, test = data
    assert list(predicted) == NAMES
    for rul, faults in predicted.values():
        assert rul.shape == (len(test),)
        assert rul.min() >= 0
        assert rul.max() <= CAP
        for classes, count in zip(faults, (3, 2), strict=True):
            assert classes.dtype == np.int64
            assert set(classes) <= set(range(count))


def test_the_labels_of_the_test_windows_are_not_looked_at(data: tuple, predicted: dict) -> None:
    development, test = data
    blind = replace(test, rul=np.full_like(test.rul, np.nan), faults=np.full_like(test.faults, -1))
    again = fit_and_predict(development, blind, TWIN, seed=1)
    for name in NAMES:
        np.testing.assert_array_equal(again[name][0], predicted[name][0])
        np.testing.assert_array_equal(again[name][1], predicted[name][1])


@pytest.mark.parametrize("questions", QUESTIONS)
def test_a_twin_may_ask_for_rul_or_faults_or_both(questions: str, tmp_path: Path) -> None:
    twin = fleet_twin(questions, aged=False)
    result = fit_and_predict(*development_and_test(tmp_path, twin, assets=8), twin, seed=1)
    has_rul, has_faults = QUESTIONS[questions]
    for rul, faults in result.values():
        assert (rul is not None) == has_rul
        assert len(faults) == 2 * has_faults


def test_unknown_labels_are_left_out_and_a_question_with_one_answer_gets_it(data: tuple) -> None:
    development, test = data
    histories = development.histories
    half = np.arange(len(histories.rul)) % 2 == 0
    faults = histories.faults.copy()
    faults[:, 0] = np.where(half, -1, 2)  # the only class that was ever seen
    faults[:, 1] = -1
    rul = np.where(half, np.nan, histories.rul).astype(np.float32)
    partly = replace(development, histories=replace(histories, rul=rul, faults=faults))
    result = fit_and_predict(partly, test, TWIN, seed=1)
    expected = np.minimum(rul[development.ends], CAP)
    np.testing.assert_allclose(result["constant"][0], np.nanmean(expected), rtol=1e-6)
    for rul_predicted, (mode, bearing) in result.values():
        assert np.isfinite(rul_predicted).all()
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
