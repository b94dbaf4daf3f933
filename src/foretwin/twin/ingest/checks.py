"""Check decoded readings, and locate each in its asset's history; pure functions."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.contradictions import is_contradicted
from foretwin.predictor.guards import (
    ODD_UNIT,
    SAME_TIME,
    before_run,
    beyond_limits,
    in_other_unit,
    odd_step,
    outside_limits,
)
from foretwin.wire.readings import Readings, Rejected
from foretwin.wire.values import LARGEST_RUN, PRESENT_RUN, to_json

FARTHEST_FIRST = 10_000  # the highest run that the first reading of an asset may name
SKIPPED = 1.5  # steps: a longer one forward has left readings out

# Which runs a sender may begin: an operator any, a machine its own next one where the contract lets it, others none.
Begins: TypeAlias = Literal["any", "next", "none"]


@dataclass(frozen=True)
class Fault:
    """The fault of one row's reading."""

    row: int
    field: str
    reason: str
    detail: str


@dataclass(frozen=True)
class RunOrder:
    """For each of N readings its run, and its asset's present run before it came, both (N,) int64.

    `refused` (N,) says which names a run that its sender may not begin; such a one moves nothing.
    """

    run: NDArray[np.int64]
    present: NDArray[np.int64]
    refused: NDArray[np.bool_]


@dataclass(frozen=True)
class RunPositions:
    """Position of each of N readings in its run.

    `is_late` (N,) older than the newest one; `missing` (N,) int64 how many were left out before it; `jumped` (N,) too
    far ahead of the newest one; `before` (N,) float64 the time of that one, NaN where there is none.
    """

    is_late: NDArray[np.bool_]
    missing: NDArray[np.int64]
    jumped: NDArray[np.bool_]
    before: NDArray[np.float64]


def find_impossible(readings: Readings, contract: Twin) -> list[Fault]:
    """Return a fault per reading from before its run began, or with a value outside its channel's limits."""
    outside = outside_limits(readings.values, contract)
    early = readings.time < 0
    faults = []
    for row in np.flatnonzero(outside.any(axis=1) | early).tolist():
        if early[row]:
            faults.append(Fault(row, "time", "order", before_run(float(readings.time[row]))))
            continue
        name = contract.channel_names[int(outside[row].argmax())]
        value = float(readings.values[row, contract.channel_names.index(name)])
        faults.append(Fault(row, f"channels.{name}", "range", beyond_limits(value, contract.channels[name])))
    return faults


def find_odd_units(readings: Readings, contract: Twin) -> list[Fault]:
    """Return a fault for each reading of a run whose times, three or more in one call, are in another unit."""
    if len(readings) - len(readings.names) < 2:
        return []
    order = np.lexsort((readings.time, readings.run, readings.asset))
    time, run, asset = readings.time[order], readings.run[order], readings.asset[order]
    begins = np.flatnonzero(np.append(True, (run[1:] != run[:-1]) | (asset[1:] != asset[:-1])))
    steps = np.diff(np.append(begins, len(time))) - 1
    span, step = time[begins + steps] - time[begins], contract.clock.step
    odd = (steps > 1) & ((span >= ODD_UNIT * step * steps) | (span <= step / ODD_UNIT * steps))
    faults = []
    for first, last in zip(begins[odd].tolist(), (begins + steps)[odd].tolist(), strict=True):
        times = time[first : last + 1]
        usual = odd_step(times[np.diff(times, prepend=-np.inf) > SAME_TIME * step], step)
        if usual is not None:
            detail = in_other_unit(usual, contract)
            faults += [Fault(row, "time", "unit", detail) for row in order[first : last + 1].tolist()]
    return faults


def runs_ahead(begins: Begins, contract: Twin) -> int:
    """Return by how many runs a reading may be ahead of its asset's present one."""
    if begins == "any":
        return LARGEST_RUN
    return 1 if begins == "next" and contract.runs.begin_by == "readings" else 0


def follow_runs(
    asset: NDArray[np.intp], run: NDArray[np.int64], present: NDArray[np.int64], unread: NDArray[np.bool_], ahead: int
) -> RunOrder:
    """Return the run of each reading in order of arrival; one of a higher run than the present one begins it.

    `asset` (N,) says which of A assets it is of, `run` (N,) is -1 for the present run; `present` (A,) are the present
    runs before all of them, `unread` (A,) the assets whose first reading says which run they are in. A reading may be
    `ahead` runs ahead of the present one, a first one of any run up to FARTHEST_FIRST.
    """
    before = present[asset]
    if ((run == PRESENT_RUN) | (run == before)).all():
        return RunOrder(before, before, np.zeros(len(run), dtype=bool))
    order = np.argsort(asset, kind="stable")
    begins = np.flatnonzero(np.diff(asset[order], prepend=-1))
    found = np.empty((3, len(run)), np.int64)
    for rows in np.split(order, begins[1:]):
        of = asset[rows[0]]
        found[:, rows] = _runs_of_one(run[rows].tolist(), int(present[of]), bool(unread[of]), ahead)
    return RunOrder(found[0], found[1], found[2].astype(bool))


