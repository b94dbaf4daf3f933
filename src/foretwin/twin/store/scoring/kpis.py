"""Read and keep what key figures are counted from: runs, their ends, cases with their verdicts, and the counts.

The counts of a run are kept beside it and summed per day. What changes about an asset marks its runs, in the same
transaction; a marked asset is counted anew, so that a report reads what has changed and a row per day, not the history.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, exists, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.summaries import IS_CHANGED, kpi_counts, runs
from foretwin.twin.store.tables import assets, audit, cases, maintenance, verdicts
from foretwin.twin.store.telemetry.history import ENDS, RUN_ENDED

LOCK = 7086  # of PostgreSQL's advisory locks: the counts of one twin, one transaction at a time
# Of each asset's newest run, whose last reading the asset has: operating time per day, as the rise of a sum over days.
_SPAN = """SELECT r.first_time AS begun, CASE WHEN a.time > r.last_time THEN a.time ELSE r.last_time END AS ended,
        r.first_at AS begun_at, CASE WHEN a.time > r.last_time THEN a.received_at ELSE r.last_at END AS ended_at
    FROM runs r JOIN assets a ON a.id = r.asset WHERE a.twin = {mark} AND r.is_newest"""
_DAYS = """SELECT ended - begun AS length, {days_begun} AS f, {days_ended} AS l, {day_begun} AS fd, {day_ended} AS ld
    FROM ({span}) AS spans"""
_OPERATION = """WITH days AS ({days}), rates AS (
        SELECT fd, ld, f, l, length, CASE WHEN l > f AND ld > fd THEN length / (l - f) ELSE 0 END AS rate FROM days)
    SELECT fd, sum(CASE WHEN l > f AND ld > fd THEN rate * (fd + 1 - f) ELSE length END), sum(rate)
    FROM rates GROUP BY fd
    UNION ALL SELECT ld, sum(-rate * (ld + 1 - l)), sum(-rate) FROM rates WHERE l > f AND ld > fd GROUP BY ld"""
EPOCH = 719163  # the ordinal of 1 January 1970


@dataclass(frozen=True)
class Run:
    """A run of an asset that has readings. Its times are the machine's own, in the contract's clock unit."""

    asset: int
    run: int
    first_time: float
    last_time: float
    first_at: datetime  # when the reading of `first_time` came in
    last_at: datetime


@dataclass(frozen=True)
class End:
    """A verdict or maintenance that ended a run: run_ended, which is a failure, or part_replaced."""

    asset: int
    run: int
    kind: str
    time: float
    at: datetime  # when it was told


@dataclass(frozen=True)
class AnsweredCase:
    """A case of an asset, and its verdict where it has one."""

    asset: int
    run: int
    id: int
    fault: str
    opened_at: datetime
    opened_time: float
    closed_at: datetime | None
    closed_because: str | None
    merged_into: int | None
    verdict: str | None
    verdict_at: datetime | None


Fact = tuple[int, str, str, int, float]  # day (its ordinal), what, detail, count, amount


def lock_counts(connection: Connection, twin: str) -> None:
    """Wait until no other transaction keeps this twin's counts; SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(LOCK, func.hashtext(twin))))


def changed_assets(connection: Connection, twin: str, most: int | None) -> list[int]:
    """Return assets of the twin about which something has changed since they were counted, at most `most`."""
    mine = exists().where(assets.c.id == runs.c.asset, assets.c.twin == twin)  # no join, which would begin at the fleet
    query = select(runs.c.asset).distinct().where(IS_CHANGED, mine).order_by(runs.c.asset).limit(most)
    return list(connection.execute(query).scalars())


def counted_runs(
    connection: Connection, asset_ids: Sequence[int], for_update: bool = False
) -> list[tuple[Run, bool, list[Fact]]]:
    """Return the runs of these assets in order, whether each is its asset's newest, and what is counted of it.

    `for_update` keeps others from marking them until the transaction ends.
    """
    ahead = runs.c.is_newest & (assets.c.time > runs.c.last_time)
    last = [
        case((ahead, assets.c[of]), else_=runs.c[to]) for of, to in (("time", "last_time"), ("received_at", "last_at"))
    ]
    columns = (runs.c.asset, runs.c.run, runs.c.first_time, last[0], runs.c.first_at, last[1])
    query = select(*columns, runs.c.is_newest, runs.c.counted).join(assets, assets.c.id == runs.c.asset)
    query = query.where(runs.c.asset.in_(asset_ids)).order_by(runs.c.asset, runs.c.run)
    query = query.with_for_update(of=runs) if for_update else query
    return [(Run(*row[:6]), bool(row[6]), [(*fact,) for fact in row[7]]) for row in connection.execute(query)]


def ends(connection: Connection, asset_ids: Sequence[int]) -> list[End]:
    """Return what ended the runs of these assets; of one run in order of its own time, a failure first."""
    table = maintenance.c
    query = select(table.asset, table.run, table.kind, table.time, table.at)
    query = query.where(table.asset.in_(asset_ids), table.kind.in_(ENDS))
    is_repair = case((table.kind == RUN_ENDED, 0), else_=1)
    ordered = query.order_by(table.asset, table.run, table.time, is_repair, table.id)
    return [End(*row) for row in connection.execute(ordered)]


