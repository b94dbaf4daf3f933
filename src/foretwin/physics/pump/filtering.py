"""Where pumps stand, estimated from hourly readings by a sigma-point Kalman filter on the pump's own equations.

What is hidden in a pump is a vector of D = 9 + S quantities:

    0-2   logarithms of impeller area (Pa s2), thrust and radial friction (N m s)
    3-5   logarithms of their wear rates, in the units of `WearRates`
    6-8   temperatures of thrust bearing, radial bearing and oil, K
    9-    biases of the S sensors, in standard deviations of their noise

Friction and temperatures obey the published equations. How wear rates change is not published: their logarithms are
taken to wander, and `learning` finds out how far. A sigma-point filter and not particles, because with the biases
some 16 quantities must be found at once, for which a few hundred particles are too few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foretwin.physics.pump.beliefs import Belief, Image, image
from foretwin.physics.pump.life import settle, step
from foretwin.physics.pump.quantities import Array, Duty, State, WearRates
from foretwin.physics.pump.sensors import readings

WEAR, RATES, WARMTH, BIASES = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, None)
WORN = slice(0, 6)  # wear and its rates: what decides about the future
SETTINGS = ("commanded_speed", "ambient_temperature", "suction_pressure", "discharge_pressure")
# Sigma points and draws may lie where no pump runs; there wear and its rates are taken at these bounds, so that motor
# and flow keep a steady point. A pump that reaches them has passed its limits.
FASTEST = np.array([-2.7, -20.0, -20.0])  # log wear rates: about a whole life in an hour
LEAST, MOST = np.array([9.0, 1e-7, 1e-7]), np.array([16.0, 1e-4, 1e-4])  # Pa s2, N m s, N m s
MODEL_ERROR = {"wear": (1e-4, 1e-3, 1e-3), "warmth": (0.1, 0.1, 0.1)}  # log, K per hour: what the equations leave out
NO_KNOWLEDGE = 1e12  # variance of a reading that is missing, whatever its unit
UNSETTLED = 3.0  # K, how far a temperature may be from where it settles when a recording begins


@dataclass(frozen=True)
class Sensors:
    """What is measured, by its name in `readings`, and how far it errs."""

    names: tuple[str, ...]
    share: Array  # (S,) standard deviation of the noise and of a pump's bias, relative to the reading
    absolute: Array  # (S,) the same in the sensor's unit

    def errors(self, ideal: Array) -> Array:
        """(..., S) standard deviation of the noise, and of the bias, at these readings."""
        return self.share * ideal + self.absolute


@dataclass(frozen=True)
class WearLaw:
    """How a log wear rate z moves in an hour: to drift + memory z + spread times white noise, per part."""

    drift: Array  # (3,)
    memory: Array  # (3,)
    spread: Array  # (3,)

    def expected(self, rates: Array) -> Array:
        """(..., 3) log wear rates -> those expected an hour later."""
        return self.drift + self.memory * rates


@dataclass(frozen=True)
class Recordings:
    """Hourly rows of N pumps in the units of their contract, the longest recording first."""

    settings: Mapping[str, Array]  # each of SETTINGS -> (T, N)
    measured: Array  # (T, N, S), NaN where a sensor showed nothing
    counts: NDArray[np.int64]  # (N,) rows of each pump, not increasing; nothing behind them is looked at

    @classmethod
    def of(
        cls, values: NDArray[np.float32], counts: NDArray[np.int64], channels: Sequence[str], sensors: Sequence[str]
    ) -> Self:
        """From `values` (N, T, C) of the channels so named, each pump's `counts` rows at the beginning."""
        columns = dict(zip(channels, np.moveaxis(values.astype(np.float64), (2, 1), (0, 1)), strict=True))
        measured = np.stack([columns[name] for name in sensors], axis=-1)
        return cls({name: columns[name] for name in SETTINGS}, measured, counts)

    def recorded(self, hour: int) -> int:
        """How many pumps have a row of that hour: they are the first ones."""
        return int(np.sum(self.counts > hour))

    def duty(self, hour: int) -> Duty:
        """The inputs of the n recorded pumps, (n, 1): beside pumps stand their sigma points."""
        recorded = self.recorded(hour)
        return Duty.from_settings({name: self.settings[name][hour, :recorded, None] for name in SETTINGS})


@dataclass(frozen=True)
class Hour:
    """What the filter knew of the n recorded pumps in one hour."""

    expected: Belief  # before the hour's readings
    cross: Array  # (n, D, D) covariance of what was known an hour before with `expected`; zeros in the first hour
    known: Belief  # after the hour's readings
    evidence: float  # log density of the hour's readings under `expected`, less a constant


