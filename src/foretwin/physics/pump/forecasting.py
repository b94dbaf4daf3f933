"""Where pumps stand after their latest readings, and how long they last: their equations, run on many times over."""

from collections.abc import Iterable

import numpy as np

from foretwin.physics.pump.beliefs import Belief
from foretwin.physics.pump.filtering import Recordings, Sensors, WearLaw, last_known, state_of, track, worn_on
from foretwin.physics.pump.learning import Fleet
from foretwin.physics.pump.life import life_ended
from foretwin.physics.pump.quantities import Array, Duty


def estimate(fleet: Fleet, recordings: Recordings, age: Array, sensors: Sensors) -> Belief:
    """What the recordings tell of N pumps after their last rows, when they are of `age` (N,), h."""
    start = fleet.at(age - (recordings.counts - 1))
    return last_known(track(start, recordings, fleet.law, sensors), recordings.counts)


def hours_left(hidden: Array, law: WearLaw, duties: Iterable[Duty], generator: np.random.Generator) -> Array:
    """(N, P) hours until a life ends, 0 where it has, infinite where it does not within the duties.

    `hidden` (N, P, D) are draws of what is hidden in N pumps; each duty, of one coming hour, is (N, P) or
    broadcastable to it.
    """
    left = np.where(life_ended(state_of(hidden)), 0, np.inf)
    for hour, duty in enumerate(duties, start=1):
        noise = generator.standard_normal((*left.shape, 3))
        hidden = worn_on(hidden, duty, law, noise)
        left[np.isinf(left) & life_ended(state_of(hidden))] = hour
    return left
