"""Checks of a blend: against each of its candidates, on every question, and of the answers that users get.

What decides is whether a difference is sure: it must show in the share of the resamples that the confidence asks for,
after a Bonferroni correction over all comparisons, so that a blend that equals its candidates is not refused by chance.
An answer about health is not held against what learnt of departures in copies: that knows them by their maker.
Of fewer machines than `promote.fewest_assets` every resample may say the same by chance: they decide nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.lead_times import longest_lead_time
from foretwin.contract.questions import is_health
from foretwin.contract.twin import Twin
from foretwin.evaluation.answer_figures import LATE_LIFE_SHARE
from foretwin.evaluation.held_out import HeldOut, Predictions
from foretwin.evaluation.resampling import Resamples
from foretwin.gate.figures import Check, share_text, shared_confidence
from foretwin.metrics import macro_f1, rmse
from foretwin.project.params import LEARNT, PromoteParams

NAME = "candidates"


@dataclass(frozen=True)
class JudgedQuestion:
    """One question about a model, with its error, of which lower is better."""

    title: str
    error: float
    drawn: NDArray[np.float64]  # (B,) in each resample
    is_rul: bool
    is_health: bool = False


def candidate_checks(
    contract: Twin,
    held_out: HeldOut,
    blend: Predictions,
    parts: Mapping[str, Predictions],
    params: PromoteParams,
) -> list[Check]:
    """Check a blend against its candidates, and its answers and intervals; no checks where there are none."""
    if not parts:
        return []
    machines = len(np.unique(held_out.assets))
    if machines < params.fewest_assets:
        told = f"{machines} held-out machines are too few to tell the blend from its candidates"
        return [Check(NAME, True, f"{told}; {params.fewest_assets} would decide")]
    resamples = Resamples(held_out.assets)
    unlearnt = {
        axis for axis, given in blend.answers.items() if _answered(given, held_out, axis) < params.least_answered
    }
    axes = [axis for axis in contract.axes if axis not in unlearnt]
    asked = partial(_questions, contract, held_out, resamples, params.fewest_assets, axes)
    ours, theirs = asked(blend), {name: asked(said) for name, said in parts.items()}
    strict = shared_confidence(params.confidence, len(ours) * len(theirs))
    checks = [_against_all(one, _fair(i, one, theirs), contract, strict) for i, one in enumerate(ours)]
    checks += [
        Check(NAME, True, f"axis {axis} is not learnt: too few of its windows get an answer, which is {told}")
        for axis in sorted(unlearnt)
        for told in [f"{share_text(_answered(blend.answers[axis], held_out, axis))} of them"]
    ]
    checks += [_right_check(axis, blend, held_out, resamples, params) for axis in axes if blend.confidence]
    return checks + _interval_checks(contract, blend, held_out, resamples, params)


def _questions(
    contract: Twin, held_out: HeldOut, resamples: Resamples, fewest: int, axes: list[str], said: Predictions
) -> list[JudgedQuestion]:
    """Measure the RUL, the RUL late in life, and the answers of each axis."""
    found, truth = [], held_out.truth
    if contract.rul and said.rul is not None:
        capped = np.minimum(truth.rul, contract.rul.cap)
        last = longest_lead_time(contract) * LATE_LIFE_SHARE
        late = np.where(truth.rul <= last, capped, np.nan)
        for title, target in (("RUL RMSE", capped), (f"RUL RMSE in the last {last:g} {contract.clock.unit}", late)):
            if len(np.unique(held_out.assets[~np.isnan(target)])) >= fewest:
                drawn = np.sqrt(resamples.means((said.rul - target)[:, None] ** 2)[:, 0])
                found.append(JudgedQuestion(title, rmse(said.rul, target), drawn, True))
    for axis in axes:
        given, true, classes = said.answers[axis], truth.faults[axis], len(contract.classes(axis))
        drawn = 1 - resamples.macro_f1(given, true, classes)
        title, error = f"macro-F1 of the answers about {axis}", 1 - macro_f1(given, true, classes)
        found.append(JudgedQuestion(title, error, drawn, False, is_health(axis, contract)))
    return found


def _fair(place: int, asked: JudgedQuestion, theirs: Mapping[str, list[JudgedQuestion]]) -> dict[str, JudgedQuestion]:
    """Return the answers of the candidates that a question may be held against."""
    found = {name: questions[place] for name, questions in theirs.items()}
    unlearnt = {name: one for name, one in found.items() if name not in LEARNT}
    return unlearnt if asked.is_health and unlearnt else found


def _against_all(ours: JudgedQuestion, theirs: Mapping[str, JudgedQuestion], contract: Twin, strict: float) -> Check:
    """Check that no candidate is surely better on a question."""
    best = min(theirs, key=lambda name: theirs[name].error)
    shares = {name: _lower(other, ours) for name, other in theirs.items()}
    sure = [name for name, share in shares.items() if share >= strict]
    told = f"{ours.title} {_text(ours, contract)}"
    if not math.isfinite(ours.error):
        return Check(NAME, False, f"{ours.title} of the blend is not a number, which never passes")
    if sure:
        worst = min(sure, key=lambda name: theirs[name].error)
        rival = f"{worst.replace('_', ' ')}, {_text(theirs[worst], contract)}"
        where = f"in {share_text(shares[worst])} of the resamples"
        advice = "list it alone in train.candidates, or leave out what spoils the blend"
        return Check(NAME, False, f"{told} is surely worse than that of its candidate {rival}, {where}; {advice}")
    rival = f"{best.replace('_', ' ')}, {_text(theirs[best], contract)}"
    better = share_text(_lower(ours, theirs[best]))
    judged = "surely better" if _lower(ours, theirs[best]) >= strict else "not surely different"
    sentence = f"{told}: {judged} than that of the best of {len(theirs)} candidates, {rival}"
    return Check(NAME, True, f"{sentence}, with less error in {better} of the resamples; none is surely better")


def _lower(one: JudgedQuestion, other: JudgedQuestion) -> float:
    """Return the share of the resamples in which `one` has less error."""
    both = ~(np.isnan(one.drawn) | np.isnan(other.drawn))
    return float(np.mean(one.drawn[both] < other.drawn[both])) if both.any() else 0.0


def _text(one: JudgedQuestion, contract: Twin) -> str:
    return f"{one.error:.4g} {contract.clock.unit}" if one.is_rul else f"{1 - one.error:.4f}"


def _answered(given: NDArray[np.int64], held_out: HeldOut, axis: str) -> float:
    known = held_out.truth.faults[axis] >= 0
    return float(np.mean(given[known] >= 0)) if known.any() else 0.0


def _right_check(
    axis: str, blend: Predictions, held_out: HeldOut, resamples: Resamples, params: PromoteParams
) -> Check:
    """Check that the answers given are not surely right in less than what was asked for."""
    given, truth, wanted = blend.answers[axis], held_out.truth.faults[axis], blend.confidence or 0.0
    told = (truth >= 0) & (given >= 0)
    right = np.where(told, (given == truth).astype(np.float64), np.nan)
    drawn, share = resamples.means(right[:, None])[:, 0], float(np.nanmean(right)) if told.any() else float("nan")
    fewer = float(np.mean(drawn[~np.isnan(drawn)] < wanted)) if told.any() else 0.0
    sentence = f"{share_text(share)} of the answers about {axis} are right, {share_text(wanted)} are asked for"
    if fewer >= params.confidence:
        return Check(
            "answers", False, f"{sentence}: surely fewer; label more runs, or ask for more in train.confidence"
        )
    return Check("answers", True, f"{sentence}: not surely fewer")


def _interval_checks(
    contract: Twin, blend: Predictions, held_out: HeldOut, resamples: Resamples, params: PromoteParams
) -> list[Check]:
    """Check coverage below the cap, and the share of failures before the interval, against what the level says."""
    low, high, level = blend.low, blend.high, blend.level
    if contract.rul is None or low is None or high is None or level is None or np.isnan(held_out.truth.rul).all():
        return []
    truth, capped = held_out.truth.rul, np.minimum(held_out.truth.rul, contract.rul.cap)
    below = truth < contract.rul.cap
    missed = {
        "truths below the cap are outside the interval": (below, (capped < low) | (capped > high), 1 - level),
        "failures come before the interval": (~np.isnan(truth), capped < low, (1 - level) / 2),
    }
    checks = []
    for title, (counted, outside, allowed) in missed.items():
        values = np.where(counted, outside.astype(np.float64), np.nan)
        if not counted.any():
            continue
        drawn, share = resamples.means(values[:, None])[:, 0], float(np.nanmean(values))
        more = float(np.mean(drawn[~np.isnan(drawn)] > allowed))
        sure = more >= params.confidence
        sentence = f"{share_text(share)} of the {title}, {share_text(allowed + 1e-9)} are meant to"
        checks.append(Check("interval", not sure, f"{sentence}: {'surely' if sure else 'not surely'} more"))
    return checks
