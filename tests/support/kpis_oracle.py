"""Key figures counted from all readings, a run at a time: what the sums must equal."""

from itertools import accumulate

from sqlalchemy import case, select

from foretwin.twin.cases.rules import remedy_of
from foretwin.twin.kpis.counting import PACE, Tally
from foretwin.twin.kpis.lives import lives
from foretwin.twin.kpis.periods import day_of
from foretwin.twin.store.scoring.kpis import AnsweredCase, End, Run
from foretwin.twin.store.tables import batches, cases, maintenance, readings, verdicts
from foretwin.twin.store.telemetry.history import ENDS, RUN_ENDED


def count_all(connection, contract, periods):
    """A tally for each period, out of every reading, end and case of the twin."""
    return count(lives(_runs(connection), _ends(connection), _cases(connection)), contract, periods)


def _runs(connection):
    query = select(readings.c.asset, readings.c.run, readings.c.time, batches.c.received_at)
    rows = connection.execute(query.join(batches, batches.c.id == readings.c.batch)).all()
    keys = sorted({(row.asset, row.run) for row in rows})
    for key in keys:
        mine = sorted((row.time, row.received_at) for row in rows if (row.asset, row.run) == key)
        yield Run(*key, mine[0][0], mine[-1][0], mine[0][1], mine[-1][1])


def _ends(connection):
    table = maintenance.c
    is_repair = case((table.kind == RUN_ENDED, 0), else_=1)
    query = select(table.asset, table.run, table.kind, table.time, table.at).where(table.kind.in_(ENDS))
    return [
        End(*row) for row in connection.execute(query.order_by(table.asset, table.run, table.time, is_repair, table.id))
    ]


def _cases(connection):
    columns = [cases.c[name] for name in AnsweredCase.__dataclass_fields__ if not name.startswith("verdict")]
    query = select(*columns, verdicts.c.verdict, verdicts.c.at).outerjoin(verdicts, verdicts.c.case == cases.c.id)
    query = query.where(cases.c.asset.is_not(None)).order_by(cases.c.asset, cases.c.run, cases.c.id)
    return [AnsweredCase(*row) for row in connection.execute(query)]


def count(lives, contract, periods):
    """Return a tally for each period. `lives` come in order of asset and run, and are held one at a time."""
    tallies, changes = [Tally() for _ in periods.all], [0] * len(periods.all)
    before = None
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


def _count_operation(run, tallies, periods):
    for i, share in periods.shares(run.first_at, run.last_at).items():
        tallies[i].operating += share * (run.last_time - run.first_time)


def _count_outcome(life, tallies, contract, periods):
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


def _count_downtime(life, following, tallies, contract, periods):
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


def _count_alarm(alarm, tallies, changes, periods):
    """Count an alarm; `changes` is the change of open alarms at the end of each period."""
    moments = [("opened", alarm.opened_at)]
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
