"""Read what key figures are counted from: runs, their ends, and cases with their verdicts.

Each in order of the assets' numbers and of the runs, and told one at a time: memory does not grow with the store.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select, case, func, select

from foretwin.twin.store.tables import assets, audit, batches, cases, maintenance, readings, verdicts
from foretwin.twin.store.telemetry.history import ENDS, RUN_ENDED

AT_ONCE = 5_000  # rows fetched together


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


def kpi_runs(connection: Connection, twin: str) -> Iterator[Run]:
    """Yield the runs of the twin's assets, by a few index steps each, however many readings a run has."""
    walked = _walked(twin)
    first, last = batches.alias("first_batch"), batches.alias("last_batch")
    times = (
        _edge(walked, "time", newest=False).label("first_time"),
        _edge(walked, "time", newest=True).label("last_time"),
    )
    moments = (first.c.received_at.label("first_at"), last.c.received_at.label("last_at"))
    query = select(walked.c.asset, walked.c.run, *times, *moments).select_from(walked)
    query = query.join(first, first.c.id == _edge(walked, "batch", newest=False))
    query = query.join(last, last.c.id == _edge(walked, "batch", newest=True)).where(walked.c.run.is_not(None))
    return (Run(*row) for row in _told(connection, query.order_by(walked.c.asset, walked.c.run)))


def ends(connection: Connection, twin: str) -> Iterator[End]:
    """Yield what ended the runs of the twin's assets; of one run in order of its own time, a failure first."""
    table = maintenance.c
    query = select(table.asset, table.run, table.kind, table.time, table.at).join(assets, assets.c.id == table.asset)
    query = query.where(assets.c.twin == twin, table.kind.in_(ENDS))
    is_repair = case((table.kind == RUN_ENDED, 0), else_=1)
    return (
        End(*row) for row in _told(connection, query.order_by(table.asset, table.run, table.time, is_repair, table.id))
    )


def answered_cases(connection: Connection, twin: str) -> Iterator[AnsweredCase]:
    """Yield the cases of the twin's assets; of one run in order of their numbers."""
    columns = [cases.c[name] for name in AnsweredCase.__dataclass_fields__ if not name.startswith("verdict")]
    query = select(*columns, verdicts.c.verdict, verdicts.c.at).outerjoin(verdicts, verdicts.c.case == cases.c.id)
    query = query.where(cases.c.twin == twin, cases.c.asset.is_not(None))
    return (AnsweredCase(*row) for row in _told(connection, query.order_by(cases.c.asset, cases.c.run, cases.c.id)))


def twins_with_assets(connection: Connection) -> set[str]:
    """Return the names of the twins that have assets."""
    return set(connection.execute(select(assets.c.twin).distinct()).scalars())


def first_registered(connection: Connection, twin: str) -> datetime | None:
    """Return when the twin's first asset was registered; None without assets."""
    return connection.execute(select(func.min(assets.c.registered_at)).where(assets.c.twin == twin)).scalar()


def count_erased(connection: Connection) -> int:
    """Count erased assets of any twin; nothing else is known of them."""
    query = select(func.count()).select_from(audit).where(audit.c.action == "asset.erased")
    return connection.execute(query).scalar_one()


def _walked(twin: str) -> CTE:
    """Return columns asset, run: each run of each asset, and None behind the last."""
    of_asset = readings.c.asset == assets.c.id
    first = select(func.min(readings.c.run)).where(of_asset).correlate(assets).scalar_subquery().label("run")
    walk = select(assets.c.id.label("asset"), first).where(assets.c.twin == twin).cte("walk", recursive=True)
    later = (readings.c.asset == walk.c.asset, readings.c.run > walk.c.run)
    following = select(func.min(readings.c.run)).where(*later).correlate(walk).scalar_subquery()
    return walk.union_all(select(walk.c.asset, following).where(walk.c.run.is_not(None)))


def _edge(walked: CTE, column: str, newest: bool) -> ColumnElement[Any]:
    """Return a column of the first or of the last reading of each run."""
    mine = (readings.c.asset == walked.c.asset, readings.c.run == walked.c.run)
    time = readings.c.time.desc() if newest else readings.c.time.asc()
    return select(readings.c[column]).where(*mine).order_by(time).limit(1).correlate(walked).scalar_subquery()


def _told(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    return iter(connection.execute(query.execution_options(yield_per=AT_ONCE)))
