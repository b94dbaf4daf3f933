"""Count runs and alarms: each run has at most one outcome, each count belongs to one day.

What is counted of a run are its facts: a day, what, a detail, a count and an amount. They depend on nothing but the
run, what follows it and what was told of it; what depends on the contract or the period is made of their sums.

Operating time is spread evenly over the time in which a run's readings came in: on the day on which it begins, the
sum of all days rises by a `level` until midnight and from then on by a `slope` each day, until it ends.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import accumulate, pairwise

import numpy as np

from foretwin.contract.twin import Twin
from foretwin.twin.cases.rules import remedy_of
from foretwin.twin.kpis.lives import Alarm, Kind, Life
from foretwin.twin.kpis.periods import Periods, day_of, midnight
from foretwin.twin.store.scoring.kpis import Fact, Run

FAILURES: tuple[Kind, ...] = ("foreseen", "missed")
REPAIRS: tuple[Kind, ...] = ("avoided", "replaced")
VERDICTS = ("confirmed", "part_replaced", "run_ended", "other_fault", "no_fault_found", "sensor_fault")
UNANSWERED = ("recovered", "new_run")
PACE = 2.0  # readings that came in this much faster or slower than their machine's clock were not sent as it ran
LEVEL, SLOPE, OPEN, STOP, LEAD, AFTER_ALARM = "level", "slope", "open", "stop", "lead_time", "missed_after_alarm"
ALARM, OUTCOME = "alarm:", "outcome:"
ONE_DAY = timedelta(days=1)


@dataclass
class Tally:
    """The counts of one period; times in the contract's clock unit."""

    outcomes: Counter[Kind] = field(default_factory=Counter)
    missed_after_alarm: int = 0  # of the missed: an alarm had been withdrawn, or a verdict had said that it was wrong
    lead_times: list[float] = field(default_factory=list)
    in_time: int = 0  # foreseen failures whose part would still have come
    with_part: int = 0  # foreseen failures of which the contract knows the part
    operating: float = 0.0
    measured: Counter[Kind] = field(default_factory=Counter)  # outcomes whose downtime the readings show
    downtime: float = 0.0  # the sum of those
    alarms: Counter[str] = field(default_factory=Counter)  # opened, each verdict, why others closed without one
    open: int = 0  # alarms, at the end of the period

    @classmethod
    def sum_of(cls, parts: Iterable["Tally"]) -> "Tally":
        """Return the sum over all periods."""
        whole = cls()
        for part in parts:
            whole.outcomes.update(part.outcomes)
            whole.measured.update(part.measured)
            whole.alarms.update(part.alarms)
            whole.lead_times += part.lead_times
            whole.missed_after_alarm += part.missed_after_alarm
            whole.in_time += part.in_time
            whole.with_part += part.with_part
            whole.operating += part.operating
            whole.downtime += part.downtime
            whole.open = part.open  # a state and no sum: that of the last one
        return whole


def facts_of(life: Life, following: Run | None) -> list[Fact]:
    """Return what is counted of a run; `following` is the asset's next run, without which its operation is not over."""
    found = [*_outcome(life), *(fact for alarm in life.alarms for fact in _alarm(alarm))]
    if following is not None:
        found += [*_operation(life.run), *_stop(life, following)]
    return found


def count(
    facts: Iterable[Fact], operation: Iterable[tuple[int, float, float]], contract: Twin, periods: Periods
) -> list[Tally]:
    """Return a tally for each period of the facts' sums; `operation` are day, level and slope of what goes on."""
    tallies, changes = [Tally() for _ in periods.all], [0] * len(periods.all)
    rises = list(operation)
    for day, what, detail, number, amount in facts:
        if what in (LEVEL, SLOPE):
            rises.append((day, amount, 0.0) if what == LEVEL else (day, 0.0, amount))
            continue
        i = periods.at(date.fromordinal(day))
        if what == OPEN:
            changes[i or 0] += number
        elif i is not None and number:
            _count_fact(tallies[i], (what, detail, number, amount), contract)
    for tally, still_open in zip(tallies, accumulate(changes), strict=True):
        tally.open = still_open
    for tally, operating in zip(tallies, _operating(rises, periods), strict=True):
        tally.operating = operating
    return tallies


