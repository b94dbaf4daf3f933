"""The exported graph says what the trained ensemble says, through the same `Bundle.score` that serves."""

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories, last_rows, truncate
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.training.encoders import TRUNKS
from foretwin.training.network import Network
from foretwin.training.onnx import Ensemble, to_onnx
from support.small_fleet import CAP, QUESTIONS, fleet_rows, fleet_twin, gappy_rows, gappy_twin, prepared
from support.small_network import network_of
from support.tiny_bundle import tiny_reference

LENGTH = 10
CALIBRATION = RulIntervals(0.9, (0.0, CAP), (1.0, 1.0), (1.0, 1.0))


def members_of(twin: Twin, folder: Path, trunk: str, depth: int = 2) -> list[Network]:
    """Two untrained members that differ; their heads are scaled up so that their answers do, too."""
    development = prepared(folder / "windows", twin, fleet_rows(twin))
    members = [network_of(twin, development, trunk, seed, depth) for seed in (1, 2)]
    with torch.no_grad():
        for head in (head for member in members for head in member.faults):
            head.weight.mul_(8)
    return members


def load(folder: Path, twin: Twin, members: list[Network]) -> Bundle:
    out = folder / "bundle"
    out.mkdir()
    faults = {axis: FaultCalibration(1.0, 0.0, 0.9) for axis in twin.axes}
    save_bundle(out, twin, to_onnx(members, twin), CALIBRATION if twin.rul else None, tiny_reference(twin, 1e6), faults)
    return Bundle.load(out)


def cut_rows(twin: Twin, count: int) -> pd.DataFrame:
    """The windows of `count` assets; the first of each run are short, down to a single row."""
    rows = fleet_rows(twin)
    return truncate(rows, np.arange(count), LENGTH)


def said_by_torch(members: list[Network], twin: Twin, rows: pd.DataFrame) -> list[np.ndarray]:
    windows = Histories.from_rows(rows, twin).cut(last_rows(rows), LENGTH)
    with torch.inference_mode():
        out = Ensemble(members, twin).eval()(*(torch.from_numpy(p) for p in (windows.x, windows.mask, windows.age)))
    return [part.numpy() for part in out]


def probabilities(scores: pd.DataFrame, twin: Twin, axis: str) -> np.ndarray:
    return scores[[f"p_{axis}_{name}" for name in twin.classes(axis)]].to_numpy()


@pytest.mark.parametrize("length", [LENGTH, 5])
@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_bundle_says_what_the_ensemble_says(trunk: str, length: int, tmp_path: Path) -> None:
    twin = fleet_twin(length=length)
    members = members_of(twin, tmp_path, trunk)
    bundle = load(tmp_path, twin, members)
    for count in (1, 300):
        rows = truncate(fleet_rows(twin), np.arange(count), length)
        windows = Histories.from_rows(rows, twin).cut(last_rows(rows), length)
        assert (windows.mask.sum(axis=1) == 1).any(), "a window of a single row must be among them"
        with torch.inference_mode():
            inputs = (torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age))
            rul, *expected = (part.numpy() for part in Ensemble(members, twin).eval()(*inputs))
        scores = bundle.score(rows)
        assert rul.min() > 0, "a clamped RUL can agree by accident"
        assert rul.max() < CAP
        np.testing.assert_allclose(scores["rul"] / CAP, rul / CAP, rtol=0, atol=1e-5)
        for axis, p in zip(twin.axes, expected, strict=True):
            np.testing.assert_allclose(probabilities(scores, twin, axis), p, rtol=0, atol=1e-5)
            np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-5)
            if count > 1:
                assert np.ptp(p[:, 0]) > 0.01, "the assets must differ, or agreement proves nothing"
        assert len(scores) == count


@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_bundle_says_what_the_ensemble_says_of_windows_with_missing_values(trunk: str, tmp_path: Path) -> None:
    twin = gappy_twin()
    development = prepared(tmp_path / "windows", twin, gappy_rows(twin))
    members = [network_of(twin, development, trunk, seed, 2) for seed in (1, 2)]
    bundle = load(tmp_path, twin, members)
    rows = truncate(gappy_rows(twin), np.arange(200), LENGTH)
    rul, *_ = said_by_torch(members, twin, rows)
    scores = bundle.score(rows)
    np.testing.assert_allclose(scores["rul"] / CAP, rul / CAP, rtol=0, atol=1e-5)
    assert np.ptp(rul) > 0.01, "the assets must differ, or agreement proves nothing"
    known = rows.assign(vibration=rows["vibration"].fillna(bundle.reference.healthy[0, 0, 2]))
    assert not np.allclose(bundle.score(known)["rul"], scores["rul"]), "a value in its place is something else"


