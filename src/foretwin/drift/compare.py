"""Comparison of recent readings in healthy life with the frozen reference: drift of each channel."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretwin.drift.mean_shift import EARLIER, SMALLEST_SHIFT, Estimate, Means, ShiftLaw, means_of
from foretwin.drift.profile import FEWEST_ASSETS, FEWEST_READINGS, SAME, DriftReference, Freshness

Array = NDArray[np.float64]

FALSE_ALARMS = 1e-3  # probability that a comparison of a clean fleet finds any channel drifted
TESTS = 3  # of each channel: its level, its change, its PSI
RARE = 1e-4  # share of differing readings that a constant channel is assumed to have in the reference
CONSTANT_LIMIT = 0.25  # PSI of a constant channel: about one reading in 25 differs


@dataclass(frozen=True)
class ChannelDrift:
    """Drift of one channel; shifts in standard deviations of the reference within a regime, given other channels."""

    name: str
    psi: float  # of the residual given the other channels; 0 where no reading is complete
    limit: float  # of PSI, for this number of assets and readings
    shift: float  # of the fleet's mean; 0 where the channel is constant
    shift_limit: float  # of its size; infinite where the channel is constant
    change: bool  # True: shift from the assets' own earlier readings; False: from the reference
    drifted: bool
    raw_psi: float  # of the raw readings: includes effects of operation and weather, so it has no limit
    missing: int  # readings without a value
    regimes: dict[int, float]  # PSI in each regime that has readings


@dataclass(frozen=True)
class DriftVerdict:
    """The result of comparing a fleet's readings with the reference."""

    readings: int  # that could be compared
    assets: int
    enough: bool
    drifted: bool
    channels: tuple[ChannelDrift, ...]


class HealthyReadings(NamedTuple):
    """N comparable readings of C channels."""

    assets: NDArray[Any]  # (N,)
    regime: NDArray[np.int64]  # (N,)
    away: Array  # (N, C) as `Scale.away` has it


@dataclass(frozen=True)
class Shifts:
    """Shifts of the C' channels that vary, after the drifted channels have been removed."""

    removed: Array  # (C',) the shifts of drifted channels, 0 of the others
    shift: Array  # (C',) of drifted channels, or the remaining shift
    limit: Array  # (C',)
    change: NDArray[np.bool_]  # (C',)


def compare(
    reference: DriftReference,
    assets: NDArray[Any],
    values: NDArray[np.float32],
    earlier: tuple[NDArray[Any], NDArray[np.float32]] | None = None,
) -> DriftVerdict:
    """Compare readings of healthy life, in any order: assets (N,) names or numbers, values (N, C) in physical units.

    NaN is a missing value. `earlier` are readings (M,), (M, C) of the same assets' healthy life before, each asset's in
    order of time, of which the last EARLIER count: a change since then is detected far sooner than a difference from
    the reference, since every sensor has errors of its own.

    Nothing drifts where fewer than FEWEST_ASSETS assets or FEWEST_READINGS readings can be compared. FALSE_ALARMS
    holds for the whole comparison.
    """
    recent = _readings(reference, assets, values)
    names, number = np.unique(recent.assets, return_inverse=True)
    size = (len(recent.assets), len(names))
    if reference.varying is None or size[0] < FEWEST_READINGS or size[1] < FEWEST_ASSETS:
        return DriftVerdict(*size, enough=False, drifted=False, channels=())
    varies = reference.scale.varies
    means, changes = means_of(recent.away[:, varies], number), None
    if earlier is not None and reference.varying.change is not None:
        changes = _changes(means, names, varies, _readings(reference, *earlier))
    shifts = _shifts(reference.varying, means, changes, len(reference.channels))
    varying = iter(_varying(reference, reference.varying, recent, shifts, size))
    missing = np.isnan(recent.away).sum(axis=0)
    channels = tuple(
        ChannelDrift(name, missing=int(missing[i]), **(next(varying) if varies[i] else _constant(reference, recent, i)))
        for i, name in enumerate(reference.channels)
    )
    return DriftVerdict(*size, enough=True, drifted=any(one.drifted for one in channels), channels=channels)


def _readings(reference: DriftReference, assets: NDArray[Any], values: NDArray[np.float32]) -> HealthyReadings:
    chosen = reference.scale.comparable(values)
    regime = reference.scale.regimes.nearest(values[chosen])
    names = assets[chosen]
    return HealthyReadings(
        names.astype(str) if names.dtype == object else names, regime, reference.scale.away(values[chosen], regime)
    )


