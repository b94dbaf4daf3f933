"""The rule by which one model may replace another, used for champion and baselines alike.

X would replace Y if on at least one figure its error is surely lower, and on no figure surely larger by more than the
allowed share; as sure as Student's t of so many machines, with the confidence shared among the figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foretwin.gate.figures import (
    TITLES,
    Check,
    PredictorFigures,
    error_of,
    figure_texts,
    is_surely_above,
    share_text,
    shared_confidence,
)
from foretwin.project.params import PromoteParams


@dataclass(frozen=True)
class Compared:
    """Comparison of two predictors, ours and theirs, on one figure."""

    question: str
    ours: float  # figure
    theirs: float
    lower: float  # share of the resamples in which our error is the lower one
    beyond: float  # share in which it exceeds theirs by more than the allowed share of theirs
    is_won: bool  # surely so, or theirs alone is not a number
    is_lost: bool  # surely so, or our figure is not a number


def compare_figures(ours: PredictorFigures, theirs: PredictorFigures, params: PromoteParams) -> list[Compared]:
    """Compare two predictors figure by figure; NaN loses against a finite figure."""
    found, confidence = [], shared_confidence(params.confidence, len(ours.figures))
    for question, figure in ours.figures.items():
        other = theirs.figures[question]
        drawn, others = ours.errors[question], theirs.errors[question]
        lower = float(np.mean(drawn < others))
        is_won = is_surely_above(others - drawn, ours.machines, confidence)
        if math.isfinite(figure) != math.isfinite(other):
            is_won = math.isfinite(figure)
            lower = float(is_won)
        more = drawn - others * (1 + params.allowed_loss)
        is_worse = math.isfinite(other) and is_surely_above(more, ours.machines, confidence)
        is_lost = is_worse or not math.isfinite(figure)
        found.append(Compared(question, figure, other, lower, float(np.mean(more > 0)), is_won, is_lost))
    return found


def would_replace(compared: list[Compared]) -> bool:
    """Apply the replacement rule to the comparisons of all figures."""
    return any(one.is_won for one in compared) and not any(one.is_lost for one in compared)


def against_baselines(
    candidate: PredictorFigures, baselines: dict[str, PredictorFigures], unit: str, params: PromoteParams
) -> list[Check]:
    """Check the candidate against each baseline; those of `must_beat` must be beaten on every figure.

    For the others the check only reports whether they would replace the candidate: a baseline cannot be served, so a
    twin for which a baseline is the better model still gains from the candidate.
    """
    checks = []
    for name, baseline in baselines.items():
        title = name.replace("_", " ")
        if name in params.must_beat:
            checks += [_must_beat(one, title, unit) for one in compare_figures(candidate, baseline, params)]
            continue
        compared = compare_figures(baseline, candidate, params)
        replaces = would_replace(compared)
        tail = (
            "it would replace the candidate, but does not decide" if replaces else "it would not replace the candidate"
        )
        checks.append(Check("baselines", True, f"{title} has {_listed(compared, unit)}: {tail}"))
    return checks


def against_champion(
    candidate: PredictorFigures,
    champion: PredictorFigures,
    label: str,
    unit: str,
    params: PromoteParams,
    added: Sequence[str] = (),
) -> list[Check]:
    """Check whether the candidate would replace the champion, `label`, with one sentence per figure.

    Who answers questions that the champion does not, `added`, need not be better in what both answer.
    """
    compared = compare_figures(candidate, champion, params)
    checks = [_question_check(one, label, unit, params.allowed_loss) for one in compared]
    if added:
        checks.append(Check("champion", True, f"it answers {', '.join(added)} too, which {label} does not"))
    elif not any(one.is_won for one in compared):
        shares = ", ".join(f"{TITLES[one.question]} in {share_text(one.lower)} of the resamples" for one in compared)
        wanted = f"chance does as much with {candidate.machines} machines, at {share_text(params.confidence)}"
        checks.append(Check("champion", False, f"not surely better than the champion, {label}: {shares}; {wanted}"))
    return checks


def _must_beat(one: Compared, title: str, unit: str) -> Check:
    if not math.isfinite(one.ours):
        return _no_number(one, "baselines")
    ours, theirs = figure_texts((one.ours, one.theirs), one.question, unit)
    passed = error_of(one.question, one.ours) < error_of(one.question, one.theirs)
    verb = "beats" if passed else "does not beat"
    return Check("baselines", passed, f"{TITLES[one.question]} {ours} {verb} the {title} baseline's {theirs}")


def _question_check(one: Compared, label: str, unit: str, loss: float) -> Check:
    if not math.isfinite(one.ours):
        return _no_number(one, "champion")
    ours, theirs = figure_texts((one.ours, one.theirs), one.question, unit)
    subject = f"{TITLES[one.question]} {ours}"
    if not math.isfinite(one.theirs):
        return Check("champion", True, f"{subject}; the champion's, {label}, is not a number on these windows")
    error, limit = error_of(one.question, one.ours), error_of(one.question, one.theirs)
    if error <= limit:
        verb = "improves on" if error < limit else "equals"
        tail = f", with less error in {share_text(one.lower)} of the resamples" if error < limit else ""
        return Check("champion", True, f"{subject} {verb} the champion's {theirs} ({label}){tail}")
    more = f"{100 * (error / limit - 1):.1f} % more error" if limit else "more error"
    judged = "surely above" if one.is_lost else "not surely above"
    than = f"{subject} is {more} than the champion's {theirs} ({label})"
    told = f"the {100 * loss:.3g} % allowed, which it exceeds in {share_text(one.beyond)} of the resamples"
    return Check("champion", not one.is_lost, f"{than}, {judged} {told}")


def _no_number(one: Compared, name: str) -> Check:
    return Check(name, False, f"{TITLES[one.question]} of the candidate is not a number, which never passes")


def _listed(compared: list[Compared], unit: str) -> str:
    """Format a baseline's figures against the candidate's."""
    found = []
    for one in compared:
        theirs, ours = figure_texts((one.ours, one.theirs), one.question, unit)
        found.append(
            f"{TITLES[one.question]} {theirs} against {ours}, better in {share_text(one.lower)} of the resamples"
        )
    return ", and ".join(found)
