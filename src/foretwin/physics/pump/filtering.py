"""State estimation of pumps from hourly readings, by a sigma-point Kalman filter on the pump's equations.

The hidden state of a pump is a vector of D = 9 + S quantities:

    0-2   logarithms of impeller area (Pa s2), thrust and radial friction (N m s)
    3-5   logarithms of their wear rates, in the units of `WearRates`
    6-8   temperatures of thrust bearing, radial bearing and oil, K
    9-    biases of the S sensors, in standard deviations of their noise

Friction and temperatures obey the published equations. How wear rates change is not published: their logarithms follow
a first-order random process that `learning` fits. A sigma-point filter is used instead of a particle filter, because
with the biases some 16 quantities are estimated at once, for which a few hundred particles are too few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from foretwin.physics.pump.beliefs import Belief, Image, image
from foretwin.physics.pump.equilibrium import operate
from foretwin.physics.pump.life import settle, step
from foretwin.physics.pump.quantities import Array, Duty, Operation, Pump, State, WearRates
from foretwin.physics.pump.sensors import readings

WEAR, RATES, WARMTH, BIASES = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, None)
WORN = slice(0, 6)  # wear and its rates, which determine the future
SETTINGS = ("commanded_speed", "ambient_temperature", "suction_pressure", "discharge_pressure")
# Sigma points and draws may lie where no pump can run; wear and its rates are clipped to these bounds, so that motor
# and flow keep an equilibrium. A pump that reaches them has passed its limits.
FASTEST = np.array([-2.7, -20.0, -20.0])  # log wear rates: about a whole life in an hour
LEAST, MOST = np.array([9.0, 1e-7, 1e-7]), np.array([16.0, 1e-4, 1e-4])  # Pa s2, N m s, N m s
MODEL_ERROR = {"wear": (1e-4, 1e-3, 1e-3), "warmth": (0.1, 0.1, 0.1)}  # process noise: log, K per hour
NO_KNOWLEDGE = 1e12  # variance of a missing reading, in any unit
UNSETTLED = 3.0  # K, deviation of a temperature from its steady state when a recording begins


@dataclass(frozen=True)
class Sensors:
    """The S measured quantities, by their names in `readings`, and their accuracy."""

    names: tuple[str, ...]
    share: Array  # (S,) standard deviation of the noise and of a pump's bias, relative to the reading
    absolute: Array  # (S,) the same in the sensor's unit

    def errors(self, ideal: Array) -> Array:
        """Return the standard deviation (..., S) of the noise, and of the bias, at these readings."""
        return self.share * ideal + self.absolute


@dataclass(frozen=True)
class WearLaw:
    """Process of the log wear rates: in an hour z becomes drift + memory z + spread times white noise, per part."""

    drift: Array  # (3,)
    memory: Array  # (3,)
    spread: Array  # (3,)

    def expected(self, rates: Array) -> Array:
        """Return the log wear rates (..., 3) expected an hour later."""
        return self.drift + self.memory * rates


@dataclass(frozen=True)
class Recordings:
    """Hourly rows of N pumps in the units of their contract, the longest recording first."""

    settings: Mapping[str, Array]  # each of SETTINGS -> (T, N)
    measured: Array  # (T, N, S), NaN where a reading is missing
    counts: NDArray[np.int64]  # (N,) rows of each pump, not increasing; later rows are ignored

    @classmethod
    def of(
        cls, values: NDArray[np.float32], counts: NDArray[np.int64], channels: Sequence[str], sensors: Sequence[str]
    ) -> Self:
        """Build from `values` (N, T, C) of the named channels, each pump's `counts` rows at the beginning."""
        columns = dict(zip(channels, np.moveaxis(values.astype(np.float64), (2, 1), (0, 1)), strict=True))
        measured = np.stack([columns[name] for name in sensors], axis=-1)
        return cls({name: columns[name] for name in SETTINGS}, measured, counts)

    def recorded(self, hour: int) -> int:
        """Return how many pumps have a row of that hour: they are the first ones."""
        return int(np.sum(self.counts > hour))

    def duty(self, hour: int) -> Duty:
        """Return the inputs of the n recorded pumps, (n, 1), broadcastable over sigma points."""
        recorded = self.recorded(hour)
        return Duty.from_settings({name: self.settings[name][hour, :recorded, None] for name in SETTINGS})