def _count_fact(tally: Tally, fact: tuple[str, str, int, float], contract: Twin) -> None:
    what, detail, number, amount = fact
    if what.startswith(ALARM):
        tally.alarms[what.removeprefix(ALARM)] += number
    elif what.startswith(OUTCOME):
        tally.outcomes[_kind(what.removeprefix(OUTCOME))] += number
    elif what == AFTER_ALARM:
        tally.missed_after_alarm += number
    elif what == LEAD:
        fault, _, said = detail.rpartition(":")
        remedy, lead_time = remedy_of(contract, fault), float(said)
        tally.lead_times += [lead_time] * number
        tally.with_part += number * (remedy is not None)
        tally.in_time += number * (remedy is not None and lead_time >= remedy.lead_time)
    elif what == STOP and contract.clock.seconds is not None:
        kind, _, pace = detail.partition(":")
        if 1 / PACE <= float(pace) / contract.clock.seconds <= PACE:
            tally.measured[_kind(kind)] += number
            tally.downtime += amount / contract.clock.seconds


def _kind(name: str) -> Kind:
    return next(kind for kind in (*FAILURES, *REPAIRS) if kind == name)


def _outcome(life: Life) -> Iterator[Fact]:
    if life.outcome is None:
        return
    (kind, at), alarm = life.outcome, life.first_alarm
    day = day_of(at).toordinal()
    yield day, OUTCOME + kind, "", 1, 0.0
    if kind == "foreseen" and alarm is not None and life.end is not None:
        yield day, LEAD, f"{alarm.fault}:{life.end.time - alarm.opened_time!r}", 1, 0.0
    elif kind == "missed" and any(not one.stands for one in life.alarms):
        yield day, AFTER_ALARM, "", 1, 0.0


def _alarm(alarm: Alarm) -> Iterator[Fact]:
    moments: list[tuple[str, datetime | None]] = [("opened", alarm.opened_at)]
    if alarm.verdict is not None:
        moments.append((alarm.verdict, alarm.verdict_at))
    elif alarm.closed_because is not None:
        moments.append((alarm.closed_because, alarm.closed_at))
    yield from ((day_of(at).toordinal(), ALARM + what, "", 1, 0.0) for what, at in moments if at is not None)
    for at, change in ((alarm.opened_at, 1), (alarm.closed_at, -1)):
        if at is not None:
            yield day_of(at).toordinal(), OPEN, "", change, 0.0


def _stop(life: Life, following: Run) -> Iterator[Fact]:
    """The time between the last reading of an ended run and the next run's first, and at which pace readings came."""
    run, outcome = life.run, life.outcome
    gap = (following.first_at - run.last_at).total_seconds()
    took, ran = (run.last_at - run.first_at).total_seconds(), run.last_time - run.first_time
    if outcome is not None and life.end is not None and gap >= 0 and ran > 0:
        yield day_of(outcome[1]).toordinal(), STOP, f"{outcome[0]}:{took / ran!r}", 1, gap


def _operation(run: Run) -> Iterator[Fact]:
    begin, end, length = day_of(run.first_at), day_of(run.last_at), run.last_time - run.first_time
    if end <= begin:
        yield begin.toordinal(), LEVEL, "", 1, length
        return
    rate = length / ((run.last_at - run.first_at) / ONE_DAY)
    yield begin.toordinal(), LEVEL, "", 1, rate * ((midnight(begin + ONE_DAY) - run.first_at) / ONE_DAY)
    yield begin.toordinal(), SLOPE, "", 1, rate
    yield end.toordinal(), LEVEL, "", 1, -rate * ((midnight(end + ONE_DAY) - run.last_at) / ONE_DAY)
    yield end.toordinal(), SLOPE, "", 1, -rate


def _operating(rises: Sequence[tuple[int, float, float]], periods: Periods) -> list[float]:
    """Return the operating time in each period: the rise of the sum from its first midnight to the one behind it."""
    if not rises:
        return [0.0] * len(periods.all)
    days, levels, slopes = np.array(sorted(rises), np.float64).T

    def sum_at(day: int) -> float:
        before = days < day
        return float((levels[before] + slopes[before] * (day - days[before] - 1)).sum())

    edges = [sum_at(one.since.toordinal()) for one in periods.all]
    edges.append(sum_at(periods.all[-1].until.toordinal() + 1))
    return [max(after - before, 0.0) for before, after in pairwise(edges)]