def _changes(recent: Means, names: NDArray[Any], varies: NDArray[np.bool_], earlier: HealthyReadings) -> Means | None:
    """Return the mean changes of the assets `names` (n,); None where too few have enough earlier readings."""
    before = [np.flatnonzero(earlier.assets == name)[-EARLIER:] for name in names]
    chosen = [number for number, rows in enumerate(before) if len(rows) == EARLIER]
    if len(chosen) < FEWEST_ASSETS:
        return None
    rows = np.concatenate([before[number] for number in chosen])
    levels = means_of(earlier.away[rows][:, varies], np.repeat(np.arange(len(chosen)), EARLIER))
    return Means(recent.values[chosen] - levels.values, recent.counts[chosen])


def _shifts(varying: Freshness, means: Means, changes: Means | None, channels: int) -> Shifts:
    """Detect drifted channels one by one: the one furthest beyond its limit, until none is beyond it.

    A drifted channel is removed before the search for the next one, so its effect on the others is accounted for.
    """
    chance = FALSE_ALARMS / (TESTS * channels)
    laws: list[tuple[ShiftLaw, Means]] = [(varying.level, means)]
    if changes is not None and varying.change is not None:
        laws.append((varying.change, changes))
    removed = np.zeros((len(laws), means.values.shape[1]))
    named: dict[int, int] = {}  # channel -> law
    while True:
        found = [law.estimate(fleet, removed[i]) for i, (law, fleet) in enumerate(laws)]
        limits = np.stack([_limit(estimate, chance) for estimate in found])
        shift = np.stack([estimate.shift for estimate in found])
        share = np.abs(shift) / limits  # (laws, C')
        share[:, list(named)] = 0
        law, channel = divmod(int(share.argmax()), share.shape[1])
        if share[law, channel] <= 1:
            break
        removed[:, channel] = shift[:, channel]
        named[channel] = law
    chosen = share.argmax(axis=0)
    chosen[list(named)] = list(named.values())
    every = np.arange(len(chosen))
    taken = np.where(np.isin(every, list(named)), removed[chosen, every], 0)
    return Shifts(taken, np.where(taken != 0, taken, shift[chosen, every]), limits[chosen, every], chosen == 1)


def _limit(estimate: Estimate, chance: float) -> Array:
    error = np.where(np.isfinite(estimate.error), estimate.error, 0)  # a channel without values has shift 0
    return np.maximum(NormalDist().inv_cdf(1 - chance / 2) * error, SMALLEST_SHIFT)


def _varying(
    reference: DriftReference, varying: Freshness, recent: HealthyReadings, shifts: Shifts, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return the figures of the varying channels; of several beyond the limit of PSI alone, the furthest has drifted.

    Only readings without a missing value count. A channel's PSI includes its own shift, but no other channel's.
    """
    away = recent.away[:, reference.scale.varies]
    known = ~np.isnan(away).any(axis=1)
    away, regime = away[known], recent.regime[known]
    adjusted = (away - shifts.removed) @ varying.adjust.T + shifts.removed  # a channel's own coefficient is 1
    placed = varying.adjusted.place(adjusted, regime)
    psi, raw = varying.adjusted.psi(placed, regime), varying.raw.psi(varying.raw.place(away, regime), regime)
    limit = varying.clean.limit(size[1], size[0] / size[1], FALSE_ALARMS / (TESTS * len(reference.channels)))
    drifted = shifts.removed != 0
    beyond = np.where(drifted, 0, psi / limit)
    drifted[beyond.argmax()] |= beyond.max() > 1 and len(away) >= FEWEST_READINGS
    parts = {
        int(number): varying.adjusted.psi(placed[regime == number], regime[regime == number])
        for number in np.unique(regime)
    }
    return [
        {
            "psi": float(psi[i]),
            "limit": float(limit[i]),
            "shift": float(shifts.shift[i]),
            "shift_limit": float(shifts.limit[i]),
            "change": bool(shifts.change[i]),
            "drifted": bool(drifted[i]),
            "raw_psi": float(raw[i]),
            "regimes": {number: float(part[i]) for number, part in parts.items()},
        }
        for i in range(away.shape[1])
    ]


def _constant(reference: DriftReference, recent: HealthyReadings, channel: int) -> dict[str, Any]:
    """Return the figures of a channel that is constant within its regime: PSI of the readings that differ."""
    away, level = recent.away[:, channel], np.abs(reference.scale.mean[:, channel])
    known = ~np.isnan(away)

    def psi(chosen: NDArray[np.bool_]) -> float:
        differs = np.abs(away[chosen]) > SAME * np.maximum(level[recent.regime[chosen]], SAME)
        share = (differs.sum() + RARE) / (len(differs) + 1)
        return float((share - RARE) * np.log(share / RARE) + (RARE - share) * np.log((1 - share) / (1 - RARE)))

    value = psi(known)
    return {
        "psi": value,
        "limit": CONSTANT_LIMIT,
        "shift": 0.0,
        "shift_limit": float("inf"),
        "change": False,
        "drifted": value > CONSTANT_LIMIT,
        "raw_psi": value,
        "regimes": {int(number): psi(known & (recent.regime == number)) for number in np.unique(recent.regime)},
    }
