"""Count runs and alarms: each run has at most one outcome, each count belongs to one period."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from foretwin.contract.twin import Twin
from foretwin.twin.cases.rules import remedy_of
from foretwin.twin.kpis.lives import Alarm, Kind, Life
from foretwin.twin.kpis.periods import Periods, day_of
from foretwin.twin.store.scoring.kpis import Run

FAILURES: tuple[Kind, ...] = ("foreseen", "missed")
REPAIRS: tuple[Kind, ...] = ("avoided", "replaced")
VERDICTS = ("confirmed", "part_replaced", "run_ended", "other_fault", "no_fault_found")
UNANSWERED = ("recovered", "new_run")
PACE = 2.0  # readings that came in this much faster or slower than their machine's clock were not sent as it ran


@dataclass
class Tally:
    """The counts of one period; times in the contract's clock unit."""

    outcomes: Counter[Kind] = field(default_factory=Counter)
    missed_after_alarm: int = 0  # of the missed: an alarm had been withdrawn, or answered by no_fault_found
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


def count(lives: Iterable[Life], contract: Twin, periods: Periods) -> list[Tally]:
    """Return a tally for each period. `lives` come in order of asset and run, and are held one at a time."""
    tallies, changes = [Tally() for _ in periods.all], [0] * len(periods.all)
    before: Life | None = None
    for life in lives:
        _count_operation(life.run, tallies, periods)
        _count_outcome(life, tallies, contract, periods)
        if before is not None and before.run.asset == life.run.asset:
            _count_downtime(before, life.run, tallies, contract, periods)
        for alarm in life.alarms:
            _count_alarm(alarm, tallies, changes, periods)
        before = life
    for tally, still_open in zip(tallies, accumulate(changes), strict=True):
        tally.open = still_open
    return tallies


def _count_operation(run: Run, tallies: list[Tally], periods: Periods) -> None:
    for i, share in periods.shares(run.first_at, run.last_at).items():
        tallies[i].operating += share * (run.last_time - run.first_time)


def _count_outcome(life: Life, tallies: list[Tally], contract: Twin, periods: Periods) -> None:
    outcome = life.outcome
    i = None if outcome is None else periods.at(day_of(outcome[1]))
    if outcome is None or i is None:
        return
    tally, kind, alarm = tallies[i], outcome[0], life.first_alarm
    tally.outcomes[kind] += 1
    if kind == "foreseen" and alarm is not None and life.end is not None:
        remedy, lead_time = remedy_of(contract, alarm.fault), life.end.time - alarm.opened_time
        tally.lead_times.append(lead_time)
        tally.with_part += remedy is not None
        tally.in_time += remedy is not None and lead_time >= remedy.lead_time
    elif kind == "missed":
        tally.missed_after_alarm += any(not one.stands for one in life.alarms)


def _count_downtime(life: Life, following: Run, tallies: list[Tally], contract: Twin, periods: Periods) -> None:
    """Add the time between the last reading of an ended run and the next run's first, where the clock gives it."""
    run, outcome, seconds = life.run, life.outcome, contract.clock.seconds
    if outcome is None or life.end is None or seconds is None:
        return
    i = periods.at(day_of(outcome[1]))
    gap = (following.first_at - run.last_at).total_seconds()
    took, ran = (run.last_at - run.first_at).total_seconds(), (run.last_time - run.first_time) * seconds
    if i is not None and gap >= 0 and ran > 0 and ran / PACE <= took <= ran * PACE:
        tallies[i].measured[outcome[0]] += 1
        tallies[i].downtime += gap / seconds


def _count_alarm(alarm: Alarm, tallies: list[Tally], changes: list[int], periods: Periods) -> None:
    """Count an alarm; `changes` is the change of open alarms at the end of each period."""
    moments: list[tuple[str, datetime | None]] = [("opened", alarm.opened_at)]
    if alarm.verdict is not None:
        moments.append((alarm.verdict, alarm.verdict_at))
    elif alarm.closed_because is not None:
        moments.append((alarm.closed_because, alarm.closed_at))
    for what, at in moments:
        i = None if at is None else periods.at(day_of(at))
        if i is not None:
            tallies[i].alarms[what] += 1
    for at, change in ((alarm.opened_at, 1), (alarm.closed_at, -1)):
        if at is not None and day_of(at) <= periods.all[-1].until:
            changes[periods.at(day_of(at)) or 0] += change
