"""Health is answered by distances from normal: the graph says what was fitted, what was learnt must earn its place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.table import canonical
from foretwin.predictor.bundle import Bundle
from foretwin.training.candidates.classical import fit_classical
from foretwin.training.candidates.distances import served_distances
from foretwin.training.candidates.features import FeatureSession
from foretwin.training.candidates.graph import Fitted, blend_graph
from foretwin.training.candidates.health_choice import DISTANCES, LinkedDistance, choose_health, either, link_distances
from foretwin.training.candidates.nodes import run_part
from foretwin.training.candidates.out_of_fold import OutOfFold
from foretwin.training.candidates.trained import Trained
from foretwin.training.candidates.weights import Beside, QuestionBlend, even_at, logit_of
from foretwin.training.ensemble import train_members
from support.small_fleet import REMEDY, TRAIN, fleet_rows, fleet_twin, prepared
from support.small_network import choice_of

TWIN = Twin.model_validate(
    fleet_twin("faults").model_dump() | {"faults": {}, "health": {"remedy": REMEDY, "false_alarms": 20}}
)


def features(count: int, seed: int) -> np.ndarray:
    """Features (N, 12) that follow three hidden ones; one never changes."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(count, 3)) @ np.random.default_rng(0).normal(size=(3, 12))
    found = (hidden + generator.normal(0, 0.1, (count, 12))).astype(np.float32)
    found[:, 5] = 3.0
    return found


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("count", [3, 900])
def test_the_graph_says_what_was_fitted(name: str, count: int) -> None:
    normal = features(count, 1)
    near, far = features(200, 2), features(100, 3) * 4
    distance = served_distances(1)[name].fit(normal.astype(np.float64))
    windows = np.concatenate([normal, near, far])
    said = run_part(LinkedDistance(distance, 0.3, 0.7), windows)
    away = np.log(np.maximum(distance(windows.astype(np.float64)), 1e-12))
    np.testing.assert_allclose(said, even_at(away, 0.3, 0.7), rtol=0, atol=1e-6)
    assert said[-100:, 1].mean() >= said[count:-100, 1].mean()


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Development:
    rows = fleet_rows(fleet_twin("faults"), 16)
    return prepared(tmp_path_factory.mktemp("windows"), TWIN, canonical(rows[rows["time"] < 25], TWIN))


@pytest.mark.parametrize(("machines", "knows"), [(6, True), (16, False)])
def test_of_few_runs_what_is_served_knows_the_normal_windows_of_all_folds_and_is_judged_by_those_left_out(
    machines: int, knows: bool, tmp_path: Path
) -> None:
    rows = fleet_rows(fleet_twin("faults"), machines)
    development = prepared(tmp_path, TWIN, canonical(rows[rows["time"] < 25], TWIN))
    one, other = fit_classical(development, TWIN, [], TRAIN)
    assert one.fold != other.fold
    cuts = development.hold_out(one.fold).held_out
    normal = development.histories.faults[cuts, 0] == 0
    x = FeatureSession(one.features, TWIN).at(development.histories, cuts[normal]).astype(np.float64)
    for name in ("principal_components", "kernel_regression"):
        served = np.median(np.log(one.parts[name][HEALTH](x)))
        judged = np.median(one.answers[name][HEALTH][normal, 0])
        assert (served < judged - 1e-4) == knows, "it has seen these windows; they were judged before it had"


@pytest.fixture(scope="module")
def cuts(development: Development) -> OutOfFold:
    parts = link_distances(list(fit_classical(development, TWIN, [], TRAIN)), development, TWIN)
    return OutOfFold.of(development, TWIN, {}, parts)


def doubtful(shares: dict[str, float]) -> OutOfFold:
    """Cuts of 300 assets, each with two of its own and two of a copy; distances that tell a share of the copies."""
    generator = np.random.default_rng(1)
    truth = np.tile([0.0, 0.0, 1.0, 1.0], 300)
    assets = np.repeat(np.arange(600), 2)
    said = {}
    for name, share in shares.items():
        tells = (generator.random(600) < share)[assets] & (truth == 1)
        said[name] = {HEALTH: even_at(generator.normal(-4, 1, len(truth)) + 8 * tells, 0.0, 1.0)}
    return OutOfFold(assets % 5, assets, {HEALTH: truth}, said)


def learnt_of(logits: np.ndarray) -> QuestionBlend:
    return QuestionBlend({"network": 1.0}, even_at(logits, 0.0, 1.0), {"network": 0.1})


def test_at_its_limit_a_distance_is_as_often_beyond_even_as_the_budget_says(cuts: OutOfFold) -> None:
    normal = cuts.truth[HEALTH] == 0
    for name in DISTANCES:
        beyond = cuts.said[name][HEALTH][normal, 1] > 0.5 + 1e-6
        assert beyond.mean() <= alarm_share(TWIN)
        assert cuts.said[name][HEALTH][~normal, 1].mean() > 0.3


