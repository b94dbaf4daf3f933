"""Contributions against the closed form, against their definition, and against what the served `score` says."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import last_rows
from foretwin.errors import BadInput
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.inputs import read_frame
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.predictor.shapley import MOST_EXACT, Game, explain, leading_columns, shapley_values, values_by_orders
from foretwin.training.ensemble import regimes_of
from foretwin.training.onnx import to_onnx
from foretwin.training.trainer import fit
from support.small_fleet import CAP, fleet_rows, fleet_twin, prepared
from support.small_network import BUDGET, choice_of
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_twin

TWIN = tiny_twin(channels=4)
WEIGHTS = np.random.default_rng(1).normal(0, 3, (4, 1)).astype(np.float32)[:, 0]  # of tiny_network's RUL


def saved(folder: Path, twin: Twin, bias: float = 60) -> Bundle:
    folder.mkdir(parents=True, exist_ok=True)
    save_tiny_bundle(folder, twin, bias=bias)
    return Bundle.load(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return saved(tmp_path_factory.mktemp("bundle"), TWIN)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return random_rows(TWIN, {"a": 12})


def with_setting(twin: Twin) -> Twin:
    """The same twin whose channel `speed` is a setting."""
    content = twin.model_dump(mode="json")
    content["channels"]["speed"]["role"] = "setting"
    return Twin.model_validate(content)


def hidden(bundle: Bundle, rows: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """The rows with these channels at their healthy level, and the age at its typical value."""
    levels = dict(zip(bundle.contract.channel_names, bundle.reference.healthy[0, 0].astype(float), strict=True))
    changed = rows.assign(**{name: levels[name] for name in names if name != "age"})
    if "age" in names:
        changed["time"] += bundle.reference.age - changed["time"].iloc[-1]
    return changed


def by_definition(value: Callable[[tuple[str, ...]], float], players: tuple[str, ...]) -> dict[str, float]:
    """Shapley values from every coalition; `value` is what is answered when these players are hidden."""
    contributions = dict.fromkeys(players, 0.0)
    for player in players:
        others = [name for name in players if name != player]
        for size in range(len(players)):
            weight = 1 / (len(players) * comb(len(others), size))
            for gone in combinations(others, size):
                contributions[player] += weight * (value(gone) - value((*gone, player)))
    return contributions


def test_contributions_of_a_linear_network_are_those_of_the_closed_form(bundle: Bundle, rows: pd.DataFrame) -> None:
    found = explain(bundle, rows).questions["rul"]
    distance = rows[list(TWIN.channel_names)].tail(8).mean() - np.linspace(-0.5, 0.5, 4)
    expected = {**dict(zip(TWIN.channel_names, WEIGHTS * distance, strict=True)), "age": -0.1 * (12 - 20)}
    assert found.contributions == pytest.approx(expected, abs=1e-4)
    assert min(map(abs, expected.values())) > 0.01, "no channel is left out"
    assert found.base == pytest.approx(60 + WEIGHTS @ np.linspace(-0.5, 0.5, 4) - 0.1 * 20, abs=1e-4)
    assert (found.answer, found.unit) == ("rul", "h")


def test_contributions_to_a_fault_are_the_shapley_values_of_the_served_scores(
    bundle: Bundle, rows: pd.DataFrame
) -> None:
    found = explain(bundle, rows).questions["mode"]
    score = bundle.score(rows).iloc[0]
    probabilities = {name: score[f"p_mode_{name}"] for name in TWIN.classes("mode")}
    assert found.answer == max(probabilities, key=probabilities.__getitem__)
    assert found.prediction == probabilities[found.answer]

    def value(names: tuple[str, ...]) -> float:
        return float(bundle.score(hidden(bundle, rows, names))[f"p_mode_{found.answer}"].iloc[0])

    expected = by_definition(value, (*TWIN.channel_names, "age"))
    size = max(map(abs, expected.values()))
    assert size > 0.01
    assert found.contributions == pytest.approx(expected, abs=0.02 * size)
    assert found.unit == "probability"


@pytest.mark.parametrize("length", [12, 5])
def test_base_and_contributions_add_up_to_the_score(bundle: Bundle, length: int) -> None:
    rows = random_rows(TWIN, {"a": length}, seed=2)
    found = explain(bundle, rows)
    score = bundle.score(rows).iloc[0]
    healthy = bundle.score(hidden(bundle, rows, (*TWIN.channel_names, "age"))).iloc[0]
    assert (found.asset, found.run, found.time) == ("a", 1, length)
    assert list(found.questions) == ["rul", "mode", "bearing"]
    for question, part in found.questions.items():
        column = "rul" if question == "rul" else f"p_{question}_{part.answer}"
        assert part.prediction == score[column]
        assert part.base == pytest.approx(healthy[column], abs=1e-5)
        assert part.base + sum(part.contributions.values()) == pytest.approx(part.prediction, abs=1e-5)
        assert set(part.contributions) == {*TWIN.channel_names, "age"}


def test_a_channel_at_its_healthy_level_contributes_nothing(bundle: Bundle, rows: pd.DataFrame) -> None:
    found = explain(bundle, hidden(bundle, rows, ("c2", "age")))
    for part in found.questions.values():
        assert part.contributions["c2"] == pytest.approx(0, abs=1e-6)
        assert part.contributions["age"] == pytest.approx(0, abs=1e-6)
        assert abs(part.contributions["c3"]) > 1e-3


def test_only_the_last_window_of_the_last_run_is_explained(bundle: Bundle, rows: pd.DataFrame) -> None:
    expected = explain(bundle, rows)
    assert explain(bundle, rows.tail(8)) == expected
    earlier = random_rows(TWIN, {"a": 9}, seed=3).assign(run=0)
    assert explain(bundle, pd.concat([earlier, rows], ignore_index=True)) == expected


def test_settings_are_context_and_a_channel_is_hidden_within_the_regime_of_each_row(
    tmp_path: Path, rows: pd.DataFrame
) -> None:
    plain = saved(tmp_path, with_setting(TWIN))
    levels = np.array([[[0, 1, 1, 1]], [[0, -1, -1, -1]]], np.float32)
    regimes = RegimeCentres((0,), np.array([[-1], [1]], np.float32), np.ones(1, np.float32))
    bundle = replace(plain, reference=replace(plain.reference, regimes=regimes, healthy=levels))
    found = explain(bundle, rows).questions["rul"]
    assert list(found.contributions) == ["c1", "c2", "c3", "age"]
    last = rows.tail(8)
    assert 0 < (last["speed"] > 0).sum() < 8, "the window must see both regimes"
    level = np.where(last["speed"] > 0, -1, 1).mean()
    expected = dict(zip(["c1", "c2", "c3"], WEIGHTS[1:] * (last[["c1", "c2", "c3"]].mean() - level), strict=True))
    assert found.contributions == pytest.approx({**expected, "age": 0.8}, abs=1e-4)
    faster = explain(bundle, rows.assign(speed=rows["speed"] + 0.01)).questions["rul"]
    assert faster.base - found.base == pytest.approx(0.01 * WEIGHTS[0], abs=1e-4), "the base is in the same operation"


def test_an_rul_that_stands_at_the_cap_has_no_contributions(tmp_path: Path, rows: pd.DataFrame) -> None:
    found = explain(saved(tmp_path, TWIN, bias=300), rows).questions["rul"]
    assert (found.base, found.prediction) == (100, 100)
    assert set(found.contributions.values()) == {0}


def test_a_channel_may_be_called_age(tmp_path: Path, rows: pd.DataFrame) -> None:
    content = TWIN.model_dump(mode="json")
    content["channels"]["age"] = content["channels"].pop("c3")
    found = explain(saved(tmp_path, Twin.model_validate(content)), rows.rename(columns={"c3": "age"})).questions["rul"]
    assert list(found.contributions) == ["speed", "c1", "c2", "age", "time"]
    assert found.contributions["time"] == pytest.approx(0.8, abs=1e-4)
    assert found.base + sum(found.contributions.values()) == pytest.approx(found.prediction, abs=1e-5)


@pytest.mark.parametrize(("rul", "faults"), [(True, False), (False, True)])
def test_a_question_that_the_twin_does_not_have_is_not_answered(rul: bool, faults: bool, tmp_path: Path) -> None:
    twin = tiny_twin(channels=1, rul=rul, faults=faults)
    found = explain(saved(tmp_path, twin), random_rows(twin, {"a": 4}))
    assert list(found.questions) == (["rul"] if rul else ["mode", "bearing"])
    assert all("speed" in part.contributions for part in found.questions.values())


def test_a_machine_without_sensors_gets_its_prediction_for_a_base(tmp_path: Path) -> None:
    twin = fleet_twin("faults", aged=False)
    rows = fleet_rows(twin, assets=6)
    content = twin.model_dump(mode="json")
    for channel in content["channels"].values():
        channel["role"] = "setting"
    bundle, _ = trained(tmp_path, Twin.model_validate(content), rows)
    for part in explain(bundle, rows[rows["asset"] == "f00"]).questions.values():
        assert part.contributions == {}
        assert part.base == part.prediction


def test_the_same_rows_give_the_same_contributions_and_no_other_draws_change(
    bundle: Bundle, rows: pd.DataFrame
) -> None:
    np.random.seed(5)  # noqa: NPY002
    first = explain(bundle, rows)
    drawn = np.random.random()  # noqa: NPY002
    assert explain(bundle, rows) == first
    np.random.seed(5)  # noqa: NPY002
    assert np.random.random() == drawn  # noqa: NPY002
    with ThreadPoolExecutor(4) as pool:
        assert set(map(str, pool.map(lambda _: explain(bundle, rows), range(12)))) == {str(first)}


def test_orders_are_drawn_alike_every_time(tmp_path: Path) -> None:
    twin = tiny_twin(channels=MOST_EXACT + 3)
    bundle, rows = saved(tmp_path, twin), random_rows(twin, {"a": 12})
    assert explain(bundle, rows) == explain(bundle, rows)


def test_an_explanation_is_plain_json(bundle: Bundle, rows: pd.DataFrame) -> None:
    found = explain(bundle, rows)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["asset"] == "a"
    assert values["questions"]["rul"]["contributions"] == found.questions["rul"].contributions
    assert set(values["questions"]["mode"]) == {"answer", "unit", "base", "prediction", "contributions"}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (lambda rows: pd.concat([rows, rows.assign(asset="b")]), "asset", "is of one asset, there are 2"),
        (lambda rows: rows.drop(columns="c1"), "c1", "this column is missing"),
        (lambda rows: rows.head(1), "assets.a", "has 1 rows, at least 2 are needed"),
        (lambda rows: rows.head(0), "rows", "there is none to score"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_field(
    bundle: Bundle, rows: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], field: str, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason) as error:
        explain(bundle, change(rows))
    assert error.value.field == field


def test_explaining_changes_nothing_of_its_input(bundle: Bundle, rows: pd.DataFrame) -> None:
    before = rows.copy()
    explain(bundle, rows)
    pd.testing.assert_frame_equal(rows, before)


def test_explaining_loads_no_library_for_it(bundle: Bundle, tmp_path: Path) -> None:
    """The service explains within the memory that it scores with."""
    saved(tmp_path / "bundle", TWIN)
    random_rows(TWIN, {"a": 12}).to_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys, pathlib, pandas, foretwin.predictor.bundle, foretwin.predictor.shapley;"
        "folder = pathlib.Path(sys.argv[1]);"
        "bundle = foretwin.predictor.bundle.Bundle.load(folder / 'bundle');"
        "foretwin.predictor.shapley.explain(bundle, pandas.read_parquet(folder / 'rows.parquet'));"
        "print({'shap', 'numba', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout
    assert shown == "set()\n"


def game_of(bundle: Bundle, rows: pd.DataFrame) -> Game:
    tracks = read_frame(rows, bundle.contract)
    window = tracks.histories.cut(tracks.ends, bundle.contract.window.length)
    return Game(bundle, window, list(leading_columns(bundle.contract, bundle.answer(tracks)).values()))


@pytest.mark.parametrize("channels", [4, MOST_EXACT + 3])
def test_contributions_are_those_of_the_library_shap(channels: int, tmp_path: Path) -> None:
    """shap with very many orders: few players are exact, of many the usual ones are near and more are nearer."""
    import numba

    numba.config.DISABLE_JIT = True  # its loops take 6 s to compile
    import shap  # slow to import; a development dependency

    twin = tiny_twin(channels=channels)
    game = game_of(saved(tmp_path, twin), random_rows(twin, {"a": 12}))
    count = len(game.players)
    state = np.random.get_state()  # noqa: NPY002
    library = shap.PermutationExplainer(lambda shown: game(shown > 0), np.zeros((1, count)), seed=3)
    theirs = library(np.ones((1, count)), max_evals=300 * (2 * count + 1), silent=True)
    np.random.set_state(state)  # noqa: NPY002
    expected = theirs.values[0]  # noqa: PD011 - not of pandas; (P, Q)

    def distance(found: np.ndarray) -> float:
        return float((np.abs(found - expected).max(axis=0) / np.abs(expected).max(axis=0)).max())

    base, contributions = shapley_values(game)
    np.testing.assert_allclose(base, np.ravel(theirs.base_values), atol=1e-6)
    np.testing.assert_allclose(contributions.sum(axis=0), expected.sum(axis=0), atol=1e-5)
    assert distance(values_by_orders(game, 300)[1]) < 0.02
    assert distance(contributions) < (0.02 if count <= MOST_EXACT else 0.15)
    assert distance(contributions[::-1]) > 0.3, "the players must differ, or agreement proves nothing"


def trained(folder: Path, twin: Twin, rows: pd.DataFrame) -> tuple[Bundle, pd.DataFrame]:
    """A bundle of one trained member, and each held-out asset's rows up to its failure."""
    development = prepared(folder / "windows", twin, rows)
    network, _ = fit(development.hold_out(0), twin, choice_of(), BUDGET)
    out = folder / "bundle"
    out.mkdir()
    calibration = RulIntervals(0.9, (0.0,), (1.0,), (1.0,)) if twin.rul else None
    faults = {axis: FaultCalibration(1.0, 0.0, 0.9) for axis in twin.axes}
    reference = HealthyBaseline.fit(development.histories, twin, regimes_of(network))
    save_bundle(out, twin, to_onnx([network], twin), calibration, reference, faults)
    folds = json.loads((folder / "windows" / "splits.json").read_text())
    return Bundle.load(out), rows[rows["asset"].map(folds) == -1]


def test_a_trained_network_is_explained_by_what_makes_the_machine_fail(tmp_path: Path) -> None:
    twin = fleet_twin()
    bundle, held_out = trained(tmp_path, twin, fleet_rows(twin))
    failing = held_out.iloc[last_rows(held_out)].set_index("asset")["fault_mode"]
    assert set(failing) == {1, 2}, "some wear out, some leak"
    for asset, mode in failing.items():
        found = explain(bundle, held_out[held_out["asset"] == asset])
        assert found.questions["mode"].answer == ("wear", "leak")[mode - 1]
        assert found.questions["mode"].largest_first()[0][0] == ("vibration", "pressure")[mode - 1]
        rul = found.questions["rul"]
        assert rul.base > 0.7 * CAP
        assert rul.prediction < 0.3 * CAP
        assert rul.contributions["vibration"] < -0.2 * CAP
        assert abs(rul.contributions["ballast"]) < 1e-4, "a channel that never moves says nothing"
        assert "duty" not in rul.contributions