def answered_cases(connection: Connection, asset_ids: Sequence[int]) -> list[AnsweredCase]:
    """Return the cases of these assets; of one run in order of their numbers."""
    columns = [cases.c[name] for name in AnsweredCase.__dataclass_fields__ if not name.startswith("verdict")]
    query = select(*columns, verdicts.c.verdict, verdicts.c.at).outerjoin(verdicts, verdicts.c.case == cases.c.id)
    query = query.where(cases.c.asset.in_(asset_ids)).order_by(cases.c.asset, cases.c.run, cases.c.id)
    return [AnsweredCase(*row) for row in connection.execute(query)]


def store_counts(
    connection: Connection, twin: str, found: Iterable[tuple[Run, Sequence[Fact]]], change: Iterable[Fact]
) -> None:
    """Keep what is counted of these runs, which are no longer marked, and add the change to the twin's sums."""
    mine = update(runs).where(runs.c.asset == bindparam("of"), runs.c.run == bindparam("in_run"))
    rows = [{"of": run.asset, "in_run": run.run, "facts": [list(fact) for fact in facts]} for run, facts in found]
    if rows:
        connection.execute(mine.values(is_changed=False, counted=bindparam("facts")), rows)
    _add(connection, twin, change)


def forget_counts(connection: Connection, twin: str, asset_id: int) -> None:
    """Take what is counted of an asset out of the twin's sums."""
    lock_counts(connection, twin)
    counted = [fact for _, _, facts in counted_runs(connection, [asset_id], for_update=True) for fact in facts]
    _add(connection, twin, [(day, what, detail, -count, -amount) for day, what, detail, count, amount in counted])


def counts(connection: Connection, twin: str, until: int) -> list[Fact]:
    """Return the twin's sums of all days up to and with that ordinal."""
    table = kpi_counts.c
    query = select(table.day, table.what, table.detail, table.count, table.amount)
    rows = connection.execute(query.where(table.twin == twin, table.day <= until))
    return [(row.day, row.what, row.detail, int(row[3]), row.amount) for row in rows]


def sums_of(connection: Connection, twin: str, since: int, what: Sequence[str]) -> dict[str, int]:
    """Return what was counted of a twin since a day (its ordinal), by what it is; nothing of what never was."""
    table = kpi_counts.c
    query = select(table.what, func.sum(table["count"])).where(table.twin == twin, table.day >= since)
    rows = connection.execute(query.where(table.what.in_(what)).group_by(table.what))
    return {name: int(count) for name, count in rows}


def operation_of_newest(connection: Connection, twin: str) -> list[tuple[int, float, float]]:
    """Return day, level and slope of the operating time of all newest runs, as `counting` has it of ended ones."""
    if connection.dialect.name == "postgresql":
        mark, epoch = "%s", "extract(epoch FROM {})"
        day, place = f"floor({epoch} / 86400)::int", f"({epoch} / 86400)::float8"
    else:
        mark, day, place = "?", "CAST(strftime('%s', {}) AS INTEGER) / 86400", "julianday({}) - 2440587.5"
    begun = {"days_begun": place.format("begun_at"), "day_begun": day.format("begun_at")}
    ended = {"days_ended": place.format("ended_at"), "day_ended": day.format("ended_at")}
    days = _DAYS.format(**begun, **ended, span=_SPAN.format(mark=mark))
    found = connection.exec_driver_sql(_OPERATION.format(days=days), (twin,))
    return [(int(day) + EPOCH, float(level), float(slope)) for day, level, slope in found]


def twins_with_assets(connection: Connection) -> set[str]:
    """Return the names of the twins that have assets, by an index step for each."""
    found: set[str] = set()
    next_twin = select(func.min(assets.c.twin))
    name = connection.execute(next_twin).scalar()
    while name is not None:
        found.add(name)
        name = connection.execute(next_twin.where(assets.c.twin > name)).scalar()
    return found


def first_registered(connection: Connection, twin: str) -> datetime | None:
    """Return when the twin's first asset was registered; None without assets."""
    return connection.execute(select(func.min(assets.c.registered_at)).where(assets.c.twin == twin)).scalar()


def count_erased(connection: Connection) -> int:
    """Count erased assets of any twin; nothing else is known of them."""
    erased = text("action = 'asset.erased'")  # as text, so that SQLite sees that the partial index serves
    return connection.execute(select(func.count()).select_from(audit).where(erased)).scalar_one()


def _add(connection: Connection, twin: str, change: Iterable[Fact]) -> None:
    names = ("day", "what", "detail", "count", "amount")
    rows: list[dict[str, Any]] = [{"twin": twin, **dict(zip(names, fact, strict=True))} for fact in sorted(change)]
    if rows:
        into = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(kpi_counts)
        values = {name: kpi_counts.c[name] + into.excluded[name] for name in ("count", "amount")}
        key = ["twin", "day", "what", "detail"]
        connection.execute(into.on_conflict_do_update(index_elements=key, set_=values), rows)
