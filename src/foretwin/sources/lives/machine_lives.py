"""Lives of machines across files: which life a row is of, and at which position of the clock that life began.

A file is a cut of a table that goes on: yesterday's file began this life, and tomorrow's may end it. So what is known
of a machine's lives is given, and what the rows add is returned. Positions are microseconds since 1970 where a source
has timestamps, else numbers in the clock's unit. Pure functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.channels import MICROSECONDS
from foretwin.contract.twin import Twin
from foretwin.dataset.contradictions import FAR, is_contradicted

SINCE_1970 = 9e8  # numbers from here on are moments of time (in s, ms, us or ns), no age
RESTART_STEPS = 10  # a clock that restarts with each life begins within so many steps

Positions = NDArray[np.float64]


@dataclass(frozen=True)
class MachineLife:
    """One life of a machine: its run, where its time is 0, and the position of its newest row.

    `ended` is the position of the failure that ended it, `label` what the source calls it.
    """

    run: int
    zero: float
    last: float
    ended: float | None = None
    label: str | None = None


@dataclass(frozen=True)
class LifeClock:
    """How positions become times since a life began."""

    is_calendar: bool
    step: float  # in the unit of the contract
    unit: float  # positions in one unit of the contract's clock
    longest: float = np.inf  # by which a clock may jump, in the unit of the contract

    @classmethod
    def of(cls, contract: Twin, is_calendar: bool) -> "LifeClock":
        """Return the clock of a contract's source, with or without timestamps."""
        unit = MICROSECONDS * (contract.clock.seconds or 1.0) if is_calendar else 1.0
        return cls(is_calendar, contract.clock.step, unit, contract.clock.longest_jump)

    def first_right(self, positions: Positions) -> float:
        """Return the first of a life's positions (N,) that not nearly all others contradict."""
        before = positions < positions[0] - FAR * self.step * self.unit
        beyond = positions > positions[0] + self.longest * self.unit
        for others in (before, beyond):
            if is_contradicted(int((~others).sum()), int(others.sum())):
                return float(positions[others][0])
        return float(positions[0])

    def zero_of_first(self, position: float) -> float:
        """Return where the time of a machine's first life is 0: a number below the size of a moment is its age."""
        return position if self.is_calendar or position >= SINCE_1970 else 0.0

    def zero_of_next(self, position: float, last: float) -> float:
        """Return where the time of a later life is 0: at its first row, or where a clock restarts that falls."""
        return 0.0 if position <= last and not self.is_calendar else position


@dataclass(frozen=True)
class Placed:
    """The runs (N,) int64 and times (N,) of rows, and the machine's lives after them, those that changed."""

    run: NDArray[np.int64]
    time: Positions
    lives: tuple[MachineLife, ...]


def place(
    rows: tuple[Positions, NDArray[np.bool_], NDArray[np.object_] | None],
    clock: LifeClock,
    known: Sequence[MachineLife],
    first_run: int = 1,
) -> Placed:
    """Place one machine's rows, in the order of their file: positions (N,), failures (N,), and labels (N,) or None.

    `known` are its lives so far; the first, or one that follows on an order, has the number `first_run` at least.
    """
    position, failed, labels = rows
    book = _Book(clock, {life.run: life for life in known}, first_run)
    run = np.zeros(len(position), np.int64)
    if labels is None:
        begins = np.flatnonzero(np.append(True, failed[:-1])) if len(position) else np.empty(0, np.int64)
        for first, end in zip(begins, [*begins[1:], len(position)], strict=True):
            stretch = position[first:end]
            run[first:end] = book.of_stretch(stretch, bool(failed[end - 1]))
            book.extend(run[first:end], stretch, failed[first:end])
    else:
        for label in dict.fromkeys(labels.tolist()):
            mine = labels == label
            run[mine] = book.of_label(str(label), clock.first_right(position[mine]))
            book.extend(run[mine], position[mine], failed[mine])
    zeros = {number: book.lives[number].zero for number in np.unique(run).tolist()}
    zero = np.array([zeros[number] for number in run.tolist()], np.float64)
    changed = tuple(book.lives[number] for number in sorted(zeros))
    return Placed(run, (position - zero) / clock.unit, changed)


