"""Physics-based prognosis of the pump: a filter on the pump's equations, and a Monte Carlo forecast of its life.

Given are the published equations and limits, and the sensors' data sheets. The variation of new pumps, the random walk
of their wear rates and their future duty are learnt from the readings of the development pumps. Of a test pump it gets
the same inputs as the network: one window and the age.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import Histories, Windows
from foretwin.errors import SourceError
from foretwin.physics.pump import Duty
from foretwin.physics.pump.data_sheet import SENSORS
from foretwin.physics.pump.filtering import SETTINGS, Recordings, Sensors
from foretwin.physics.pump.forecasting import estimate, future_settings, hours_left
from foretwin.physics.pump.learning import learn_fleet

Array = NDArray[np.float64]

MEASURED = tuple(name for name in SENSORS if name not in SETTINGS)  # the two pressures are inputs, taken without error
DRAWS = 200  # of each pump's state, wear and future
BATCH = 60  # pumps forecast at once


def predict_with_physics(
    development: Development, test: Windows, contract: Twin, seed: int, level: float
) -> tuple[Array, Array, Array]:
    """Forecast the RUL: mean, lower and upper end of its central interval at `level`; (N,) each, in h and capped.

    SourceError where the contract does not describe the simulated pump and its RUL.
    """
    cap = cap_of(contract)
    lives, sensors = lives_of(development.histories, contract), data_sheets()
    fleet, generator = learn_fleet(lives, sensors), np.random.default_rng(seed)
    rul = np.empty((len(test), DRAWS))
    longest_first = np.argsort(-test.mask.sum(axis=1), kind="stable")
    for some in np.array_split(longest_first, -(-len(test) // BATCH)):
        belief = estimate(fleet, windows_of(test, some, contract), test.age[some].astype(np.float64), sensors)
        hidden = belief.draw(DRAWS, generator)
        duties = future_duties(lives, hidden.shape[:2], int(np.ceil(cap)), generator)
        rul[some] = np.minimum(hours_left(hidden, fleet.law, duties, generator), cap)
    mean = rul.mean(axis=1)
    low, high = np.quantile(rul, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return mean, np.minimum(low, mean), np.maximum(high, mean)


def knows(contract: Twin) -> bool:
    """Return whether the contract describes the simulated pump, with an RUL and all channels that the physics needs."""
    return not objection(contract)


def objection(contract: Twin) -> str:
    """Return why the physics cannot forecast this machine; empty where it can."""
    if contract.source.kind != "pump":
        return f"source.kind is {contract.source.kind}, but only the pump's physics is known"
    absent = [name for name in (*SETTINGS, *MEASURED) if name not in contract.channels]
    if absent:
        return f"channel {absent[0]} is missing, which the pump's physics needs; add it"
    return "" if contract.rul else "has no `rul`, which is all that the pump's physics forecasts; add it"


def data_sheets() -> Sensors:
    """Return the sensors of the fleet that respond to a pump's state."""
    share, absolute = np.array([SENSORS[name][:2] for name in MEASURED]).T
    return Sensors(MEASURED, share, absolute)


def lives_of(histories: Histories, contract: Twin) -> Recordings:
    """Return every run from its first row to its last, the longest first."""
    first, counts = np.unique(histories.first, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    first, counts = first[order], counts[order]
    hour = np.minimum(np.arange(counts[0]), counts[:, None] - 1)
    return Recordings.of(histories.values[first[:, None] + hour], counts, contract.channel_names, MEASURED)


def windows_of(windows: Windows, some: NDArray[np.int64], contract: Twin) -> Recordings:
    """Return the windows `some`, which must be in order of falling length, without their padding."""
    length = windows.x.shape[1]
    counts = windows.mask[some].sum(axis=1).astype(np.int64)
    row = np.minimum(length - counts[:, None] + np.arange(length), length - 1)
    return Recordings.of(windows.x[some[:, None], row], counts, contract.channel_names, MEASURED)


def future_duties(
    lives: Recordings, shape: tuple[int, ...], hours: int, generator: np.random.Generator
) -> Iterator[Duty]:
    """Draw the duty of each coming hour, arrays of `shape`: one-day pieces of random lives in sequence."""
    return map(Duty.from_settings, future_settings(lives, shape, hours, generator))


def cap_of(contract: Twin) -> float:
    """Return the RUL's cap; SourceError where the contract has no RUL or another machine."""
    reason = objection(contract)
    if reason or contract.rul is None:
        raise SourceError(f"{contract.name}: {reason}")
    return contract.rul.cap
