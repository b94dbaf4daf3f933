"""The gate: whether a candidate may replace the champion. Pure decisions from measured figures.

A candidate must beat the constant and the linear baseline, and must not be worse than the champion on the same rows
by more than the allowed share. The errors compared are the RMSE of the clipped RUL, in the contract's time unit, and
1 - the macro-F1's mean over the fault axes. What is not a number never passes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foretwin.contract import Twin
from foretwin.errors import RegistryError

MUST_BEAT = ("constant", "linear")

Figures = dict[str, float]  # rul_rmse in the contract's time unit, fault_macro_f1 from 0 to 1; what the twin has


@dataclass(frozen=True)
class Rival:
    """The champion as the gate sees it; `figures` is None where it cannot score these rows, for `obstacles`."""

    label: str
    figures: Figures | None
    obstacles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """`reasons` are sentences for people, each with both figures and their unit."""

    promoted: bool
    reasons: tuple[str, ...]
    candidate: Figures
    baselines: dict[str, Figures]


def decide(metrics: Mapping[str, Any], rival: Rival | None, allowed_loss: float) -> Decision:
    """Decide from the content of metrics.json; RegistryError where it lacks a figure that the gate needs."""
    candidate, baselines = _measured(metrics)
    unit = str(metrics["unit"])
    verdicts = []
    for question in candidate:
        verdicts += [
            _against_baseline(question, name, (candidate[question], baselines[name][question]), unit)
            for name in MUST_BEAT
        ]
        if rival is not None and rival.figures is not None:
            pair = (candidate[question], rival.figures[question])
            verdicts.append(_against_champion(question, rival.label, pair, unit, allowed_loss))
    reasons = list(dict.fromkeys(sentence for _, sentence in verdicts))
    if rival is None:
        reasons.append("there is no champion yet, so the baselines are all that had to be beaten")
    elif rival.figures is None:
        why = "; ".join(rival.obstacles)
        reasons.append(f"the champion, {rival.label}, cannot be compared: {why}; only the baselines had to be beaten")
    reasons += _beside(candidate, baselines, unit)
    return Decision(all(passed for passed, _ in verdicts), tuple(reasons), candidate, baselines)


def unchanged(metrics: Mapping[str, Any], label: str) -> Decision:
    """The decision on a bundle that is the champion already: it stays."""
    candidate, baselines = _measured(metrics)
    reasons = (f"the bundle is the champion already, {label}: it stays, and no new version is made",)
    return Decision(True, reasons, candidate, baselines)


def figures(measured: Mapping[str, Any], where: str) -> Figures:
    """The gate's figures out of what `evaluation.measure` returned; `where` names it in an error."""
    found: Figures = {}
    try:
        if "rul" in measured:
            found["rul_rmse"] = _number(measured["rul"]["clipped"]["rmse"])
        if measured.get("fault"):
            scores = [_number(axis["macro_f1"]) for axis in measured["fault"].values()]
            found["fault_macro_f1"] = sum(scores) / len(scores)
    except (KeyError, TypeError) as error:
        raise RegistryError(f"{where}: {error} is missing; run `dvc repro evaluate` again") from None
    if not found:
        raise RegistryError(f"{where}: holds neither RUL nor fault figures; run `dvc repro evaluate` again")
    return found