@dataclass
class _Book:
    """The lives of one machine while its rows are read."""

    clock: LifeClock
    lives: dict[int, MachineLife]
    first_run: int
    at: int | None = None  # the run of the row before

    def of_stretch(self, position: Positions, fails: bool) -> NDArray[np.int64] | int:
        """Return the runs of rows up to a failure, or up to the file's end."""
        if not self.lives:
            return self._begin(self.first_run, self.clock.zero_of_first(self.clock.first_right(position)), position)
        newest = self.lives[max(self.lives)]
        if not self.clock.is_calendar:
            restarted = self._of_restart(position, fails, newest)
            if restarted is not None:
                return restarted
        return self._by_position(position, newest)

    def of_label(self, label: str, position: float) -> int:
        """Return the run that the source calls so; a new one begins."""
        whole = label.removesuffix(".0")
        number = int(whole) if whole.isdecimal() else None
        label = label if number is None else str(number)
        for life in self.lives.values():
            if life.label == label:
                return life.run
        newest = max(self.lives, default=None)
        run = self.first_run if newest is None else newest + 1
        if number is not None and number not in self.lives:
            run = number
        if newest is None:
            zero = self.clock.zero_of_first(position)
        else:
            zero = self.clock.zero_of_next(position, max(life.last for life in self.lives.values()))
        self.lives[run] = MachineLife(run, zero, position, label=label)
        return run

    def extend(self, run: NDArray[np.int64], position: Positions, failed: NDArray[np.bool_]) -> None:
        """Note the newest row of each life, and the failures that ended them."""
        for number in np.unique(run).tolist():
            mine, life = run == number, self.lives[number]
            ends = position[mine & failed]
            ended = float(ends[-1]) if len(ends) else life.ended
            self.lives[number] = replace(life, last=max(life.last, float(position[mine].max())), ended=ended)
        self.at = int(run[-1])

    def _begin(self, run: int, zero: float, position: Positions) -> int:
        run = max(run, self.first_run)
        self.lives[run] = MachineLife(run, zero, float(position[0]))
        return run

    def _of_restart(self, position: Positions, fails: bool, newest: MachineLife) -> int | None:
        """Return the run of rows whose clock of numbers has begun again; None where it just goes on."""
        first = float(position[0])
        if self.at is not None:  # the row before in this file is a failure
            ended = self.lives[self.at].ended
            if ended is None or first > ended:
                return None
            following = min((run for run in self.lives if run > self.at), default=None)
            return self._begin(newest.run + 1, 0.0, position) if following is None else following
        if fails:  # perhaps of a life that has come before
            known = [run for run, life in self.lives.items() if life.ended == position[-1]]
            if known:
                return max(known)
        begins = newest.ended is not None and newest.zero == 0 and first <= newest.ended
        if begins and first <= RESTART_STEPS * self.clock.step:
            return self._begin(newest.run + 1, 0.0, position)
        return None

    def _by_position(self, position: Positions, newest: MachineLife) -> NDArray[np.int64]:
        """Return the runs of rows by where lives begin and end; those beyond the end of the newest begin another."""
        runs = np.array(sorted(self.lives), np.int64)
        zeros = np.array([self.lives[run].zero for run in runs.tolist()])
        found = runs[np.maximum(np.searchsorted(zeros, position, side="right") - 1, 0)]
        if newest.ended is not None:
            beyond = position > newest.ended
            if beyond.any():
                first = position[beyond]
                found[beyond] = self._begin(newest.run + 1, self.clock.first_right(first), first)
        return found


def known_ends(lives: Sequence[MachineLife], present: int) -> list[MachineLife]:
    """Return lives of which the newest has ended where an order has begun a later run."""
    if not lives or max(life.run for life in lives) >= present:
        return list(lives)
    newest = max(lives, key=lambda life: life.run)
    ended: Any = newest.last if newest.ended is None else newest.ended
    return [replace(life, ended=ended) if life is newest else life for life in lives]