def test_a_contract_without_gaps_exports_no_trace_of_them(tmp_path: Path) -> None:
    twin = fleet_twin()
    graph = onnx.load_from_string(to_onnx(members_of(twin, tmp_path, "statistics"), twin)).graph
    assert not {"IsNaN", "Where"} & {node.op_type for node in graph.node}


@pytest.mark.parametrize("trunk", TRUNKS)
def test_an_asset_s_score_does_not_depend_on_who_else_is_in_the_call(trunk: str, tmp_path: Path) -> None:
    twin = fleet_twin()
    bundle = load(tmp_path, twin, members_of(twin, tmp_path, trunk))
    rows = cut_rows(twin, 40)
    together = bundle.score(rows)[list(bundle.score_columns)]
    alone = [bundle.score(part)[list(bundle.score_columns)] for _, part in rows.groupby("asset", sort=False)]
    np.testing.assert_allclose(together, pd.concat(alone), rtol=0, atol=1e-5 * CAP)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_same_members_give_the_same_bytes(trunk: str, tmp_path: Path) -> None:
    twin = fleet_twin()
    members = members_of(twin, tmp_path, trunk)
    first = to_onnx(members, twin)
    assert to_onnx(members, twin) == first
    assert to_onnx(members_of(twin, tmp_path, trunk), twin) == first
    assert to_onnx(members[::-1], twin) != first


@pytest.mark.parametrize("questions", QUESTIONS)
@pytest.mark.parametrize("aged", [True, False])
def test_the_graph_has_the_outputs_and_inputs_that_the_contract_asks_for(
    questions: str, aged: bool, tmp_path: Path
) -> None:
    twin = fleet_twin(questions, aged=aged)
    members = members_of(twin, tmp_path, "statistics")
    bundle = load(tmp_path, twin, members)
    has_rul, has_faults = QUESTIONS[questions]
    outputs = [node.name for node in bundle.session.get_outputs()]
    assert outputs == ["rul"] * has_rul + ["p_mode", "p_bearing"] * has_faults
    assert [node.name for node in bundle.session.get_inputs()] == ["x", "mask"] + ["age"] * aged
    rows = cut_rows(twin, 30)
    scores, expected = bundle.score(rows), said_by_torch(members, twin, rows)
    assert ("rul" in scores) == has_rul
    if has_rul:
        np.testing.assert_allclose(scores["rul"] / CAP, expected[0] / CAP, rtol=0, atol=1e-5)
    if has_faults:
        np.testing.assert_allclose(probabilities(scores, twin, "bearing"), expected[-1], rtol=0, atol=1e-5)


def test_the_ensemble_is_the_mean_of_its_members(tmp_path: Path) -> None:
    twin = fleet_twin()
    members = members_of(twin, tmp_path, "gru")
    rows = cut_rows(twin, 20)
    both = said_by_torch(members, twin, rows)
    parts = [said_by_torch([member], twin, rows) for member in members]
    for i, name in enumerate(("rul", *twin.axes)):
        np.testing.assert_allclose(both[i], (parts[0][i] + parts[1][i]) / 2, rtol=0, atol=1e-5, err_msg=name)
        assert np.abs(parts[0][i] - parts[1][i]).max() > 1e-3


def test_windows_that_are_never_padded_agree_too(tmp_path: Path) -> None:
    twin = fleet_twin(whole=True)
    members = members_of(twin, tmp_path, "statistics")
    rows = fleet_rows(twin)
    whole = truncate(rows, np.flatnonzero(rows["time"] > LENGTH), LENGTH)
    scores, expected = load(tmp_path, twin, members).score(whole), said_by_torch(members, twin, whole)
    np.testing.assert_allclose(probabilities(scores, twin, "mode"), expected[1], rtol=0, atol=1e-5)


def test_without_regimes_the_graph_agrees_too(tmp_path: Path) -> None:
    twin = fleet_twin(regimes=False)
    members = members_of(twin, tmp_path, "convolution", depth=3)
    rows = cut_rows(twin, 50)
    scores, expected = load(tmp_path, twin, members).score(rows), said_by_torch(members, twin, rows)
    np.testing.assert_allclose(probabilities(scores, twin, "mode"), expected[1], rtol=0, atol=1e-5)
