"""State estimate of pumps after their latest readings, and Monte Carlo forecast of their remaining life."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from foretwin.physics.pump.beliefs import Belief
from foretwin.physics.pump.filtering import (
    RATES,
    Recordings,
    Sensors,
    WearLaw,
    last_known,
    rates_of,
    state_of,
    track,
    with_state,
)
from foretwin.physics.pump.learning import Fleet
from foretwin.physics.pump.life import life_ended, limits_met, settle, wear
from foretwin.physics.pump.quantities import Array, Duty

DAY = 24  # h, length of the pieces of recorded settings that make up a future
STRIDE = 24  # h, between two checks for ended lives


@dataclass(frozen=True)
class Ends:
    """Ends of simulated lives; the arrays have the shape of the draws of the hidden state."""

    left: Array  # h until the end, 0 where it has passed, infinite where it is not within the duties
    limit: NDArray[np.int64]  # index of the first of LIMITS that is met then; -1 where none is


def estimate(fleet: Fleet, recordings: Recordings, age: Array, sensors: Sensors) -> Belief:
    """Estimate the hidden state of N pumps after the last rows of their recordings, at `age` (N,), h."""
    start = fleet.at(age - (recordings.counts - 1))
    return last_known(track(start, recordings, fleet.law, sensors), recordings.counts)


def future_settings(
    lives: Recordings, shape: tuple[int, ...], hours: int, generator: np.random.Generator
) -> Iterator[dict[str, Array]]:
    """Draw the settings of each coming hour, arrays of `shape`: one-day pieces of random lives in sequence."""
    piece = min(DAY, int(lives.counts[0]))
    starts = np.maximum(lives.counts - piece + 1, 0)  # in each life
    pump = np.repeat(np.arange(len(starts)), starts)
    begin = np.arange(len(pump)) - np.repeat(np.cumsum(starts) - starts, starts)
    for hour in range(hours):
        if hour % piece == 0:
            drawn = generator.integers(len(pump), size=shape)
        row = begin[drawn] + hour % piece
        yield {name: values[row, pump[drawn]] for name, values in lives.settings.items()}


def hours_left(hidden: Array, law: WearLaw, duties: Iterable[Duty], generator: np.random.Generator) -> Array:
    """Simulate the hours (N, P) until a life ends, as in `Ends`.

    `hidden` (N, P, D) are draws of the hidden state of N pumps; each duty, of one coming hour, is (N, P) or
    broadcastable to it.
    """
    noisy = ((duty, generator.standard_normal((*hidden.shape[:-1], 3))) for duty in duties)
    return run_on(hidden, law, noisy).left


def run_on(hidden: Array, law: WearLaw, future: Iterable[tuple[Duty, Array]]) -> Ends:
    """Simulate lives with hidden states (..., D) to their end under the duty of each coming hour.

    Each hour of `future` is a duty (...) and the white noise (..., 3) of the log wear rates; both may be broadcastable.
    The future is read to its end, even when no life lasts that long.
    """
    shape = hidden.shape[:-1]
    worn = hidden[..., :WARM].reshape(-1, WARM).copy()
    left = np.where(life_ended(state_of(worn)), 0, np.inf)
    hours, passed = iter(future), 0
    while stride := list(islice(hours, STRIDE)):
        lasting = np.flatnonzero(np.isinf(left))
        if len(lasting):
            path = _path(worn[lasting], law, (_of(lasting, shape, *hour) for hour in stride))
            worn[lasting] = path[-1]
            # Wear only grows: a pump within its limits at the end of the stride was so throughout it.
            ended = np.flatnonzero(life_ended(state_of(path[-1])))
            hour = np.argmax(life_ended(state_of(path[:, ended])), axis=0)
            left[lasting[ended]], worn[lasting[ended]] = passed + hour + 1, path[hour, ended]
        passed += len(stride)
    met = limits_met(settle(state_of(worn), Duty.rated()))
    limit = np.where(np.isinf(left), -1, np.argmax(met, axis=0))
    return Ends(left.reshape(shape), limit.reshape(shape))


WARM = 9  # quantities without the sensors' biases, which do not affect the future


def _path(worn: Array, law: WearLaw, future: Iterable[tuple[Duty, Array]]) -> Array:
    """Simulate the hidden states (T, K, 9) of K lives after each hour, at the initial temperatures."""
    path = []
    for duty, noise in future:
        rates = law.expected(worn[:, RATES]) + law.spread * noise
        worn = with_state(worn, wear(state_of(worn), duty, rates_of(worn)))
        worn[:, RATES] = rates
        path.append(worn)
    return np.stack(path)


def _of(some: NDArray[np.int64], shape: tuple[int, ...], duty: Duty, noise: Array) -> tuple[Duty, Array]:
    """Select duty and noise of some of the lives, by flat index."""
    inputs = (np.broadcast_to(values, shape).reshape(-1)[some] for values in astuple(duty))
    return Duty(*inputs), np.broadcast_to(noise, (*shape, 3)).reshape(-1, 3)[some]