def test_what_learnt_nothing_stays_out_and_what_tells_surely_more_stands_beside() -> None:
    generator = np.random.default_rng(2)
    cuts = doubtful({"principal_components": 0.5, "k_means": 0.5, "kernel_regression": 0.5})
    truth = cuts.truth[HEALTH]
    noise = choose_health(cuts, TWIN, learnt_of(generator.normal(0, 1, len(truth))), ())
    assert noise.beside is None
    knows = choose_health(cuts, TWIN, learnt_of(6 * truth - 3 + generator.normal(0, 0.5, len(truth))), ())
    assert knows.beside is not None
    assert knows.errors["blend"] < 0.1 < noise.errors["blend"]
    made = replace(cuts, made=truth == 1)
    maker = choose_health(made, TWIN, learnt_of(6 * truth - 3 + generator.normal(0, 0.5, len(truth))), ())
    assert maker.beside is None, "it knows departures in copies by their maker"
    one = choose_health(cuts, TWIN, None, ("k_means", "kernel_regression"))
    assert one.weights == {"principal_components": 1.0}
    assert choose_health(cuts, TWIN, learnt_of(truth), DISTANCES).weights == {"network": 1.0}


def test_a_single_distance_answers_only_where_it_surely_tells_more() -> None:
    alike = doubtful(dict.fromkeys(DISTANCES, 0.5) | {"k_means": 0.52})
    assert choose_health(alike, TWIN, None, ()).weights == dict.fromkeys(DISTANCES, pytest.approx(1 / 3))
    better = doubtful(dict.fromkeys(DISTANCES, 0.0) | {"k_means": 0.9})
    better.said["k_means"][HEALTH][:] = even_at(logit_of(better.said["k_means"][HEALTH]), -1.5, 1.0)
    for name in ("principal_components", "kernel_regression"):  # so loud that their mean drowns the third
        better.said[name][HEALTH][:] = np.random.default_rng(3).dirichlet([1, 1], len(better.truth[HEALTH]))
    assert choose_health(better, TWIN, None, ()).weights == {"k_means": 1.0}


def test_either_of_two_speaks() -> None:
    one, other = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.4, 0.6], [0.7, 0.3]])
    np.testing.assert_array_equal(either(one, other), [[0.4, 0.6], [0.2, 0.8]])


def test_the_served_graph_takes_the_side_that_speaks(development: Development) -> None:
    parts = link_distances(list(fit_classical(development, TWIN, ["linear"], TRAIN)), development, TWIN)
    weights = {HEALTH: {"principal_components": 0.5, "k_means": 0.5}}
    beside = Beside({"linear": 1.0}, 0.4, 0.8)
    ends = development.cuts[:60]
    windows = development.histories.cut(ends, TWIN.window.length)

    def answered(one: dict[str, float], other: Beside | None) -> np.ndarray:
        graph = blend_graph(Fitted({}, parts), TWIN, {HEALTH: one}, other)
        session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
        return session.run(None, {node.name: getattr(windows, node.name) for node in session.get_inputs()})[0]

    expected = either(answered(weights[HEALTH], None), beside.apply(answered({"linear": 1.0}, None)))
    np.testing.assert_allclose(answered(weights[HEALTH], beside), expected, rtol=0, atol=1e-5)
    assert np.ptp(logit_of(expected)) > 1


@pytest.fixture(scope="module")
def saved(development: Development, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    members = list(train_members(development, TWIN, choice_of(), TRAIN, root / "work"))
    trained = Trained({"network": members}, list(fit_classical(development, TWIN, [], TRAIN)))
    for name in ("bundle", "candidates"):
        (root / name).mkdir()
    record = trained.save(development, TWIN, TRAIN, root / "bundle", root / "candidates")
    assert sum(record["blend"]["weights"][HEALTH].values()) == pytest.approx(1)
    return root


def test_a_twin_without_labels_is_served_by_distances_though_no_candidates_are_listed(
    saved: Path, development: Development
) -> None:
    served = Bundle.load(saved / "bundle")
    assert {path.name for path in (saved / "candidates").iterdir() if path.is_dir()} == {"network", *DISTANCES}
    truth = development.histories.faults[development.cuts, 0]
    windows = development.histories.cut(development.cuts, TWIN.window.length)
    said = served.predict_windows(windows)
    departed = said[HEALTH] == "departed"
    assert departed[truth == 1].mean() > departed[truth == 0].mean() + 0.3
    assert departed[truth == 0].mean() <= 3 * alarm_share(TWIN) + 0.02