def obstacles(champion: Twin, candidate: Twin) -> tuple[str, ...]:
    """Why a champion trained under one contract cannot be compared on rows made for another; empty where it can."""
    before, now = ({name: c.unit for name, c in twin.channels.items()} for twin in (champion, candidate))
    found = [
        f"channel {name} is {_unit(before.get(name))} for it and {_unit(now.get(name))} now"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if champion.clock.unit != candidate.clock.unit:
        found.append(f"its time unit is {champion.clock.unit} and now {candidate.clock.unit}")
    caps = [twin.rul.cap if twin.rul else None for twin in (champion, candidate)]
    if caps[0] != caps[1]:
        found.append(f"its rul.cap is {_cap(caps[0])} and now {_cap(caps[1])}")
    for axis in sorted(champion.faults.keys() | candidate.faults.keys()):
        classes = [twin.classes(axis) if axis in twin.faults else () for twin in (champion, candidate)]
        if classes[0] != classes[1]:
            found.append(f"its classes of {axis} are ({', '.join(classes[0])}) and now ({', '.join(classes[1])})")
    if champion.window.length > candidate.window.length or champion.window.shortest > candidate.window.shortest:
        found.append("its window is longer than what these rows keep")
    return tuple(found)


def _measured(metrics: Mapping[str, Any]) -> tuple[Figures, dict[str, Figures]]:
    absent = [name for name in MUST_BEAT if name not in metrics.get("baselines", {})]
    if absent or "network" not in metrics or "unit" not in metrics:
        what = f"baselines.{absent[0]}" if absent else "network or unit"
        raise RegistryError(f"metrics.json: {what} is missing; run `dvc repro evaluate` again")
    candidate = figures(metrics["network"], "metrics.json: network")
    baselines = {name: figures(value, f"metrics.json: {name}") for name, value in metrics["baselines"].items()}
    for name, found in baselines.items():
        if found.keys() != candidate.keys():
            raise RegistryError(f"metrics.json: {name} answers other questions than the network; evaluate again")
    return candidate, baselines


def _against_baseline(question: str, name: str, pair: tuple[float, float], unit: str) -> tuple[bool, str]:
    ours, theirs = _texts(pair, question, unit)
    if not math.isfinite(pair[0]):
        return False, f"{_TITLES[question]} of the candidate is not a number, which never passes"
    passed = _error(question, pair[0]) < _error(question, pair[1])
    verb = "beats" if passed else "does not beat"
    return passed, f"{_TITLES[question]} {ours} {verb} the {name} baseline's {theirs}"


def _against_champion(
    question: str, label: str, pair: tuple[float, float], unit: str, allowed_loss: float
) -> tuple[bool, str]:
    ours, theirs = _texts(pair, question, unit)
    subject = f"{_TITLES[question]} {ours}"
    if not math.isfinite(pair[0]):
        return False, f"{_TITLES[question]} of the candidate is not a number, which never passes"
    if not math.isfinite(pair[1]):
        return True, f"{subject}; the champion's, {label}, is not a number on these rows"
    error, limit = _error(question, pair[0]), _error(question, pair[1])
    if error <= limit:
        return True, f"{subject} {'improves on' if error < limit else 'equals'} the champion's {theirs} ({label})"
    more = f"{100 * (error / limit - 1):.1f} % more error" if limit else "more error"
    passed = error <= limit * (1 + allowed_loss)
    judged = "within" if passed else "above"
    return (
        passed,
        f"{subject} is {more} than the champion's {theirs} ({label}), {judged} the {100 * allowed_loss:.3g} % allowed",
    )


def _beside(candidate: Figures, baselines: Mapping[str, Figures], unit: str) -> list[str]:
    """What the other baselines reach; shown, because a user should know, though it does not decide."""
    sentences = []
    for name, found in baselines.items():
        if name in MUST_BEAT:
            continue
        for question, value in found.items():
            ours, theirs = _texts((candidate[question], value), question, unit)
            better = _error(question, value) < _error(question, candidate[question])
            which = "better than" if better else "against"
            title = name.replace("_", " ")
            sentences.append(f"beside it, {title} has {_TITLES[question]} {theirs}, {which} {ours}; it does not decide")
    return sentences


_TITLES = {"rul_rmse": "RUL RMSE", "fault_macro_f1": "mean fault macro-F1"}


def _error(question: str, value: float) -> float:
    """What the figure leaves to be desired; lower is better."""
    return value if question == "rul_rmse" else 1 - value


def _texts(pair: tuple[float, float], question: str, unit: str) -> tuple[str, str]:
    """Both figures with as many digits as it takes to tell them apart."""
    digits = next((n for n in (4, 6, 8) if f"{pair[0]:.{n}g}" != f"{pair[1]:.{n}g}"), 4)
    suffix = f" {unit}" if question == "rul_rmse" else ""
    return f"{pair[0]:.{digits}g}{suffix}", f"{pair[1]:.{digits}g}{suffix}"


def _number(value: object) -> float:
    """A figure of a JSON file, in which NaN may stand as null."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number in place of {value!r}")
    return float(value)


def _unit(unit: str | None) -> str:
    return "absent" if unit is None else f"in {unit}"


def _cap(cap: float | None) -> str:
    return "absent" if cap is None else f"{cap:g}"
