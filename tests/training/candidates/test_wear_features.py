"""Features of wear: the graph says what the module says, and a candidate learns from them in training as in serving."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.splits import Development, prepare
from foretwin.errors import TrainingError
from foretwin.project.params import PrepareParams
from foretwin.sources import pump
from foretwin.training.candidates import classical
from foretwin.training.candidates.classical import FoldParts, fit_classical
from foretwin.training.candidates.features import FeatureSession
from foretwin.training.candidates.graph import WEAR, Fitted, blend_graph
from foretwin.training.candidates.linear import LinearPart
from foretwin.training.candidates.nodes import Part, open_session
from foretwin.training.candidates.trained import train_networks
from foretwin.training.candidates.wear_features import MOST_LEFT, PHYSICS, WearFeatures
from support.small_fleet import TRAIN, fleet_rows, fleet_twin, prepared

ROOT = Path(__file__).parents[3]
PREPARE = PrepareParams(test_share=0.25, folds=2, cuts=10, seed=1)
NAMES = ["linear", PHYSICS]
STATISTICS = 6 * 3 + 1  # mean, three recent means, spread and slope of three parts; share of rows
NOW = slice(STATISTICS, STATISTICS + 3)  # of the line that forgets quickly
SOONEST = STATISTICS + 10


@pytest.fixture(scope="module")
def contract() -> Twin:
    twin = load_twin(ROOT / "data" / "pump" / "twin.yaml")
    return twin.model_copy(update={"source": twin.source.model_copy(update={"assets": 16})})


@pytest.fixture(scope="module")
def development(contract: Twin, tmp_path_factory: pytest.TempPathFactory) -> Development:
    folder = tmp_path_factory.mktemp("pump")
    pump.fetch_pump(contract, folder)
    prepare(pump.adapt_pump(contract, folder), contract, PREPARE, folder)
    return Development.load(folder, contract, PREPARE)


@pytest.fixture(scope="module")
def session(contract: Twin) -> FeatureSession:
    return FeatureSession(WearFeatures(contract), contract)


@pytest.fixture(scope="module")
def parts(development: Development, contract: Twin) -> list[FoldParts]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(classical, "MOST_WINDOWS", 1000)
        return list(fit_classical(development, contract, NAMES, TRAIN))


@pytest.fixture(scope="module")
def graphs(parts: list[FoldParts], contract: Twin) -> dict[str, bytes]:
    """The graphs of a blend of both candidates, and of each alone."""
    weights = {"both": {PHYSICS: 0.25, "linear": 0.75}, **{name: {name: 1.0} for name in NAMES}}
    questions = ("rul", *contract.axes)
    return {
        name: blend_graph(Fitted({}, parts), contract, dict.fromkeys(questions, given))
        for name, given in weights.items()
    }


def last_hours(development: Development) -> np.ndarray:
    """The last rows of the pumps that were seen to fail."""
    return np.flatnonzero(development.histories.rul == 0)


def test_the_graph_says_what_the_module_says_in_any_batch(
    contract: Twin, development: Development, session: FeatureSession
) -> None:
    ends = development.ends[::40]
    windows = development.histories.cut(ends, contract.window.length)
    assert (windows.mask.sum(axis=1) < contract.window.length).any(), "short windows too"
    with torch.inference_mode():
        given = (torch.from_numpy(values) for values in (windows.x, windows.mask, windows.age))
        expected = WearFeatures(contract)(*given).numpy()
    together = session.at(development.histories, ends)
    np.testing.assert_allclose(together, expected, rtol=0, atol=1e-4)
    alone = np.concatenate([session.at(development.histories, ends[i : i + 1]) for i in range(len(ends))])
    np.testing.assert_array_equal(together, alone)
    assert np.isfinite(together).all()
    assert (together.std(axis=0) > 0).all(), "the features must vary, or agreement proves nothing"


def test_a_part_is_nearly_used_up_when_a_pump_fails_and_hardly_when_it_is_new(
    development: Development, session: FeatureSession
) -> None:
    failed = last_hours(development)
    at_the_end = session.at(development.histories, failed)
    most = at_the_end[:, NOW].max(axis=1)
    assert len(failed) > 5
    assert np.abs(most - 1).max() < 0.3
    assert np.median(np.abs(most - 1)) < 0.1
    assert np.median(at_the_end[:, SOONEST]) < 15, "hours left at the present rate"
    new = session.at(development.histories, np.unique(development.histories.first) + 12)
    assert new[:, NOW].max(axis=1).mean() < 0.35
    assert np.median(new[:, SOONEST]) > 0.5 * MOST_LEFT


def test_a_row_without_a_reading_counts_as_padding_and_a_pump_at_rest_breaks_nothing(
    contract: Twin, development: Development, session: FeatureSession
) -> None:
    histories, end = development.histories, last_hours(development)[:1]
    names = contract.channel_names
    missing, resting, short = (histories.values.copy() for _ in range(3))
    missing[end - 3, names.index("flow")] = np.nan
    resting[end - 3] = 0
    short[end - 3, names.index("vibration")] = 20  # which shows no part's wear
    whole = session.at(histories, end)
    without = session.at(replace(histories, values=missing), end)
    still = session.at(replace(histories, values=resting), end)
    assert np.isfinite([without, still]).all()
    assert not np.array_equal(without, whole)
    np.testing.assert_allclose(without[:, NOW], whole[:, NOW], atol=0.1)
    np.testing.assert_array_equal(session.at(replace(histories, values=short), end), whole)


def test_a_blend_serves_what_the_candidate_said_in_training(
    contract: Twin, development: Development, parts: list[FoldParts], graphs: dict[str, bytes], session: FeatureSession
) -> None:
    histories, cap = development.histories, contract.rul.cap
    windows = histories.cut(development.cuts, contract.window.length)
    served = {}
    for name, graph in graphs.items():
        opened = open_session(graph)
        served[name] = opened.run(None, {node.name: getattr(windows, node.name) for node in opened.get_inputs()})
    own = [_told(one.parts[PHYSICS]["rul"], session.at(histories, development.cuts)) for one in parts]
    np.testing.assert_allclose(served[PHYSICS][0], np.mean(own, axis=0) * cap, rtol=0, atol=1e-4 * cap)
    for both, one, other in zip(served["both"], served[PHYSICS], served["linear"], strict=True):
        np.testing.assert_allclose(both, 0.25 * one + 0.75 * other, rtol=0, atol=1e-4 * cap)
    for fold, said in enumerate(own):
        inside = development.fold[development.cuts] == fold
        np.testing.assert_allclose(parts[fold].answers[PHYSICS]["rul"], said[inside], rtol=0, atol=1e-4)
        near = inside & (windows.rul <= 24)
        assert near.sum() > 2
        assert np.abs(said[near] * cap - windows.rul[near]).mean() < 15, "nothing has been learnt of the late hours"


def _told(part: Part, x: np.ndarray) -> np.ndarray:
    """The weighted sum in double precision: shares of the cap (N,)."""
    assert isinstance(part, LinearPart)
    return (part.mapped.apply(x) @ part.weights + part.offset)[:, 0].clip(0, 1)


def test_only_the_graph_of_the_candidate_reads_wear_and_it_reads_nothing_else(graphs: dict[str, bytes]) -> None:
    outputs = {
        name: {made for node in onnx.load_from_string(graph).graph.node for made in node.output}
        for name, graph in graphs.items()
    }
    assert {name: WEAR in made for name, made in outputs.items()} == {"both": True, "linear": False, PHYSICS: True}
    assert {name: "features/0" in made for name, made in outputs.items()} == {
        "both": True,
        "linear": True,
        PHYSICS: False,
    }


def test_a_machine_whose_physics_is_not_known_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    twin = fleet_twin()
    asked = TRAIN.model_copy(update={"candidates": ("network", PHYSICS)})
    small = prepared(tmp_path, twin, fleet_rows(twin, assets=8))
    told = "train.candidates: physics_ridge: fleet: channel commanded_speed is missing, .*; or leave it out"
    with pytest.raises(TrainingError, match=told):
        next(iter(train_networks(small, twin, {}, asked, tmp_path)))
    with pytest.raises(TrainingError, match=told):
        list(fit_classical(small, twin, [PHYSICS], asked))
