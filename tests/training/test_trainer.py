"""Training one member: it learns, it is repeatable, it goes on where it stopped, its fold's labels stay unseen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from foretwin.dataset.splits import Development, Split
from foretwin.errors import TrainingError
from foretwin.metrics import macro_f1, rmse
from foretwin.training.encoders import TRUNKS
from foretwin.training.network import Network, Output
from foretwin.training.trainer import EPOCHS, Budget, Choice, RandomPositions, fit
from support.small_fleet import CAP, QUESTIONS, fleet_rows, fleet_twin, prepared
from support.small_network import BUDGET, choice_of

TINY = Budget(windows=640, batch=32, seed=1)
TWIN = fleet_twin()


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Development:
    return prepared(tmp_path_factory.mktemp("windows"), TWIN, fleet_rows(TWIN))


@pytest.fixture(scope="module")
def split(development: Development) -> Split:
    return development.hold_out(0)


def predict(network: Network, split: Split) -> Output:
    windows = split.histories.cut(split.held_out, TWIN.window.length)
    with torch.inference_mode():
        return network(*(torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age)))


def weights(network: Network) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def same(one: Network, other: Network) -> bool:
    first, second = weights(one), weights(other)
    return all(np.array_equal(first[name], second[name]) for name in first.keys() | second.keys())


class Interrupted(Exception):
    """What the test raises in `report`."""


def stop_after(epoch: int):
    def report(now: int, _: float) -> None:
        if now == epoch:
            raise Interrupted

    return report


def test_positions_are_drawn_by_their_weights():
    weights = np.array([1.0, 0.0, 3.0])
    drawn = np.concatenate(list(RandomPositions(3, 100, Budget(windows=3200, batch=32, seed=1), weights)))
    assert np.bincount(drawn, minlength=3) / len(drawn) == pytest.approx([0.25, 0, 0.75], abs=0.03)


def test_without_weights_positions_are_drawn_evenly():
    drawn = list(RandomPositions(500, 2, Budget(windows=64, batch=32, seed=3)))
    generator = np.random.default_rng([3, 0])
    assert drawn == [generator.integers(500, size=32).tolist() for _ in range(2)]


@pytest.mark.parametrize("trunk", TRUNKS)
def test_it_predicts_unseen_assets_far_better_than_a_constant(split: Split, trunk: str) -> None:
    network, curves = fit(split, TWIN, choice_of(trunk), replace(BUDGET, windows=5120))
    out, truth = predict(network, split), np.minimum(split.histories.rul[split.held_out], CAP)
    faults = split.histories.faults[split.held_out]
    error = rmse(out.rul.clamp(0, 1).numpy() * CAP, truth)
    assert error < 0.55 * rmse(np.full(len(truth), truth.mean()), truth)
    for axis, logits in enumerate(out.logits):
        classes = logits.shape[1]
        common = np.full(len(faults), np.bincount(faults[:, axis]).argmax())
        found = macro_f1(logits.argmax(1).numpy(), faults[:, axis], classes)
        assert found > 1.4 * macro_f1(common, faults[:, axis], classes)
    assert curves[-1]["val/rmse"] == pytest.approx(error, rel=1e-4), "the curve must speak of the network returned"
    assert curves[-1]["val/loss"] < 0.8 * curves[0]["val/loss"]


@pytest.mark.parametrize("questions", QUESTIONS)
def test_a_twin_may_ask_for_rul_or_faults_or_both(questions: str, tmp_path: Path) -> None:
    twin = fleet_twin(questions)
    part = prepared(tmp_path, twin, fleet_rows(twin, assets=8)).hold_out(0)
    network, curves = fit(part, twin, choice_of(), TINY)
    rul, faults = QUESTIONS[questions]
    assert len(curves) == EPOCHS
    assert ("val/rmse" in curves[-1]) == rul
    assert ("val/macro_f1_1" in curves[-1]) == faults
    assert all(np.isfinite(value) for epoch in curves for value in epoch.values())
    assert curves[-1]["val/loss"] < curves[0]["val/loss"]
    assert not network.training
    assert next(network.parameters()).device.type == "cpu"


def test_rows_with_some_labels_missing_are_learnt_from(tmp_path: Path) -> None:
    rows = fleet_rows(TWIN)
    third = rows["asset"].str[-1].astype(int) % 3
    rows.loc[third == 0, "rul"] = np.nan
    rows.loc[third == 1, ["fault_mode", "fault_bearing"]] = -1
    part = prepared(tmp_path, TWIN, rows).hold_out(0)
    network, curves = fit(part, TWIN, choice_of(), BUDGET)
    truth = np.minimum(part.histories.rul[part.held_out], CAP)
    known = ~np.isnan(truth)
    assert 0 < known.sum() < len(known)
    error = rmse(predict(network, part).rul.numpy() * CAP, truth)
    assert error < 0.8 * rmse(np.full(len(truth), truth[known].mean()), truth)
    assert all(np.isfinite(value) for epoch in curves for value in epoch.values())


def test_the_same_seed_gives_identical_weights_and_another_seed_does_not(split: Split) -> None:
    choice = choice_of("convolution", chance=0.2)
    first, again = (fit(split, TWIN, choice, TINY)[0] for _ in range(2))
    assert same(first, again)
    assert not same(first, fit(split, TWIN, choice, replace(TINY, seed=2))[0])


def test_training_draws_other_windows_in_each_epoch_and_the_same_ones_from_the_same_seed() -> None:
    sampler = RandomPositions(1000, 3, TINY)
    first = list(sampler)
    assert [len(batch) for batch in first] == [32, 32, 32]
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(RandomPositions(1000, 3, replace(TINY, seed=2))) != first


@pytest.mark.parametrize("chance", [0.0, 0.2])
def test_an_interrupted_training_ends_as_one_that_was_not(split: Split, tmp_path: Path, chance: float) -> None:
    choice = choice_of("gru", chance)
    whole, curve = fit(split, TWIN, choice, TINY)
    with pytest.raises(Interrupted):
        fit(split, TWIN, choice, TINY, tmp_path, stop_after(4))
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    resumed_from: list[int] = []
    network, resumed = fit(split, TWIN, choice, TINY, tmp_path, lambda epoch, _: resumed_from.append(epoch))
    assert resumed_from == list(range(4, EPOCHS)), "only what was not done yet is done"
    assert resumed == curve
    assert [epoch["epoch"] for epoch in resumed] == list(range(EPOCHS))
    assert same(network, whole)


def test_windows_that_are_whole_cycles_are_learnt_from_and_resumed_too(tmp_path: Path) -> None:
    twin = fleet_twin(whole=True)
    part = prepared(tmp_path / "windows", twin, fleet_rows(twin)).hold_out(0)
    budget, work = replace(BUDGET, windows=5120), tmp_path / "work"
    whole, curve = fit(part, twin, choice_of(chance=0.1), budget)
    truth = np.minimum(part.histories.rul[part.held_out], CAP)
    assert curve[-1]["val/rmse"] < 0.6 * rmse(np.full(len(truth), truth.mean()), truth)
    with pytest.raises(Interrupted):
        fit(part, twin, choice_of(chance=0.1), budget, work, stop_after(4))
    network, resumed = fit(part, twin, choice_of(chance=0.1), budget, work)
    assert resumed == curve
    assert same(network, whole)


def test_a_finished_training_is_not_done_twice(split: Split, tmp_path: Path) -> None:
    first, curve = fit(split, TWIN, choice_of(), TINY, tmp_path)
    epochs: list[int] = []
    again, curve_again = fit(split, TWIN, choice_of(), TINY, tmp_path, lambda epoch, _: epochs.append(epoch))
    assert epochs == []
    assert curve_again == curve
    assert same(first, again)


def test_labels_of_the_held_out_fold_do_not_reach_the_weights(split: Split) -> None:
    held_out = np.setdiff1d(np.arange(len(split.histories.rul)), split.rows)
    rul, faults = split.histories.rul.copy(), split.histories.faults.copy()
    rul[held_out] = np.random.default_rng(1).permutation(rul[held_out])
    faults[held_out] = np.random.default_rng(1).permutation(faults[held_out])
    scrambled = replace(split, histories=replace(split.histories, rul=rul, faults=faults))
    honest, honest_curve = fit(split, TWIN, choice_of(chance=0.2), TINY)
    other, other_curve = fit(scrambled, TWIN, choice_of(chance=0.2), TINY)
    assert same(honest, other)
    assert honest_curve != other_curve, "the scramble must have been seen by the validation"
    rul[split.rows] = np.random.default_rng(1).permutation(rul[split.rows])
    assert not same(honest, fit(scrambled, TWIN, choice_of(chance=0.2), TINY)[0]), "training labels must count"


@pytest.mark.parametrize("windows", [1, 32 * EPOCHS, 48 * EPOCHS, 64 * EPOCHS])
def test_the_smallest_budgets_train_too(split: Split, windows: int) -> None:
    _, curves = fit(split, TWIN, choice_of(), Budget(windows=windows, batch=32, seed=1))
    assert len(curves) == EPOCHS
    assert np.isfinite(curves[-1]["val/loss"])


def test_nothing_to_train_on_is_said(split: Split) -> None:
    nothing = np.empty(0, np.int64)
    for empty in (replace(split, train=nothing), replace(split, held_out=nothing)):
        with pytest.raises(TrainingError, match="fleet: no labelled window"):
            fit(empty, TWIN, choice_of(), TINY)


def test_a_question_without_any_answer_is_said(split: Split) -> None:
    unknown = replace(split.histories, rul=np.full_like(split.histories.rul, np.nan))
    with pytest.raises(TrainingError, match="fleet: no training window has a known RUL"):
        fit(replace(split, histories=unknown), TWIN, choice_of(), TINY)
    faults = np.stack([split.histories.faults[:, 0], np.full(len(split.histories.faults), -1)], axis=1)
    with pytest.raises(TrainingError, match="fleet: no training window has a known class of bearing"):
        fit(replace(split, histories=replace(split.histories, faults=faults)), TWIN, choice_of(), TINY)


def test_a_fold_without_labels_of_a_question_does_not_spoil_the_objective(split: Split) -> None:
    rul, faults = split.histories.rul.copy(), split.histories.faults.copy()
    rul[split.held_out], faults[split.held_out, 1] = np.nan, -1
    poor = replace(split, histories=replace(split.histories, rul=rul, faults=faults))
    last = fit(poor, TWIN, choice_of(), TINY)[1][-1]
    assert last["val/objective"] == pytest.approx((1 - last["val/macro_f1_0"]) / 2)


def test_the_objective_is_the_capped_error_and_the_missing_share_of_f1(split: Split) -> None:
    last = fit(split, TWIN, choice_of(), TINY)[1][-1]
    f1 = (last["val/macro_f1_0"] + last["val/macro_f1_1"]) / 2
    assert last["val/objective"] == pytest.approx(last["val/rmse"] / CAP + 1 - f1, rel=1e-5)


def test_training_leaves_nothing_in_the_current_folder(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(split, TWIN, choice_of(), TINY)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_choice_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="extra"):
        Choice.model_validate({**choice_of().model_dump(), "widht": 3})
