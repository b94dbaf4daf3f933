"""Conformal RUL intervals, from the residuals of members on their held-out assets.

The residuals of held-out assets at random cuts are grouped by predicted RUL, since predictions are more accurate near
the end of life. Each group keeps the two residual quantiles that leave (1 - level) / 2
on either side, with the finite-sample correction of split-conformal prediction (Vovk et al., Algorithmic Learning
in a Random World, 2005; Lei et al., JASA 113, 2018). Between the groups' centres the offsets are interpolated.

Several cuts of one asset are not independent, so the guarantee holds approximately, for many assets; the coverage on
test assets is measured and reported. The intervals of a blend, `fit_by_asset`, are fitted to whole assets instead: each
counts the same, and conformal risk control (Angelopoulos et al., ICLR 2024) bounds the share of an asset's cuts that a
side misses.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.predictor.failure_chances import FailureChances

SMALLEST_GROUP = 60  # residuals; below this a 5 % quantile is a guess
MOST_GROUPS = 8


class GroupOffsets(NamedTuple):
    """Offsets at the centres of the groups, as `RulIntervals` has them."""

    centres: tuple[float, ...]
    below: tuple[float, ...]
    above: tuple[float, ...]


@dataclass(frozen=True)
class JudgedCuts:
    """N cuts with a known truth, predicted by members that hold their fold out; times in the contract's unit."""

    predicted: NDArray[np.float64]  # (N,)
    truth: NDArray[np.float64]  # (N,) capped
    assets: NDArray[np.int64]  # (N,)
    folds: NDArray[np.int64]  # (N,)
    cap: float

    def part(self, chosen: NDArray[np.bool_]) -> "JudgedCuts":
        """Select some of the cuts, or all where none is chosen."""
        at = chosen if chosen.any() else np.ones(len(chosen), bool)
        return JudgedCuts(self.predicted[at], self.truth[at], self.assets[at], self.folds[at], self.cap)