def track(start: Belief, recordings: Recordings, law: WearLaw, sensors: Sensors) -> list[Hour]:
    """Filter every recording from first row to last; `start` is the belief about WORN at the first row."""
    hours: list[Hour] = []
    for number in range(int(recordings.counts.max())):
        duty, recorded = recordings.duty(number), recordings.recorded(number)
        if hours:
            moved = image(hours[-1].known.first(recorded), partial(_an_hour_later, duty=duty, law=law))
            expected, cross = _with_noise(moved, law), moved.cross
        else:
            expected = _settled(start, duty, len(sensors.names))
            cross = np.zeros_like(expected.covariance)
        seen = image(expected, partial(_shown, duty=duty, sensors=sensors))
        measured, noise = _observed(recordings.measured[number, :recorded], seen.mean, sensors)
        known = seen.corrected(expected, measured, noise)
        hours.append(Hour(expected, cross, known, float(seen.log_density(measured, noise).sum())))
    return hours


def last_known(hours: list[Hour], counts: NDArray[np.int64]) -> Belief:
    """What was known of each pump after its last row; `counts` as in the recordings."""
    known = [hours[count - 1].known for count in counts]
    mean = np.stack([belief.mean[pump] for pump, belief in enumerate(known)])
    return Belief(mean, np.stack([belief.covariance[pump] for pump, belief in enumerate(known)]))


def state_of(hidden: Array) -> State:
    """The state in (..., D) hidden vectors."""
    wear = np.exp(np.clip(hidden[..., WEAR], np.log(LEAST), np.log(MOST)))
    return State(*np.moveaxis(wear, -1, 0), *np.moveaxis(hidden[..., WARMTH], -1, 0))


def rates_of(hidden: Array) -> WearRates:
    """The wear rates in (..., D) hidden vectors."""
    return WearRates(*np.moveaxis(np.exp(np.minimum(hidden[..., RATES], FASTEST)), -1, 0))


def with_state(hidden: Array, state: State) -> Array:
    """(..., D) hidden vectors, their state replaced."""
    wear = np.stack([state.impeller_area, state.thrust_friction, state.radial_friction], axis=-1)
    wear = np.log(np.maximum(wear, LEAST))
    warmth = np.stack([state.thrust_temperature, state.radial_temperature, state.oil_temperature], axis=-1)
    return np.concatenate([wear, hidden[..., RATES], warmth, hidden[..., BIASES]], axis=-1)


def _an_hour_later(points: Array, duty: Duty, law: WearLaw) -> Array:
    """(n, P, D) after an hour of `duty`, the wear rates as expected then."""
    after = with_state(points, step(state_of(points), duty, rates_of(points)))
    after[..., RATES] = law.expected(points[..., RATES])
    return after


def _observed(measured: Array, expected: Array, sensors: Sensors) -> tuple[Array, Array]:
    """(n, S) readings and the variances of their errors; one that is missing errs without limit."""
    missing = np.isnan(measured)
    variance = np.where(missing, NO_KNOWLEDGE, sensors.errors(expected) ** 2)
    return np.where(missing, expected, measured), variance


def _shown(points: Array, duty: Duty, sensors: Sensors) -> Array:
    """(n, P, D) -> (n, P, S): what sensors with these biases show."""
    ideal = readings(state_of(points), duty)
    shown = np.stack([ideal[name] for name in sensors.names], axis=-1)
    return shown + sensors.errors(shown) * points[..., BIASES]


def _settled(start: Belief, duty: Duty, sensors: int) -> Belief:
    """`start`, about WORN, with temperatures near where they settle and sensors of unknown bias."""
    pumps, worn = start.mean.shape
    variances = np.concatenate([np.zeros(worn), np.full(3, UNSETTLED**2), np.ones(sensors)])
    covariance = np.tile(np.diag(variances), (pumps, 1, 1))
    covariance[:, WORN, WORN] = start.covariance
    mean = np.concatenate([start.mean, np.zeros((pumps, 3 + sensors))], axis=1)

    def warmed(points: Array) -> Array:
        away = points[..., WARMTH]
        settled = with_state(points, settle(state_of(points), duty))
        settled[..., WARMTH] += away
        return settled

    settled = image(Belief(mean, covariance), warmed)
    return Belief(settled.mean, settled.covariance)


def _with_noise(moved: Image, law: WearLaw) -> Belief:
    deviation = np.zeros(moved.mean.shape[1])
    deviation[WEAR], deviation[RATES], deviation[WARMTH] = MODEL_ERROR["wear"], law.spread, MODEL_ERROR["warmth"]
    return Belief(moved.mean, moved.covariance + np.diag(deviation**2))
