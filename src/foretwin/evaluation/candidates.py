"""Candidates that a blend was made of, a bundle each, as the stage `train` leaves them; and models compared."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.questions import questions_of
from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories, last_rows
from foretwin.evaluation.held_out import HeldOut, Predictions
from foretwin.evaluation.resampling import Resamples
from foretwin.metrics import macro_f1, rmse
from foretwin.predictor.bundle import Bundle

TRIES = 9
FLEET_JUDGEMENT = "fleet_judgement"  # what the served model would say without the machines' own baselines
CANDIDATE = "candidate "  # before the name of one among the predictions of baselines


def load_candidates(folder: Path) -> dict[str, Bundle]:
    """Load the bundles of a blend's candidates, by name; none where the bundle is no blend."""
    names = read_blend_record(folder).get("candidates", ())
    return {name: Bundle.load(folder / name) for name in names}


def judgements_of(bundle: Bundle, candidates: Mapping[str, Bundle]) -> dict[str, Bundle]:
    """Return the models that stand beside the served one, by name.

    They are the candidates of a blend, and the fleet's judgement of health where machines are judged by their own.
    """
    return {**candidates, **({FLEET_JUDGEMENT: replace(bundle, own=None)} if bundle.own else {})}


def times_slower(blend: Bundle, network: Bundle, rows: pd.DataFrame, count: int) -> tuple[float, float]:
    """Return how many times as long as a network a blend takes for `count` windows of rows, and its ms for them.

    The quickest of several tries each, taken in turns, in processor time: other work on the machine is no matter.
    """
    histories = Histories.from_rows(rows, blend.contract)
    ends = np.resize(last_rows(rows), count)
    windows = histories.cut(ends, blend.contract.window.length)
    spent: dict[str, float] = {}
    for _ in range(TRIES):
        for name, bundle in (("network", network), ("blend", blend)):
            begin = time.thread_time()
            bundle.predict_windows(windows)
            spent[name] = min(spent.get(name, np.inf), time.thread_time() - begin)
    return spent["blend"] / spent["network"], 1000 * spent["blend"]


def compare_models(contract: Twin, held_out: HeldOut, said: Mapping[str, Predictions]) -> dict[str, dict[str, Any]]:
    """Return question, `rul` or a fault axis, -> `best`, the model of least error, and of each other its `chances`.

    The error is the RMSE of truths at the cap, or what macro-F1 lacks of 1. A chance is the share of paired resamples
    of the machines in which that model errs no more than the best one. Questions without known truths are left out, and
    of each question the models that do not answer it.
    """
    found, resamples = {}, Resamples(held_out.assets)
    for question in questions_of(contract):
        asked = {name: one for name, one in said.items() if _answers(one, question)}
        errors = {name: _errors(contract, held_out, resamples, question, one) for name, one in asked.items()}
        if any(np.isnan(error) for error, _ in errors.values()):
            continue
        best = min(errors, key=lambda name: errors[name][0])
        drawn = {name: one for name, (_, one) in errors.items()}
        chances = {name: float(np.mean(one <= drawn[best])) for name, one in drawn.items() if name != best}
        found[question] = {"best": best, "chances": chances}
    return found


def _answers(said: Predictions, question: str) -> bool:
    return said.rul is not None if question == "rul" else question in said.faults


def _errors(
    contract: Twin, held_out: HeldOut, resamples: Resamples, question: str, said: Predictions
) -> tuple[float, NDArray[np.float64]]:
    """Return a model's error on a question, and that in each resample (RESAMPLES,)."""
    truth = held_out.truth
    if question == "rul" and contract.rul and said.rul is not None:
        capped = np.minimum(truth.rul, contract.rul.cap)
        return rmse(said.rul, capped), np.sqrt(resamples.means((said.rul - capped)[:, None] ** 2)[:, 0])
    told, true, classes = said.faults[question], truth.faults[question], len(contract.classes(question))
    return 1 - macro_f1(told, true, classes), 1 - resamples.macro_f1(told, true, classes)


def read_blend_record(folder: Path) -> dict[str, Any]:
    """Read weights and errors out of fold of a blend; empty where there is no record of one."""
    path = folder / "blend.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def candidates_among(said: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Return the predictions of candidates alone, by their own names.

    The fleet's judgement is none: departures that are put in do not show what machines' own baselines are for.
    """
    found = {name.removeprefix(CANDIDATE): one for name, one in said.items() if name.startswith(CANDIDATE)}
    return {name: one for name, one in found.items() if name != FLEET_JUDGEMENT}