@dataclass(frozen=True)
class Hour:
    """Filter output for the n recorded pumps in one hour."""

    expected: Belief  # before the hour's readings
    cross: Array  # (n, D, D) covariance of the previous hour's `known` with `expected`; zeros in the first hour
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
    """Return the belief about each pump after its last row; `counts` as in the recordings."""
    known = [hours[count - 1].known for count in counts]
    mean = np.stack([belief.mean[pump] for pump, belief in enumerate(known)])
    return Belief(mean, np.stack([belief.covariance[pump] for pump, belief in enumerate(known)]))


def state_of(hidden: Array) -> State:
    """Extract the state from hidden vectors (..., D)."""
    wear = np.exp(np.clip(hidden[..., WEAR], np.log(LEAST), np.log(MOST)))
    return State(*np.moveaxis(wear, -1, 0), *np.moveaxis(hidden[..., WARMTH], -1, 0))


def rates_of(hidden: Array) -> WearRates:
    """Extract the wear rates from hidden vectors (..., D)."""
    return WearRates(*np.moveaxis(np.exp(np.minimum(hidden[..., RATES], FASTEST)), -1, 0))


def with_state(hidden: Array, state: State) -> Array:
    """Return hidden vectors (..., D) with their state replaced."""
    wear = np.stack([state.impeller_area, state.thrust_friction, state.radial_friction], axis=-1)
    wear = np.log(np.maximum(wear, LEAST))
    warmth = np.stack([state.thrust_temperature, state.radial_temperature, state.oil_temperature], axis=-1)
    return np.concatenate([wear, hidden[..., RATES], warmth, hidden[..., BIASES]], axis=-1)


def _an_hour_later(points: Array, duty: Duty, law: WearLaw) -> Array:
    """Advance points (n, P, D) by an hour of `duty`, the wear rates to their expected values."""
    after = with_state(points, step(state_of(points), duty, rates_of(points), running=_operate_points))
    after[..., RATES] = law.expected(points[..., RATES])
    return after


def _operate_points(state: State, duty: Duty, pump: Pump) -> Operation:
    """Operate sigma points (n, P) at a duty (n, 1); those that are worn as the centre is are solved with it.

    They are most of them: speed and flow depend on the wear alone, not on its rates, the temperatures or the biases.
    What is left is solved as one row, since numpy is slow at many short ones.
    """
    wear = {name: getattr(state, name) for name in ("impeller_area", "thrust_friction", "radial_friction")}
    own = np.any([(values != values[:, :1]).any(axis=0) for values in wear.values()], axis=0)
    own[0] = True
    shape = len(state.impeller_area), int(own.sum())
    each = Duty(*(np.broadcast_to(getattr(duty, given.name), shape).ravel() for given in fields(Duty)))
    solved = operate(replace(state, **{name: values[:, own].ravel() for name, values in wear.items()}), each, pump)
    place = np.where(own, np.cumsum(own) - 1, 0)
    return Operation(*(getattr(solved, shown.name).reshape(shape)[:, place] for shown in fields(Operation)))


def _observed(measured: Array, expected: Array, sensors: Sensors) -> tuple[Array, Array]:
    """Return readings (n, S) and their error variances; a missing one gets a near-infinite variance."""
    missing = np.isnan(measured)
    variance = np.where(missing, NO_KNOWLEDGE, sensors.errors(expected) ** 2)
    return np.where(missing, expected, measured), variance


def _shown(points: Array, duty: Duty, sensors: Sensors) -> Array:
    """Predict the readings (n, P, S) of points (n, P, D), including the sensors' biases."""
    ideal = readings(state_of(points), duty, running=_operate_points)
    shown = np.stack([ideal[name] for name in sensors.names], axis=-1)
    return shown + sensors.errors(shown) * points[..., BIASES]


def _settled(start: Belief, duty: Duty, sensors: int) -> Belief:
    """Extend `start`, about WORN, by temperatures near their steady state and unknown sensor biases."""
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
