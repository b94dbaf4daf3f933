"""Limits that every candidate must keep: interval coverage, cost of late predictions, latency and bundle size."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Rul
from foretwin.evaluation.held_out import HeldOut, Predictions
from foretwin.evaluation.resampling import Resamples
from foretwin.gate.figures import Check, is_surely_above, share_text
from foretwin.metrics import coverage, late_costs
from foretwin.project.params import PromoteParams


def coverage_check(candidate: Predictions, truth: NDArray[np.float64], rul: Rul, params: PromoteParams) -> list[Check]:
    """Check the share of true RULs (N,), capped, inside the interval; no check without an interval or any truth.

    A narrow interval that covers all truths of a few machines is not at fault: an interval is too wide if it hardly
    ever misses and is more than half as wide as the central range of the truths that has the same level without any
    model.
    """
    low, high, level = candidate.low, candidate.high, candidate.level
    if low is None or high is None or level is None or np.isnan(truth).all():
        return []
    capped = np.minimum(truth, rul.cap)
    found, width = coverage(low, high, capped), float(np.mean(high - low))
    fewest, most = (max(0.0, 1 - times * (1 - level)) for times in reversed(params.misses))
    held = f"the {level:.0%} interval holds {share_text(found)} of the true RULs with a mean width of {width:.4g}"
    if found < fewest:
        return [Check("coverage", False, f"{held}: too narrow, {share_text(fewest)} is the least")]
    low_end, high_end = np.nanquantile(capped, [(1 - level) / 2, (1 + level) / 2])
    unknowing = float(high_end - low_end)
    if found > most and width > unknowing / 2:
        blind = f"the same share lies within {unknowing:.4g} without any model"
        return [Check("coverage", False, f"{held}: too wide, {share_text(most)} is the most where {blind}")]
    return [Check("coverage", True, f"{held}, {share_text(fewest)} is the least")]


def late_cost_check(
    candidate: Predictions,
    champion: Predictions,
    held_out: HeldOut,
    rul: Rul,
    resamples: Resamples,
    params: PromoteParams,
) -> list[Check]:
    """Check that the PHM 2008 score is not surely worse than the champion's."""
    truth, machines = held_out.truth.rul, len(np.unique(held_out.assets))
    if candidate.rul is None or champion.rul is None or np.isnan(truth).all():
        return []
    capped = np.minimum(truth, rul.cap)
    with np.errstate(over="ignore", invalid="ignore"):
        costs = np.stack([late_costs(one.rul, capped, rul.cap) for one in (candidate, champion)], axis=1)  # type: ignore[arg-type]
        costs[np.isnan(truth)] = 0
        ours, theirs = (float(total) for total in costs.sum(axis=0))
        drawn = resamples.sums(costs)
        more = drawn[:, 0] - drawn[:, 1] * (1 + params.allowed_loss)
    pair = f"PHM08 score {ours:.5g} against the champion's {theirs:.5g}"
    if is_surely_above(more, machines, params.confidence):
        worse = f"more than {100 * params.allowed_loss:.3g} % worse in {share_text(float(np.mean(more > 0)))}"
        return [Check("phm08", False, f"late predictions cost more: {pair}, {worse} of the resamples")]
    return [Check("phm08", True, f"late predictions do not surely cost more: {pair}")]


def slowdown_check(times: Mapping[int, tuple[float, float]], params: PromoteParams) -> Check:
    """Check how many times as long as its network a blend takes; `times` by number of windows at once, with its ms.

    However small a network is beside it, a blend that answers them all within the time for one window is quick enough.
    """
    (one, (first, _)), *others = times.items()
    held = f"the blend takes {first:.1f} times as long as its network for {one} window"
    held += "".join(f", {factor:.1f} times for {count}" for count, (factor, _) in others)
    if max(factor for factor, _ in times.values()) <= params.blend_slowdown:
        return Check("latency", True, f"{held}, within the {params.blend_slowdown:g} times allowed")
    longest = max(ms for _, ms in times.values())
    if longest <= params.latency_ms:
        return Check(
            "latency", True, f"{held}, in {longest:.1f} ms, within the {params.latency_ms:g} ms for one window"
        )
    advice = "leave a candidate with little weight out of train.candidates"
    return Check("latency", False, f"{held}, above the {params.blend_slowdown:g} times allowed; {advice}")


def budget_checks(latency_ms: float, megabytes: float, params: PromoteParams) -> list[Check]:
    """Check the time to score one window and the size of the bundle against their limits."""
    quick, small = latency_ms <= params.latency_ms, megabytes <= params.bundle_mb
    time = f"one window takes {latency_ms:.1f} ms at the median"
    size = f"the bundle takes {megabytes:.2f} MB"
    return [
        Check("latency", quick, f"{time}, {'within' if quick else 'above'} the {params.latency_ms:g} ms allowed"),
        Check("size", small, f"{size}, {'within' if small else 'above'} the {params.bundle_mb:g} MB allowed"),
    ]
