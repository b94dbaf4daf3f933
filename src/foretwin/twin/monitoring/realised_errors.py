"""Realised errors: scores compared with the RUL that a later failure revealed.

Truths are capped at the contract's cap, as in training. Whole assets are drawn for intervals. PHM08 is given per score,
since a sum grows with the number of scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.evaluation.resampling import bootstrap, remaining_life_bands
from foretwin.metrics import coverage, phm08
from foretwin.twin.store import Connection
from foretwin.twin.store.scoring import monitoring
from foretwin.twin.store.scoring.monitoring import Alarms, ScoredReadings
from foretwin.twin.store.scoring.scores import ScoringModel

MOST_RUNS = 1000  # that ended last
ENOUGH_RUNS = 10  # below these nothing is concluded
TOLERANCE = 1.1  # the held-out error is an estimate too, from some tens of assets
TOO_LITTLE = 0.1  # that the intervals' coverage may be below their level
SEED = 1


@dataclass
class Errors:
    """Errors of one model: a row per run that it scored and that ended in a failure."""

    assets: list[int] = field(default_factory=list)
    sums: list[tuple[float, ...]] = field(default_factory=list)  # scores, squared error, covered, late, PHM08
    bands: dict[str, list[float]] = field(default_factory=dict)  # band of remaining life -> scores, squared error


@dataclass
class RealisedErrors:
    """The errors of all ended runs of a twin."""

    models: dict[int, Errors] = field(default_factory=dict)
    failures: int = 0
    lead_times: list[float] = field(default_factory=list)  # from the opening of the first case to the failure


def compare_with_failures(
    connection: Connection, contract: Twin, failed: Mapping[tuple[int, int], float], opened: Mapping[Any, float]
) -> RealisedErrors:
    """Compare the scores of the last MOST_RUNS runs; runs without scores are skipped and not counted as missed.

    `opened` says when the first case of a run opened.
    """
    truth = RealisedErrors()
    for (asset, run), time in list(failed.items())[-MOST_RUNS:]:
        scored, end = monitoring.scores_of_run(connection, asset, run, time)
        if scored is None:
            continue
        truth.failures += 1
        since = opened.get((asset, run))
        if since is not None and since <= time:
            truth.lead_times.append(time - since)
        if contract.rul:
            _add(truth.models, asset, scored, end - scored.time, contract.rul.cap)
    return truth


def realised_figures(errors: Errors, level: float | None) -> dict[str, Any]:
    """Return the realised figures of one model as JSON values, in the contract's time unit; intervals are of 95 %."""
    sums = np.array(errors.sums)
    low, high = bootstrap(lambda drawn: _rmse(sums[drawn]), np.array(errors.assets), SEED)
    count, _, covered, late, score = sums.sum(axis=0).tolist()
    bands = {
        name: {"scores": int(n), "rmse": float(np.sqrt(total / n))} for name, (n, total) in errors.bands.items() if n
    }
    return {
        "runs": len(sums),
        "scores": int(count),
        "rmse": _rmse(sums),
        "rmse_low": low,
        "rmse_high": high,
        "phm08_per_score": score / count,
        "coverage": covered / count,
        "level": level,
        "late_share": late / count,
        "bands": bands,
    }


def limits_broken(version: str, found: Mapping[str, Any], held_out: float | None, unit: str) -> list[str]:
    """List what is worse than promised, as sentences; empty for fewer than ENOUGH_RUNS runs."""
    if found["runs"] < ENOUGH_RUNS:
        return []
    sentences = []
    if held_out is not None and found["rmse_low"] > TOLERANCE * held_out:
        interval = f"95 % interval {found['rmse_low']:.4g} to {found['rmse_high']:.4g}"
        sentences.append(
            f"version {version} was off by {found['rmse']:.4g} {unit} (RMSE) over {found['runs']} runs that failed, "
            f"{interval}: above {TOLERANCE:g} times the {held_out:.4g} {unit} of its held-out assets"
        )
    level = found["level"]
    if level is not None and found["coverage"] < level - TOO_LITTLE:
        sentences.append(
            f"the {level:.0%} intervals of version {version} held {found['coverage']:.0%} of the truths of "
            f"{found['runs']} runs that failed: below {level - TOO_LITTLE:.0%}"
        )
    return sentences


def summary(truth: RealisedErrors, alarms: Alarms, known: Mapping[int, ScoringModel]) -> dict[str, Any]:
    """Return all realised errors as JSON values; `known` are the models by number, the newest first in the answer."""
    ordered = sorted(truth.models, reverse=True)
    lead = np.array(truth.lead_times)
    quartiles = np.quantile(lead, [0.25, 0.5, 0.75]).tolist() if len(lead) else [None] * 3
    return {
        "failures": truth.failures,
        "missed_failures": truth.failures - len(lead),
        "lead_time": dict(zip(("lower_quartile", "median", "upper_quartile"), quartiles, strict=True)),
        "closed_cases": alarms.closed,
        "false_alarms": {"no_fault_found": alarms.no_fault_found, "recovered": alarms.recovered},
        "models": [
            {
                "version": known[number].version,
                "digest": known[number].digest,
                **realised_figures(truth.models[number], known[number].level),
            }
            for number in ordered
        ],
    }


def _rmse(sums: NDArray[np.float64]) -> float:
    return float(np.sqrt(sums[:, 1].sum() / sums[:, 0].sum()))


def _add(models: dict[int, Errors], asset: int, scored: ScoredReadings, left: NDArray[np.float64], cap: float) -> None:
    """Add one run's errors; `left` (N,) is the true RUL of each score."""
    truth = np.minimum(left, cap)
    for model in np.unique(scored.model).tolist():
        mine = (scored.model == model) & np.isfinite(scored.rul)
        if not mine.any():
            continue
        errors = models.setdefault(model, Errors())
        rul, true = scored.rul[mine], truth[mine]
        square = np.square(rul - true)
        inside = coverage(scored.rul_low[mine], scored.rul_high[mine], true) * len(true)
        late = float((rul > true).sum())
        errors.assets.append(asset)
        errors.sums.append((float(len(true)), float(square.sum()), inside, late, phm08(rul, true, cap)))
        for name, chosen in remaining_life_bands(left[mine], cap).items():
            band = errors.bands.setdefault(name, [0.0, 0.0])
            band[0] += float(chosen.sum())
            band[1] += float(square[chosen].sum())
