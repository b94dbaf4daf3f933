"""Fit of a fleet's wear model to recorded lives: the process of the wear rates, and the state by age.

Expectation-maximisation for state-space models (R. H. Shumway and D. S. Stoffer, Journal of Time Series Analysis 3(4),
253-264, 1982): smooth all recordings under the present law, then fit the law to the smoothed states. Only readings are
used, no labels.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from foretwin.physics.pump.beliefs import Belief
from foretwin.physics.pump.equilibrium import operate
from foretwin.physics.pump.filtering import RATES, WORN, Hour, Recordings, Sensors, WearLaw, track
from foretwin.physics.pump.life import new_state
from foretwin.physics.pump.quantities import PUBLISHED, Array, Duty, Pump

SPREADS = (0.05, 0.07, 0.1, 0.14, 0.2)  # per hour; the likeliest, for expectation-maximisation barely moves it
ROUNDS = 3  # of expectation-maximisation per spread, each started from the result of the previous one
FEWEST = 20  # pumps of an age; older ones are taken to be as those of the last age that this many reached


@dataclass(frozen=True)
class Fleet:
    """Prior of a fleet: what is known of a pump before its readings."""

    law: WearLaw
    by_age: Belief  # about WORN; entry a is for the age of a hours

    def at(self, age: Array) -> Belief:
        """Return the belief about WORN of pumps of `age` (N,), h."""
        entry = np.clip(np.rint(age).astype(np.int64), 0, len(self.by_age) - 1)
        return Belief(self.by_age.mean[entry], self.by_age.covariance[entry])


@dataclass(frozen=True)
class Smoothed:
    """Smoothed belief about the n recorded pumps in one hour, given their whole recordings."""

    worn: Belief  # about WORN
    lag: Array  # (n', 3, 3) covariance of RATES with those an hour later, for the n' pumps still recorded then


def learn_fleet(recordings: Recordings, sensors: Sensors) -> Fleet:
    """Fit a fleet to recordings that each begin with a new pump.

    Of the spreads the first is taken after which the evidence falls: beyond it lie only worse ones.
    """
    fleet = best = first_guess(recordings)
    most = -np.inf
    for spread in SPREADS:
        for _ in range(ROUNDS):
            fleet, evidence = _improved(fleet, recordings, sensors, spread)
        if evidence < most:
            break
        best, most = fleet, evidence
    return best


def first_guess(recordings: Recordings, pump: Pump = PUBLISHED) -> Fleet:
    """Initialise a fleet: new parts as published, rates that wear each out in a mean recording within a factor of e."""
    rated = Duty.rated(pump)
    new = new_state(np.ones((3, 1)), rated, pump)
    running = operate(new, rated, pump)
    seconds = 3600 * float(recordings.counts.mean())
    impeller = (pump.new_area - pump.area_limit) / (running.flow**2 * seconds)
    bearing = np.log(2) / (running.speed**2 * seconds)
    wear = (new.impeller_area, new.thrust_friction, new.radial_friction)
    mean = np.log(np.concatenate([*wear, impeller, bearing, bearing]))
    deviation = np.array([0.05, 0.1, 0.1, 1, 1, 1])
    law = WearLaw(drift=np.zeros(3), memory=np.ones(3), spread=np.full(3, SPREADS[0]))
    return Fleet(law, Belief(mean[None], np.diag(deviation**2)[None]))


def smooth(hours: list[Hour]) -> list[Smoothed]:
    """Apply the Rauch-Tung-Striebel smoother to the hours from `track`."""
    later = hours[-1].known
    smoothed = [Smoothed(later.about(WORN), np.empty((0, 3, 3)))]
    for after, now in pairwise(reversed(hours)):
        gain = np.linalg.solve(after.expected.covariance, after.cross.swapaxes(1, 2)).swapaxes(1, 2)
        shift = gain @ (later.mean - after.expected.mean)[:, :, None]
        change = gain @ (later.covariance - after.expected.covariance) @ gain.swapaxes(1, 2)
        lag = (gain @ later.covariance)[:, RATES, RATES]
        mean, covariance = now.known.mean.copy(), now.known.covariance.copy()
        mean[: len(later)] += shift[:, :, 0]
        covariance[: len(later)] += (change + change.swapaxes(1, 2)) / 2  # symmetric despite rounding
        later = Belief(mean, covariance)
        smoothed.append(Smoothed(later.about(WORN), lag))
    return smoothed[::-1]


def _improved(fleet: Fleet, recordings: Recordings, sensors: Sensors, spread: float) -> tuple[Fleet, float]:
    """Run one round of expectation-maximisation; return the new fleet and the evidence of the old one."""
    start = fleet.at(np.zeros(len(recordings.counts)))
    hours = track(start, recordings, fleet.law, sensors)
    return _fitted(smooth(hours), spread), sum(hour.evidence for hour in hours)


def _fitted(hours: list[Smoothed], spread: float) -> Fleet:
    """Fit the fleet of maximum likelihood to the smoothed recordings, for wear rates of this `spread`."""
    sums = np.zeros((5, 3))  # per part, over all pumps and hours: 1, before, after, before^2, before * after
    for now, later in pairwise(hours):
        before, after = now.worn.first(len(later.worn)).about(RATES), later.worn.about(RATES)
        squared = _diagonals(before.covariance) + before.mean**2
        product = _diagonals(now.lag) + before.mean * after.mean
        terms = (np.ones_like(squared), before.mean, after.mean, squared, product)
        sums += np.stack([term.sum(axis=0) for term in terms])
    before, after, squared, product = sums[1:] / sums[0]
    memory = (product - before * after) / (squared - before**2)
    return Fleet(WearLaw(after - memory * before, memory, np.full(3, spread)), _by_age(hours))


def _by_age(hours: list[Smoothed]) -> Belief:
    """Compute mean and covariance over the pumps of each age."""
    fewest = min(FEWEST, len(hours[0].worn))
    kept = [hour.worn for hour in hours if len(hour.worn) >= fewest]
    means = [pumps.mean.mean(axis=0) for pumps in kept]
    away = [pumps.mean - mean for pumps, mean in zip(kept, means, strict=True)]
    covariances = [p.covariance.mean(axis=0) + a.T @ a / len(a) for p, a in zip(kept, away, strict=True)]
    return Belief(np.stack(means), np.stack(covariances))


def _diagonals(matrices: Array) -> Array:
    """Return the diagonals (N, D) of matrices (N, D, D)."""
    return np.diagonal(matrices, axis1=1, axis2=2)
