"""Hyper-parameter search: the Optuna study around `fit`; the only importer of optuna.

A trial trains on all development folds but the first and is evaluated on the first, at its random cuts: RMSE as a share
of the RUL cap, plus one minus the mean macro-F1. The held-out assets take no part.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from rich.progress import Progress

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development, Split
from foretwin.errors import TrainingError
from foretwin.project.entrypoint import show_progress
from foretwin.project.params import TrainParams, TuneParams
from foretwin.training.encoders import ENCODERS, TRUNKS
from foretwin.training.trainer import Budget, Choice, fit

UNTRIED_WIDTHS = {"statistics": 128, "convolution": 64, "gru": 64, "attention": 64, "statistics_convolution": 64}
WIDTHS = {"statistics": (64, 128, 256), "convolution": (32, 64), "gru": (32, 64), "attention": (32, 64)}
FIRST = (  # tried before the sampler's own: good settings on folds of turbofans, of pumps, and of a test rig's cycles
    {
        "trunk": "statistics",
        "width_statistics": 128,
        "depth": 1,
        "dropout": 0.1,
        "jitter": 0.4,
        "lr": 5e-3,
        "weight_decay": 1e-2,
    },
    {
        "trunk": "statistics",
        "width_statistics": 128,
        "depth": 2,
        "dropout": 0.4,
        "jitter": 0.8,
        "lr": 2e-3,
        "weight_decay": 1.0,
    },
    {
        "trunk": "statistics",
        "width_statistics": 256,
        "depth": 2,
        "dropout": 0.3,
        "jitter": 0.0,
        "lr": 2e-2,
        "weight_decay": 1.0,
    },
)


def suggest(trial: optuna.Trial) -> Choice:
    """Sample hyper-parameters from the search space."""
    trunk = trial.suggest_categorical("trunk", tuple(TRUNKS))
    return Choice(
        trunk=trunk,
        width=trial.suggest_categorical(f"width_{trunk}", WIDTHS[trunk]),
        depth=trial.suggest_int("depth", 1, 3),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        jitter=trial.suggest_float("jitter", 0.0, 1.0),
        lr=trial.suggest_float("lr", 1e-3, 3e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-2, 3.0, log=True),
    )


def encoder_choices(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Choice]:
    """Return the choices of the named candidates that are networks, from a record of `tune`, in that order.

    `network` is the best trial of all, an encoder's name the best completed trial of that encoder; where there is none,
    the best of all with that encoder in it.
    """
    best = Choice.model_validate(record["best"])
    found = {}
    for name in names:
        if name == "network":
            found[name] = best
        elif name in ENCODERS:
            untried = best.model_copy(update={"trunk": name, "width": UNTRIED_WIDTHS[name]})
            found[name] = _best_with(name, record["trials"]) or untried
    return found


def _best_with(encoder: str, trials: Sequence[Mapping[str, Any]]) -> Choice | None:
    """Return the choice of the best completed trial with the encoder; of equals the first."""
    done = [trial for trial in trials if trial["state"] == "complete" and trial["params"]["trunk"] == encoder]
    return Choice.model_validate(min(done, key=lambda trial: float(trial["value"]))["params"]) if done else None


def tune(
    development: Development, contract: Twin, tuning: TuneParams, training: TrainParams, journal: Path
) -> dict[str, Any]:
    """Run the study up to `tuning.trials` trials and return its record, with the best Choice under `best`.

    The study is kept in `journal`. After an interruption it resumes from there with the same trials as an
    uninterrupted one.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # a warning would show the traceback of Ctrl-C
    journal.parent.mkdir(parents=True, exist_ok=True)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)
    study = optuna.create_study(study_name=contract.name, storage=_storage(journal), pruner=pruner, load_if_exists=True)
    split = development.hold_out(0)
    budget = Budget(tuning.windows, training.batch, tuning.seed)
    finished = len(study.get_trials(states=(optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)))
    with Progress(disable=not show_progress(), transient=True) as progress:
        task = progress.add_task(f"tune {contract.name}", total=tuning.trials, completed=finished)
        for position in range(finished, tuning.trials):
            study.sampler = _sampler(tuning.seed, position)
            if position < len(FIRST):
                study.enqueue_trial(FIRST[position])
            study.optimize(lambda trial: _objective(trial, split, contract, budget), n_trials=1)
            progress.advance(task)
    return _record(study, contract, tuning)


def trial_times(contract: Twin, journal: Path) -> list[dict[str, Any]]:
    """Return number, start, end and seconds of training of each trial of the study in `journal`; None: unknown."""
    trials = optuna.load_study(study_name=contract.name, storage=_storage(journal)).trials
    return [
        {
            "number": trial.number,
            "started": _moment(trial.datetime_start),
            "ended": _moment(trial.datetime_complete),
            "seconds": trial.user_attrs.get("seconds"),
        }
        for trial in trials
        if "choice" in trial.user_attrs
    ]


def _storage(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal)))


def _moment(at: datetime | None) -> str | None:
    """Return a time of Optuna, which tells none of its zone, in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds")


def _sampler(seed: int, position: int) -> optuna.samplers.TPESampler:
    """Return a sampler for one trial: one for the whole study would restart from its seed when the study resumes."""
    state = int(np.random.SeedSequence([seed, position]).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=state, n_startup_trials=6)


def _objective(trial: optuna.Trial, split: Split, contract: Twin, budget: Budget) -> float:
    def report(epoch: int, value: float) -> None:
        trial.report(value, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    choice = suggest(trial)
    trial.set_user_attr("choice", choice.model_dump())
    begin = time.perf_counter()
    _, epochs = fit(split, contract, choice, budget, report=report)
    trial.set_user_attr("seconds", round(time.perf_counter() - begin, 1))
    return epochs[-1]["val/objective"]


def _record(study: optuna.Study, contract: Twin, tuning: TuneParams) -> dict[str, Any]:
    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    if not complete:
        raise TrainingError(f"tune {contract.name}: no trial was completed; increase tune.trials in params.yaml")
    trials = [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value,
            "params": trial.user_attrs["choice"],
            "curve": [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)],
        }
        for trial in study.trials
        if "choice" in trial.user_attrs
    ]
    return {
        "twin": contract.name,
        "seed": tuning.seed,
        "windows": tuning.windows,
        "best": study.best_trial.user_attrs["choice"],
        "value": study.best_value,
        "trials": trials,
    }
