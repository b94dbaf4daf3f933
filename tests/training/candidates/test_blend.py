"""A blend: weights from folds left out, one graph that says what they say, calibrated like what is served."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.dataset.splits import Development
from foretwin.dataset.windows import Histories, last_rows, truncate
from foretwin.errors import TrainingError
from foretwin.predictor.bundle import Bundle
from foretwin.training.candidates.blend import Blended, make_blend, save_blend
from foretwin.training.candidates.classical import FoldParts, fit_classical
from foretwin.training.candidates.graph import blend_graph
from foretwin.training.candidates.nodes import open_session
from foretwin.training.candidates.out_of_fold import OutOfFold
from foretwin.training.candidates.weights import blend_question, loss, mixed, sparse_weights
from foretwin.training.ensemble import Member, train_members
from support.small_fleet import CAP, TRAIN, fleet_rows, fleet_twin, prepared
from support.small_network import choice_of

TWIN = fleet_twin()
CLASSICAL = ["gradient_boosting", "extra_trees", "random_fourier_ridge", "linear"]
PARAMS = TRAIN.model_copy(update={"candidates": ("network", *CLASSICAL)})


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Development:
    return prepared(tmp_path_factory.mktemp("windows"), TWIN, fleet_rows(TWIN))


@pytest.fixture(scope="module")
def members(development: Development, tmp_path_factory: pytest.TempPathFactory) -> list[Member]:
    return list(train_members(development, TWIN, choice_of(), TRAIN, tmp_path_factory.mktemp("work")))


@pytest.fixture(scope="module")
def classical(development: Development) -> list[FoldParts]:
    return list(fit_classical(development, TWIN, CLASSICAL, PARAMS))


@pytest.fixture(scope="module")
def blended(development: Development, members: list[Member], classical: list[FoldParts]) -> Blended:
    return make_blend({"network": members}, classical, development, TWIN, PARAMS)


@pytest.fixture(scope="module")
def saved(blended: Blended, development: Development, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("bundle", "candidates"):
        (root / name).mkdir()
    save_blend(blended, development, TWIN, PARAMS, root / "bundle", root / "candidates")
    return root


def cuts_of(said: dict[str, np.ndarray], truth: np.ndarray, question: str = "rul") -> OutOfFold:
    """Answers of candidates at the cuts of 40 assets in 4 folds."""
    assets = np.repeat(np.arange(40), len(truth) // 40)
    return OutOfFold(assets % 4, assets, {question: truth}, {name: {question: one} for name, one in said.items()})


def test_folds_that_several_processes_fit_are_those_that_one_fits(
    development: Development, classical: list[FoldParts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    monkeypatch.setattr("foretwin.training.candidates.classical.WORTH_A_CORE", 0)
    for one, other in zip(classical, fit_classical(development, TWIN, ["linear"], PARAMS), strict=True):
        assert (other.seed, other.fold) == (one.seed, one.fold)
        for question, answer in other.answers["linear"].items():
            np.testing.assert_allclose(answer, one.answers["linear"][question], rtol=0, atol=1e-6)


def test_the_served_graph_is_the_weighted_sum_of_its_candidates_on_every_window(saved: Path, blended: Blended) -> None:
    rows = truncate(fleet_rows(TWIN), np.arange(300), TWIN.window.length)
    served = Bundle.load(saved / "bundle").score(rows)
    alone = {name: Bundle.load(saved / "candidates" / name) for name in PARAMS.candidates}
    scores = {name: bundle.score(rows) for name, bundle in alone.items()}
    found = blended.questions["rul"]
    said = np.stack([scores[name]["rul"].to_numpy(np.float64) / CAP for name in found.weights], axis=1)
    expected = mixed(said, np.array(list(found.weights.values())), found.power)
    np.testing.assert_allclose(served["rul"] / CAP, expected, rtol=0, atol=1e-5)
    assert served["rul"].std() > 3
    bundle = Bundle.load(saved / "bundle")
    windows = rows.groupby("asset", sort=False)
    few = [bundle.score(part)[list(bundle.score_columns)] for _, part in list(windows)[:60]]
    np.testing.assert_allclose(pd.concat(few), served[list(bundle.score_columns)][:60], rtol=0, atol=1e-4)


def test_each_candidate_says_of_a_fold_what_members_say_that_hold_it_out(
    blended: Blended, development: Development, classical: list[FoldParts], members: list[Member]
) -> None:
    cuts = blended.cuts
    assert list(cuts.said) == list(PARAMS.candidates)
    for fold in development.folds:
        inside = cuts.folds == fold
        np.testing.assert_allclose(cuts.said["network"]["rul"][inside] * CAP, members[fold].predicted, atol=1e-4)
        for name in CLASSICAL:
            np.testing.assert_array_equal(cuts.said[name]["mode"][inside], classical[fold].answers[name]["mode"])
    for name, said in cuts.said.items():
        error = np.sqrt(np.mean((said["rul"] - cuts.truth["rul"]) ** 2))
        assert error < 0.25, f"{name} has learnt nothing"
        np.testing.assert_allclose(said["mode"].sum(axis=1), 1, atol=1e-5)


def test_weights_are_shares_and_none_is_small(blended: Blended) -> None:
    for question in ("rul", "mode", "bearing"):
        weights = blended.questions[question].weights
        assert sum(weights.values()) == pytest.approx(1)
        assert min(weights.values()) >= PARAMS.smallest_weight
        errors = blended.questions[question].errors
        assert errors["blend"] <= min(errors.values()) or list(weights.values()) == [1.0]


def test_a_blend_of_independent_errors_beats_its_parts_and_a_useless_candidate_leaves() -> None:
    generator = np.random.default_rng(1)
    truth = generator.uniform(0, 1, 800)
    said = {name: truth + generator.normal(0, 0.1, 800) for name in ("one", "other")}
    found = blend_question(cuts_of(said | {"noise": generator.uniform(0, 1, 800)}, truth), "rul", 0.05)
    assert set(found.weights) == {"one", "other"}
    assert found.weights["one"] == pytest.approx(0.5, abs=0.08)
    assert found.errors["blend"] < 0.8 * found.errors["one"]


def test_near_the_end_a_candidate_that_is_right_there_counts_more() -> None:
    generator = np.random.default_rng(1)
    truth = generator.uniform(0, 1, 2000)
    early, late = (truth + generator.normal(0, np.where(near, 0.05, 0.15)) for near in (truth > 0.3, truth <= 0.3))
    cuts = cuts_of({"early": early, "late": late}, truth)
    plain, emphasised = (blend_question(replace(cuts, late=share), "rul", 0.0).weights["late"] for share in (0.0, 0.3))
    assert emphasised > plain + 0.1


def blind_to_some(seed: int = 1) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Two candidates of 40 machines that each do not see the end of every fourth, of which they say 0.4 more."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(0, 1, 2000)
    machine = np.repeat(np.arange(40), 50)
    missed = {name: (machine // 4 % 4 == i) & (truth < 0.5) for i, name in enumerate(("one", "other"))}
    said = {name: truth + 0.4 * blind + generator.normal(0, 0.05, 2000) for name, blind in missed.items()}
    return {name: values.clip(0, 1) for name, values in said.items()}, truth


def test_where_each_candidate_misses_other_ends_the_shorter_answer_counts_more() -> None:
    said, truth = blind_to_some()
    found = blend_question(replace(cuts_of(said, truth), late=0.5), "rul", 0.05)
    assert found.power < -1
    late = truth < 0.2
    weighted = mixed(np.stack(list(said.values()), axis=1), np.array(list(found.weights.values())))
    ours, theirs = (one[late] - truth[late] for one in (found.said, weighted))
    assert np.mean(ours) < 0.5 * np.mean(theirs)
    assert np.mean(ours**2) < 0.5 * np.mean(theirs**2)


def test_where_errors_are_even_the_weighted_sum_stays() -> None:
    generator = np.random.default_rng(1)
    truth = generator.uniform(0, 1, 2000)
    said = {name: truth + generator.choice([-0.2, 0.2], 2000) for name in ("one", "other")}
    assert blend_question(cuts_of({name: one.clip(0, 1) for name, one in said.items()}, truth), "rul", 0.05).power == 1


def test_a_mean_of_equal_answers_is_that_answer_and_never_leaves_their_range() -> None:
    generator = np.random.default_rng(1)
    answers, weights = generator.uniform(0, 1, (500, 3)), np.array([0.5, 0.3, 0.2])
    answers[0], answers[1] = (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)
    before = mixed(answers, weights)
    for power in (-1.0, -2.0, -4.0, -8.0):
        said = mixed(answers, weights, power)
        np.testing.assert_allclose(mixed(answers[:, :1].repeat(3, axis=1), weights, power), answers[:, 0], atol=1e-12)
        assert (said >= answers.min(axis=1) - 1e-12).all()
        assert (said <= before + 1e-12).all(), "a lower power leans to the shortest"
        before = said


def test_the_graph_has_the_mean_that_was_chosen(blended: Blended, saved: Path) -> None:
    weights = {one: {"network": 0.6, "linear": 0.4} for one in ("rul", *TWIN.axes)}
    graph = blend_graph(blended.fitted, TWIN, weights, power=-8.0)
    rows = truncate(fleet_rows(TWIN), np.arange(300), TWIN.window.length)
    histories = Histories.from_rows(rows, TWIN)
    windows = histories.cut(last_rows(rows), TWIN.window.length)
    given = {"x": windows.x, "mask": windows.mask, "age": windows.age}
    told = open_session(graph).run(["rul"], given)[0]
    alone = [Bundle.load(saved / "candidates" / name).score(rows)["rul"].to_numpy() for name in ("network", "linear")]
    expected = mixed(np.stack(alone, axis=1) / CAP, np.array([0.6, 0.4]), -8.0)
    np.testing.assert_allclose(told / CAP, expected, rtol=0, atol=1e-5)


def test_a_fold_s_own_truths_do_not_reach_what_the_blend_says_of_it() -> None:
    generator = np.random.default_rng(1)
    truth = generator.uniform(0, 1, 400)
    said = {name: truth + generator.normal(0, 0.1, 400) for name in ("one", "other", "third")}
    before = cuts_of(said, truth)
    other = truth.copy()
    other[before.folds == 2] = generator.uniform(0, 1, int((before.folds == 2).sum()))
    first, second = (blend_question(cuts_of(said, one), "rul", 0.05).said for one in (truth, other))
    np.testing.assert_array_equal(first[before.folds == 2], second[before.folds == 2])
    assert not np.array_equal(first[before.folds != 2], second[before.folds != 2])


def test_the_best_candidate_alone_stays_where_a_blend_would_not_be_better() -> None:
    generator = np.random.default_rng(1)
    truth = generator.uniform(0, 1, 400)
    exact = truth + generator.normal(0, 0.001, 400)
    found = blend_question(cuts_of({"exact": exact, "poor": truth + generator.normal(0, 0.3, 400)}, truth), "rul", 0.05)
    assert found.weights == {"exact": 1.0}
    np.testing.assert_array_equal(found.said, exact)


def test_class_weights_minimise_the_likelihood_of_the_mixture() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 3, 600)
    sure = np.eye(3)[truth] * 0.7 + 0.1
    wrong = np.where(generator.random(600) < 0.3, generator.integers(0, 3, 600), truth)
    answers = np.stack([sure, np.eye(3)[wrong] * 0.94 + 0.02, np.full((600, 3), 1 / 3)], axis=1)
    even = np.full(600, 1 / 600)
    weights = sparse_weights(answers, truth.astype(float), even, 0.0)
    best = loss(np.tensordot(answers, weights, (1, 0)), truth.astype(float), even)
    assert weights.sum() == pytest.approx(1)
    for moved in np.eye(3):
        near = 0.98 * weights + 0.02 * moved
        assert loss(np.tensordot(answers, near, (1, 0)), truth.astype(float), even) >= best - 1e-6


def test_a_graph_that_would_be_too_large_loses_its_weakest_candidate(
    blended: Blended, members: list[Member], classical: list[FoldParts], development: Development
) -> None:
    used = {name for one in blended.questions.values() for name in one.weights}
    limit = PARAMS.model_copy(update={"blend_mb": len(blended.graph) / 1e6 - 1e-5})
    smaller = make_blend({"network": members}, classical, development, TWIN, limit)
    assert len(smaller.graph) < len(blended.graph)
    assert smaller.banned
    assert set(smaller.banned) <= used
    with pytest.raises(TrainingError, match=r"train\.blend_mb"):
        make_blend({"network": members}, [], development, TWIN, PARAMS.model_copy(update={"blend_mb": 1e-4}))


def test_what_was_chosen_from_is_kept(saved: Path, blended: Blended) -> None:
    record = json.loads((saved / "candidates" / "blend.json").read_text())
    assert record["weights"]["rul"] == blended.questions["rul"].weights
    table = pd.read_parquet(saved / "candidates" / "out_of_fold.parquet")
    assert len(table) == len(blended.cuts.folds)
    np.testing.assert_array_equal(table["linear/mode/1"], blended.cuts.said["linear"]["mode"][:, 1])


def test_the_same_candidates_give_the_same_graph(
    blended: Blended, members: list[Member], classical: list[FoldParts], development: Development
) -> None:
    assert make_blend({"network": members}, classical, development, TWIN, PARAMS).graph == blended.graph
