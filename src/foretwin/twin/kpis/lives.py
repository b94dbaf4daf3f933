"""Iterate over a fleet's runs, each with its alarms and its outcome."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from foretwin.twin.store.scoring.kpis import AnsweredCase, End, Run
from foretwin.twin.store.telemetry.history import PART_REPLACED, RUN_ENDED, WRONG

Kind = Literal["foreseen", "missed", "avoided", "replaced"]
CONFIRMING = ("confirmed", PART_REPLACED)
RECOVERED = "recovered"
Told = TypeVar("Told", End, AnsweredCase)


@dataclass(frozen=True)
class Alarm:
    """A case together with those that merged into it."""

    fault: str
    opened_at: datetime  # when the first of them did
    opened_time: float
    closed_at: datetime | None
    closed_because: str | None
    verdict: str | None  # its own, else the first of theirs
    verdict_at: datetime | None

    @property
    def stands(self) -> bool:
        """Whether it was neither withdrawn by the model nor found to be wrong."""
        if self.verdict is None:
            return self.closed_because != RECOVERED
        return self.verdict not in WRONG


@dataclass(frozen=True)
class Life:
    """A run with what ended it, if anything, and its alarms in order of opening."""

    run: Run
    end: End | None
    alarms: Sequence[Alarm]

    @property
    def outcome(self) -> tuple[Kind, datetime] | None:
        """Return the run's outcome and the moment at which it counts; None while it is open."""
        if self.end is not None and self.end.kind == RUN_ENDED:
            return ("missed" if self.first_alarm is None else "foreseen"), self.end.at
        confirmed = [one.verdict_at for one in self.alarms if one.verdict in CONFIRMING and one.verdict_at is not None]
        if confirmed:
            return "avoided", min(confirmed)
        return None if self.end is None else ("replaced", self.end.at)

    @property
    def first_alarm(self) -> Alarm | None:
        """Return the first valid alarm opened before the end, in the run's own time."""
        end = self.end
        return next((one for one in self.alarms if one.stands and end is not None and one.opened_time < end.time), None)


def lives(runs: Iterable[Run], ends: Iterable[End], cases: Iterable[AnsweredCase]) -> Iterator[Life]:
    """Yield the runs in order, which is that of the other two streams as well."""
    ends_of, cases_of = _Following(ends), _Following(cases)
    for run in runs:
        # A part that was fitted before the first reading of a run ended nothing.
        real = (one for one in ends_of.take(run) if one.kind == RUN_ENDED or one.time > run.first_time)
        yield Life(run, next(real, None), alarms_of(cases_of.take(run)))


def alarms_of(cases: Sequence[AnsweredCase]) -> list[Alarm]:
    """Return the alarms of one run."""
    numbers = {case.id for case in cases}
    together: dict[int, list[AnsweredCase]] = {}
    for case in cases:
        alarm = case.id if case.merged_into not in numbers or case.merged_into is None else case.merged_into
        together.setdefault(alarm, []).append(case)
    alarms = []
    for number, members in together.items():
        own = next(case for case in members if case.id == number)
        first = min(members, key=lambda case: case.opened_time)
        answered = [case for case in members if case.verdict is not None]
        said = own if own.verdict is not None or not answered else answered[0]
        opened = (min(case.opened_at for case in members), first.opened_time)
        alarms.append(Alarm(own.fault, *opened, own.closed_at, own.closed_because, said.verdict, said.verdict_at))
    return sorted(alarms, key=lambda one: one.opened_time)


class _Following(Generic[Told]):
    """Match items to runs, from a stream in the order of the runs."""

    def __init__(self, stream: Iterable[Told]) -> None:
        self._stream: Iterator[Told] = iter(stream)
        self._next: Told | None = next(self._stream, None)

    def take(self, run: Run) -> list[Told]:
        """Return the items of this run; items of earlier runs that nobody took are skipped."""
        wanted, taken = (run.asset, run.run), []
        while self._next is not None and (self._next.asset, self._next.run) <= wanted:
            if (self._next.asset, self._next.run) == wanted:
                taken.append(self._next)
            self._next = next(self._stream, None)
        return taken