@dataclass(frozen=True)
class RulIntervals:
    """Offsets from a predicted RUL to its interval, in the contract's time unit."""

    level: float
    centres: tuple[float, ...]  # predicted RUL at the groups' medians, increasing
    below: tuple[float, ...]  # distance from the prediction to the lower end, at each centre
    above: tuple[float, ...]
    failure: FailureChances | None = None  # where the contract names horizons

    @classmethod
    def fit(cls, predicted: NDArray[np.floating], truth: NDArray[np.floating], level: float) -> Self:
        """Fit to predicted and true RUL, (N,) in the contract's time unit, truth capped as in training; N > 0."""
        order = np.argsort(predicted, kind="stable")
        count = int(np.clip(len(order) // SMALLEST_GROUP, 1, MOST_GROUPS))
        groups: dict[float, list[NDArray[np.int64]]] = {}
        for group in np.array_split(order, count):  # groups of predictions at the cap have the same centre
            groups.setdefault(float(np.median(predicted[group])), []).append(group)
        residuals = [truth[part] - predicted[part] for part in map(np.concatenate, groups.values())]
        below = tuple(_conformal_quantile(-residual, level) for residual in residuals)
        above = tuple(_conformal_quantile(residual, level) for residual in residuals)
        return cls(level, tuple(groups), below, above)

    @classmethod
    def fit_by_asset(cls, cuts: "JudgedCuts", level: float) -> Self:
        """Fit to cuts whose predictions come from other folds; the two sides are bounded each for itself.

        The lower end, the latest safe date, is fitted to truths below the cap alone: those at the cap, which it can
        hardly miss, must not pay for the others. Its risk is the mean over assets of the share of such cuts with an end
        of life before it. The upper end is fitted to both. Offsets per group come from all folds; how much they are
        widened comes from folds that the offsets have not seen.
        """
        offsets = _group_offsets(cuts, level)
        risk = (1 - level) / 2
        apart = [(part, _group_offsets(cuts.part(~part), level)) for part in _each(cuts.folds)]
        ends = [np.full(len(cuts.truth), np.nan) for _ in range(3)]  # lower, upper, and the unit of widening
        for part, other in apart:
            low, high = (np.interp(cuts.predicted[part], other.centres, side) for side in (other.below, other.above))
            ends[0][part], ends[1][part], ends[2][part] = low, high, np.maximum(low + high, 1e-3 * cuts.cap)
        below_cap, missing = cuts.truth < cuts.cap, cuts.predicted - cuts.truth
        lower = _widening(missing - ends[0], ends[2], cuts.assets, below_cap, risk)
        everyone = np.ones(len(below_cap), bool)
        reaches = np.minimum(cuts.truth, cuts.cap) - cuts.predicted
        upper = max(_widening(reaches - ends[1], ends[2], cuts.assets, who, risk) for who in (below_cap, everyone))
        unit = [max(low + high, 1e-3 * cuts.cap) for low, high in zip(offsets.below, offsets.above, strict=True)]
        below = tuple(low + lower * one for low, one in zip(offsets.below, unit, strict=True))
        return cls(
            level, offsets.centres, below, tuple(h + upper * o for h, o in zip(offsets.above, unit, strict=True))
        )

    def interval(self, rul: NDArray[np.floating], cap: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the interval ends (N,) of predicted RULs (N,), within 0 and `cap`; `cap` means "that or more"."""
        centres, below, above = self._offsets
        low = np.minimum(rul - np.interp(rul, centres, below), rul)
        high = np.maximum(rul + np.interp(rul, centres, above), rul)
        return np.minimum(np.maximum(low, 0), cap), np.minimum(np.maximum(high, 0), cap)

    @cached_property
    def _offsets(self) -> tuple[NDArray[np.float64], ...]:
        """Return `centres`, `below` and `above` as arrays."""
        return tuple(np.array(values, np.float64) for values in (self.centres, self.below, self.above))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        values = asdict(self)
        return values if self.failure else {name: value for name, value in values.items() if name != "failure"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        failure = FailureChances.from_dict(values["failure"]) if "failure" in values else None
        centres, below, above = (tuple(values[name]) for name in ("centres", "below", "above"))
        return cls(values["level"], centres, below, above, failure)


def _conformal_quantile(residual: NDArray[np.floating], level: float) -> float:
    """Return the value that (1 + level) / 2 of future residuals do not exceed, from (N,) past ones."""
    count = len(residual)
    rank = int(np.ceil((count + 1) * (1 + level) / 2))
    return float(np.sort(residual)[min(rank, count) - 1])


def _each(folds: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Yield the mask (N,) of each fold."""
    for fold in np.unique(folds):
        yield folds == fold


def _group_offsets(cuts: JudgedCuts, level: float) -> GroupOffsets:
    """Take each group's quantiles, in which all assets count the same; see `RulIntervals.fit_by_asset`."""
    order = np.argsort(cuts.predicted, kind="stable")
    count = int(np.clip(len(order) // SMALLEST_GROUP, 1, MOST_GROUPS))
    groups: dict[float, list[NDArray[np.int64]]] = {}
    for group in np.array_split(order, count):
        groups.setdefault(float(np.median(cuts.predicted[group])), []).append(group)
    below, above = [], []
    for part in map(np.concatenate, groups.values()):
        residual, weight = cuts.truth[part] - cuts.predicted[part], _even(cuts.assets[part])
        living = cuts.truth[part] < cuts.cap
        late = living if living.any() else ~living
        below.append(_weighted_quantile(-residual[late], weight[late], (1 + level) / 2))
        sides = [late, np.ones(len(part), bool)]
        above.append(max(_weighted_quantile(residual[who], weight[who], (1 + level) / 2) for who in sides))
    return GroupOffsets(tuple(groups), tuple(below), tuple(above))


def _even(assets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weights (N,) by which all assets count the same."""
    _, place, counts = np.unique(assets, return_inverse=True, return_counts=True)
    even: NDArray[np.float64] = 1 / counts[place]
    return even


def _weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], level: float) -> float:
    """Return the smallest of the values (N,) that `level` of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, level - 1e-12)), len(order) - 1)])


def _widening(
    excess: NDArray[np.float64],
    unit: NDArray[np.float64],
    assets: NDArray[np.int64],
    counted: NDArray[np.bool_],
    risk: float,
) -> float:
    """Return by how many units (N,) a side moves out, or in where negative, so that its risk is at most `risk`.

    `excess` (N,) is how far each truth lies outside. The mean share of missed cuts over A assets, with one more asset
    that misses all, is bounded: so is its expectation for the next asset. Where A is too small for that, no cut may be
    missed.
    """
    if not counted.any():
        return 0.0
    needed, weight = excess[counted] / unit[counted], _even(assets[counted])
    order = np.argsort(-needed, kind="stable")
    missed = np.cumsum(weight[order])  # in assets, where the side moves just short of this cut
    allowed = risk * (len(np.unique(assets[counted])) + 1) - 1
    within = int(np.searchsorted(missed, allowed + 1e-12, side="right"))
    return float(needed[order][min(within, len(order) - 1)])
