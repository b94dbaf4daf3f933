"""What scikit-learn fitted, ONNX nodes answer: trees leaf by leaf, sums to rounding, from features of any batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.training.candidates.features import FeatureSession, WindowFeatures
from foretwin.training.candidates.forest import boosted, extremely_random
from foretwin.training.candidates.linear import FeatureMap, constant_part, logistic_part, ridge_part
from foretwin.training.candidates.nodes import Part, run_part
from foretwin.training.encoders import WindowStatistics
from foretwin.training.scaling import fit_scaling
from support.small_fleet import fleet_rows, fleet_twin, gappy_rows, gappy_twin, prepared

CLASSES = 4
BOOSTING = {"max_iter": 30, "max_leaf_nodes": 16, "random_state": 1}
TREES = {"n_estimators": 10, "min_samples_leaf": 3, "random_state": 1}


def table(count: int, known: tuple[int, ...] = (0, 1, 3)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, 5), a target that depends on them, and classes of which some never occur."""
    generator = np.random.default_rng(1)
    x = generator.normal(0, 3, (count, 5)).astype(np.float32)
    y = np.sin(x[:, 0]) + 0.3 * x[:, 1] + generator.normal(0, 0.1, count)
    return x, y, np.array(known)[np.digitize(y, np.linspace(-1, 1, len(known) - 1))]


