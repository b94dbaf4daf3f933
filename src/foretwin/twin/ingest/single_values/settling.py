"""Which readings can be made of the values that wait; pure.

A reading is made of a step when each channel has a value at its very time, so that nothing can change it; or when
values later than it by the contract's `clock.wait` have come, in whatever order; or, of all that waits, when nothing
has come for so long, of which a connection by which they came must be sure. The rows are those of `dataset.grid`, as
of a file.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.channels import MICROSECONDS, Channel
from foretwin.contract.twin import Twin
from foretwin.dataset.grid import NEAR, GridRows, grid_rows, step_numbers
from foretwin.twin.ingest.single_values.pending import PendingValues

HELD = ("last", "interpolate")  # rules that need the value before a step
LONGEST_HOLD = timedelta(hours=1)  # that values wait for a connection that is lost, beyond `clock.wait`


@dataclass(frozen=True)
class Settled:
    """The readings that can be made: `time` (N,), `values` (N, C).

    `whole` (N,) says whether nothing is missing that must be there; `left` is what waits on.
    """

    time: NDArray[np.float64]
    values: NDArray[np.float32]
    whole: NDArray[np.bool_]
    left: PendingValues


def wait_of(contract: Twin) -> float:
    """Return how long a reading waits for its values, in the clock's unit."""
    return contract.clock.wait or contract.clock.step


def settle_values(
    pending: PendingValues, contract: Twin, everything: bool = False, only_final: bool = False
) -> Settled:
    """Make what readings can be made: of all values that wait, or `only_final` ones that nothing can change."""
    clock, start = contract.clock, pending.start
    nothing = Settled(np.empty(0), np.empty((0, len(contract.channels)), np.float32), np.empty(0, bool), pending)
    if len(pending) == 0:
        return nothing
    is_new = start is None
    if start is None:
        start = _first_moment(pending, contract)
        span = (float(pending.time.max()) - start) / (MICROSECONDS * (clock.seconds or 1.0))
        if not everything and (only_final or span < wait_of(contract)):
            return nothing
    samples = pending.samples(start, clock.seconds)
    number = step_numbers(samples.time, clock.step)
    before = -1 if is_new else int(number.min()) - 1 if pending.made is None else pending.made
    rows = grid_rows(samples, contract.channels, clock.step)
    newest = float(samples.time.max())
    until = int(number.max()) if everything else math.floor((newest - wait_of(contract)) / clock.step + NEAR)
    until = before if only_final else max(until, before)
    while not everything and _is_final(samples.time, pending.channel, until + 1, contract):
        until += 1
    if until == before:
        return replace(nothing, left=pending)
    chosen = (rows.step > before) & (rows.step <= until)
    made = GridRows(rows.run[chosen], rows.step[chosen], rows.values[chosen])
    kept = (number > until) | _last_of_each(samples.time, pending.channel, number <= until, contract)
    left = replace(pending.only(kept), start=start, made=until)
    with np.errstate(over="ignore"):
        values = made.values.astype(np.float32)
    return Settled(np.asarray(made.step * clock.step, np.float64), values, made.complete(contract), left)


def are_states(channels: Collection[int], contract: Twin) -> bool:
    """Return whether values of these channels are what each showed last, of a source that tells changes alone."""
    every = list(contract.channels.values())
    once = len(set(channels)) == len(channels)
    return once and all((grid := every[i].grid) is not None and grid.take == "last" for i in channels)


def _first_moment(pending: PendingValues, contract: Twin) -> float:
    """Return when a new run begins: at its first value, or at the first one after the states of long before."""
    order = np.argsort(pending.time, kind="stable")
    longest = contract.clock.longest_jump * MICROSECONDS * (contract.clock.seconds or 1.0)
    jumps = np.flatnonzero(np.diff(pending.time[order]) > longest) + 1
    if len(jumps) and are_states(pending.channel[order[: jumps[-1]]].tolist(), contract):
        return float(pending.time[order[jumps[-1]]])
    return float(pending.time.min())


def _is_final(age: NDArray[np.float64], channel: NDArray[np.int64], step: int, contract: Twin) -> bool:
    """Return whether each channel has a value at the very time of a step, and none counts those of its whole length."""
    near = np.abs(age - step * contract.clock.step) <= NEAR * contract.clock.step
    there = set(channel[near].tolist())
    return all(_is_of_moment(one) and i in there for i, one in enumerate(contract.channels.values()))


def _is_of_moment(channel: Channel) -> bool:
    return channel.grid is None or channel.grid.take in HELD


def _last_of_each(
    age: NDArray[np.float64], channel: NDArray[np.int64], among: NDArray[np.bool_], contract: Twin
) -> NDArray[np.bool_]:
    """Return (S,) the last value among some of each channel whose rule needs the one before a step."""
    last = np.zeros(len(age), dtype=bool)
    for i, one in enumerate(contract.channels.values()):
        mine = np.flatnonzero(among & (channel == i))
        if len(mine) and one.grid is not None and one.grid.take in HELD:
            last[mine[np.flatnonzero(age[mine] == age[mine].max())[-1]]] = True
    return last