def _runs_of_one(said: list[int], present: int, unread: bool, ahead: int) -> NDArray[np.int64]:
    """Return (3, N) runs, present runs before, and 1 where refused, of one asset's readings."""
    found = []
    for one in said:
        run = present if one == PRESENT_RUN else one
        if run > (max(FARTHEST_FIRST, present + ahead) if unread else present + ahead):
            found.append((run, present, 1))
            continue
        before = min(present, run) if unread else present
        found.append((run, before, 0))
        present, unread = max(before, run), False
    return np.array(found, np.int64).T


def follow_clock(
    group: NDArray[np.intp], time: NDArray[np.float64], newest: NDArray[np.float64], contract: Twin, check: bool
) -> RunPositions:
    """Return the position of each reading in its run, in order of arrival.

    `group` (N,) says which of K runs it is of; `newest` (K,) are the times of the newest readings that are stored, NaN
    where there is none. Without `check` no clock has jumped.
    """
    longest = contract.clock.longest_jump
    before = _newest_before(group, time, newest)
    jumped = time - before > longest
    if not check:
        jumped[:] = False
    elif jumped.any():  # what jumped does not count for those after it
        for of in np.unique(group[jumped]):
            rows = np.flatnonzero(group == of)
            before[rows], jumped[rows] = _one_by_one(time[rows], newest[of], longest)
            wrong = ~jumped[rows]
            if np.isnan(newest[of]) and is_contradicted(int(wrong.sum()), int((~wrong).sum())):
                others = rows[~wrong]  # it is what came first that jumped
                before[others], jumped[others] = _one_by_one(time[others], np.nan, longest)
                before[rows[wrong]], jumped[rows[wrong]] = time[others[0]], True
    step = time - before
    skipped = (step > SKIPPED * contract.clock.step) & (step <= longest)
    missing = np.where(skipped, np.rint(step / contract.clock.step) - 1, 0).astype(np.int64)
    return RunPositions(step < 0, missing, jumped, before)


def odd_run(readings: Readings, row: int, present: int) -> Fault:
    """Return the fault of a reading of a run that its sender may not begin."""
    name = readings.names[readings.asset[row]]
    orders = "a verdict, maintenance or `foretwin quarantine --release` of this reading begins another"
    return Fault(row, "run", "run", f"is {readings.run[row]}, but {name} is in run {present}; {orders}")


def jump_of(readings: Readings, contract: Twin, row: int, before: float) -> Fault:
    """Return the fault of a reading whose clock jumped from that time."""
    detail = (
        f"is {readings.time[row]:g}, more than {contract.clock.longest_jump:g} {contract.clock.unit} after {before:g}"
    )
    if readings.time[row] < before:
        detail = f"is {readings.time[row]:g}, but the readings that came with it are from {before:g} on"
    return Fault(row, "time", "clock", detail)


def rejected_of(readings: Readings, contract: Twin, fault: Fault) -> Rejected:
    """Return a reading that has a fault, with its content."""
    row = fault.row
    asset, run, time = readings.names[readings.asset[row]], int(readings.run[row]), float(readings.time[row])
    channels = contract.cells(readings.values[row])
    content = to_json({"twin": contract.name, "asset": asset, "run": run, "time": time, "channels": channels})
    return Rejected(contract.name, asset, fault.field, fault.reason, fault.detail, content)


def _newest_before(
    group: NDArray[np.intp], time: NDArray[np.float64], newest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (N,) the largest time of the row's group among `newest` and earlier rows; NaN where there is none.

    A running maximum within groups without a loop: on ranks, each group's raised above all of the group before.
    """
    groups = len(newest)
    times = np.concatenate([np.where(np.isnan(newest), -np.inf, newest), time])  # each group's start, then the rows
    values, rank = np.unique(times, return_inverse=True)
    of = np.concatenate([np.arange(groups), group])
    order = np.argsort(of, kind="stable")
    raised = rank[order] + of[order] * len(values)
    highest = values[np.maximum.accumulate(raised) - of[order] * len(values)]
    before = np.empty(len(times))
    before[order[1:]] = highest[:-1]
    found = before[groups:]
    return np.where(np.isneginf(found), np.nan, found)


def _one_by_one(
    time: NDArray[np.float64], newest: float, longest: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (T,) the newest time before each reading of one run, and whether it is too far ahead of that."""
    before, jumped = np.empty(len(time)), np.zeros(len(time), dtype=bool)
    for i, moment in enumerate(time):
        before[i] = newest
        jumped[i] = moment - newest > longest
        if not jumped[i] and not moment <= newest:
            newest = moment
    return before, jumped
