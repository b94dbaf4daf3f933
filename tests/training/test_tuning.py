"""The study: kept in its journal, goes on from there, records what was pruned."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from foretwin.dataset.splits import Development
from foretwin.errors import TrainingError
from foretwin.training.encoders import TRUNKS
from foretwin.training.trainer import EPOCHS, Choice
from foretwin.training.tuning import FIRST, WIDTHS, suggest, tune
from support.small_fleet import TRAIN, TUNE, fleet_rows, fleet_twin, prepared
from support.small_network import choice_of

TWIN = fleet_twin()


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Development:
    return prepared(tmp_path_factory.mktemp("windows"), TWIN, fleet_rows(TWIN, assets=8))


def study_of(journal: Path, *trials: optuna.trial.FrozenTrial) -> None:
    """A study that already holds these trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name=TWIN.name, storage=JournalStorage(JournalFileBackend(str(journal))))
    study.add_trials(trials)


def trial_of(state: optuna.trial.TrialState, value: float | None, curve: float) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(
        state=state,
        value=value,
        intermediate_values=dict.fromkeys(range(EPOCHS), curve),
        user_attrs={"choice": choice_of().model_dump()},
    )


def test_the_best_of_the_trials_is_a_choice_that_can_be_trained(development: Development, tmp_path: Path) -> None:
    record = tune(development, TWIN, TUNE, TRAIN, tmp_path / "study.log")
    trials = record["trials"]
    assert [trial["number"] for trial in trials] == list(range(TUNE.trials))
    first = trials[0]["params"]
    assert first == {name: FIRST[0][name] for name in first if name != "width"} | {
        "width": FIRST[0]["width_statistics"]
    }
    best = min((trial for trial in trials if trial["state"] == "complete"), key=lambda trial: trial["value"])
    assert record["best"] == best["params"]
    assert record["value"] == best["value"] == best["curve"][-1]
    assert len(best["curve"]) == EPOCHS
    Choice.model_validate(record["best"])
    json.dumps(record, allow_nan=False)


def test_a_second_call_goes_on_and_repeats_no_trial(development: Development, tmp_path: Path) -> None:
    journal = tmp_path / "study.log"
    first = tune(development, TWIN, TUNE, TRAIN, journal)
    more = TUNE.model_copy(update={"trials": 2 * TUNE.trials})
    second = tune(development, TWIN, more, TRAIN, journal)
    assert second["trials"][: TUNE.trials] == first["trials"], "what was done stays as it was"
    assert len(second["trials"]) == more.trials
    choices = [json.dumps(trial["params"]) for trial in second["trials"]]
    assert len(set(choices)) == more.trials, "the sampler must not begin again at its seed"
    assert tune(development, TWIN, more, TRAIN, journal) == second
    assert tune(development, TWIN, TUNE, TRAIN, journal) == second, "fewer trials than there are: none is run"


def test_an_interrupted_study_tries_what_an_uninterrupted_one_does(development: Development, tmp_path: Path) -> None:
    more = TUNE.model_copy(update={"trials": 8})
    whole = tune(development, TWIN, more, TRAIN, tmp_path / "whole.log")
    for trials in (2, 7, 8):
        parts = tune(development, TWIN, TUNE.model_copy(update={"trials": trials}), TRAIN, tmp_path / "parts.log")
    told = [[(t["params"], t["state"], t["curve"]) for t in record["trials"]] for record in (whole, parts)]
    assert told[0] == told[1]


def test_the_same_seed_tries_the_same_choices(development: Development, tmp_path: Path) -> None:
    params = TUNE.model_copy(update={"trials": len(FIRST) + 1})  # one that the sampler chooses
    one, two = (tune(development, TWIN, params, TRAIN, tmp_path / f"{name}.log") for name in "ab")
    assert [(t["params"], t["curve"]) for t in one["trials"]] == [(t["params"], t["curve"]) for t in two["trials"]]
    other = tune(development, TWIN, params.model_copy(update={"seed": 2}), TRAIN, tmp_path / "c.log")
    assert other["trials"][-1]["params"] != one["trials"][-1]["params"]


def test_a_hopeless_trial_is_pruned_and_recorded(development: Development, tmp_path: Path) -> None:
    complete = optuna.trial.TrialState.COMPLETE
    study_of(tmp_path / "study.log", *[trial_of(complete, 0.0, curve=0.0)] * 3)
    record = tune(development, TWIN, TUNE.model_copy(update={"trials": 5}), TRAIN, tmp_path / "study.log")
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * 3 + ["pruned"] * 2
    for trial in record["trials"][3:]:
        assert 0 < len(trial["curve"]) < EPOCHS
        Choice.model_validate(trial["params"])
    assert record["best"] == choice_of().model_dump()


def test_a_study_in_which_nothing_was_completed_is_an_error(development: Development, tmp_path: Path) -> None:
    study_of(tmp_path / "study.log", trial_of(optuna.trial.TrialState.PRUNED, None, curve=1.0))
    with pytest.raises(TrainingError, match=r"tune fleet: .*; increase tune\.trials"):
        tune(development, TWIN, TUNE.model_copy(update={"trials": 1}), TRAIN, tmp_path / "study.log")


@pytest.mark.parametrize("trunk", TRUNKS)
def test_each_trunk_is_in_the_search_space_with_widths_of_its_own(trunk: str) -> None:
    middle = {"depth": 2, "dropout": 0.2, "jitter": 0.3, "lr": 2e-3, "weight_decay": 1e-2}
    for width in WIDTHS[trunk]:
        trial = optuna.trial.FixedTrial({"trunk": trunk, f"width_{trunk}": width, **middle})
        assert suggest(trial) == Choice(trunk=trunk, width=width, **middle)