def everywhere(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Probabilities of the known classes, in their places among all of them."""
    full = np.zeros((len(probabilities), CLASSES))
    full[:, classes] = probabilities
    return full


def beside_thresholds(model: HistGradientBoostingRegressor, x: np.ndarray) -> np.ndarray:
    """Windows whose features lie on, just below and just above each threshold of the trees."""
    nodes = np.concatenate([stage[0].nodes for stage in model._predictors])
    nodes = nodes[~nodes["is_leaf"].astype(bool)]
    near = np.repeat(x[:1], 3 * len(nodes), axis=0)
    for side, toward in enumerate((-np.inf, 0, np.inf)):
        at = nodes["num_threshold"].astype(np.float32)
        moved = at if toward == 0 else np.nextafter(at, np.float32(toward))
        near[side::3][np.arange(len(nodes)), nodes["feature_idx"]] = moved
    return near


def test_boosted_trees_take_each_window_to_the_same_leaf() -> None:
    x, y, _ = table(2000)
    model = HistGradientBoostingRegressor(**BOOSTING).fit(x, y)
    windows = np.concatenate([table(500)[0], beside_thresholds(model, x)])
    said = run_part(boosted(model), windows)[:, 0]
    np.testing.assert_allclose(said, model.predict(windows), rtol=0, atol=2e-6)
    assert np.ptp(said) > 1


@pytest.mark.parametrize("known", [(0, 1, 3), (1, 2), (0, 1, 2, 3)])
def test_boosted_classes_have_the_same_probabilities(known: tuple[int, ...]) -> None:
    x, _, classes = table(1000, known)
    model = HistGradientBoostingClassifier(**BOOSTING).fit(x, classes)
    said = run_part(boosted(model, CLASSES), x)
    np.testing.assert_allclose(said, everywhere(model.predict_proba(x), model.classes_), rtol=0, atol=2e-6)


def test_extra_trees_have_the_same_mean() -> None:
    x, y, classes = table(1000)
    numbers = ExtraTreesRegressor(**TREES).fit(x, y)
    np.testing.assert_allclose(run_part(extremely_random(numbers), x)[:, 0], numbers.predict(x), rtol=0, atol=2e-6)
    names = ExtraTreesClassifier(**TREES).fit(x, classes)
    said = run_part(extremely_random(names, CLASSES), x)
    np.testing.assert_allclose(said, everywhere(names.predict_proba(x), names.classes_), rtol=0, atol=2e-6)


def test_a_tree_that_never_splits_is_its_leaf() -> None:
    x, y, _ = table(30)
    model = HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=25).fit(x, y)
    assert all(stage[0].get_n_leaf_nodes() == 1 for stage in model._predictors)
    np.testing.assert_allclose(run_part(boosted(model), x)[:, 0], model.predict(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("components", [0, 200])
@pytest.mark.parametrize("known", [(0, 1, 3), (1, 2)])
def test_linear_parts_say_what_scikit_learn_says(components: int, known: tuple[int, ...]) -> None:
    x, y, classes = table(500, known)
    x[:, 4] = 7.0  # a feature that never changes
    mapped = FeatureMap.fit(x, np.array([0, 1, 3, 4]), components, 0.3, seed=1)
    z = mapped.apply(x)
    assert np.isfinite(z).all()
    ridge = Ridge(alpha=0.1).fit(z, y)  # as the candidates' penalties: with hardly any, single numbers would not do
    np.testing.assert_allclose(run_part(ridge_part(mapped, ridge), x)[:, 0], ridge.predict(z), rtol=0, atol=1e-4)
    logistic = LogisticRegression(max_iter=50).fit(z, classes)
    said = run_part(logistic_part(mapped, logistic, CLASSES), x)
    np.testing.assert_allclose(said, everywhere(logistic.predict_proba(z), logistic.classes_), rtol=0, atol=1e-4)


def test_a_constant_part_answers_one_thing() -> None:
    part: Part = constant_part(np.array([0.25, 0.75]))
    np.testing.assert_array_equal(run_part(part, table(3)[0]), [[0.25, 0.75]] * 3)


def session_of(twin: Twin, development: Development, reach: int) -> FeatureSession:
    scaling = fit_scaling(development.histories, np.arange(len(development.fold)), twin, seed=1)
    return FeatureSession(WindowFeatures(scaling, twin, reach), twin)


@pytest.mark.parametrize("kind", ["life", "cycle", "gappy"])
def test_features_are_the_same_numbers_in_any_batch(kind: str, tmp_path: Path) -> None:
    twin = gappy_twin() if kind == "gappy" else fleet_twin(whole=kind == "cycle")
    development = prepared(tmp_path, twin, (gappy_rows if kind == "gappy" else fleet_rows)(twin, assets=8))
    session = session_of(twin, development, reach=10)
    ends = development.ends[:300]
    together = session.at(development.histories, ends)
    alone = np.concatenate([session.at(development.histories, ends[i : i + 1]) for i in range(len(ends))])
    np.testing.assert_array_equal(together, alone)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert (together.std(axis=0) > 0).mean() > 0.5, "the features must vary, or agreement proves nothing"


def test_the_features_are_the_statistics_of_the_network_s_own_encoder(tmp_path: Path) -> None:
    twin = fleet_twin(aged=False)
    development = prepared(tmp_path, twin, fleet_rows(twin, assets=8))
    scaling = fit_scaling(development.histories, np.arange(len(development.fold)), twin, seed=1)
    windows = development.histories.cut(development.ends[:200], 10)
    x, mask = torch.from_numpy(windows.x), torch.from_numpy(windows.mask)
    features = WindowFeatures(scaling, twin, 10)
    with torch.inference_mode():
        moving = (features.scaling(x) * mask[:, :, None])[:, :, :3]
        expected = WindowStatistics(10, 0)(moving, mask)
        np.testing.assert_allclose(features(x, mask, mask[:, 0]), expected, rtol=0, atol=1e-4)


def test_features_see_no_row_beyond_their_look_back_and_no_channel_that_never_changes(tmp_path: Path) -> None:
    twin = fleet_twin()
    development = prepared(tmp_path, twin, fleet_rows(twin, assets=8))
    histories = development.histories
    end = np.flatnonzero(histories.rows_so_far() == 20)[:1]
    older, ballast = histories.values.copy(), histories.values.copy()
    older[end - 5, :3] += 5
    ballast[:, 3] += 5
    far, near = (session_of(twin, development, reach) for reach in (10, 5))
    assert not np.array_equal(far.at(replace(histories, values=older), end), far.at(histories, end))
    np.testing.assert_array_equal(near.at(replace(histories, values=older), end), near.at(histories, end))
    np.testing.assert_array_equal(far.at(replace(histories, values=ballast), end), far.at(histories, end))
