"""Read what the monitor compares: readings of healthy life, recent readings and scores, quarantine, ended runs.

Each question is asked of some hundred assets in one statement, from their primary key, and a generator holds the answer
to one statement at a time: memory does not grow with the store.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    func,
    literal,
    or_,
    select,
    union,
)

from foretwin.champion.identity import ModelIdentity
from foretwin.twin.store.aging.hours import archived_until
from foretwin.twin.store.scoring.newest import in_parts, newest_of_each, wanted_places
from foretwin.twin.store.summaries import exports
from foretwin.twin.store.tables import (
    assets,
    batches,
    cases,
    layouts,
    maintenance,
    models,
    quarantine,
    readings,
    scores,
    verdicts,
)
from foretwin.twin.store.telemetry.history import ENDS, NO_FAULT_FOUND, WRONG
from foretwin.twin.store.telemetry.layouts import decode_layouts, layouts_of
from foretwin.wire.readings import Readings

MOST_COUNTED = 1_000_000  # readings that a share is taken of: more are not worth the time to count them
RECOVERED = "recovered"


@dataclass(frozen=True)
class Heard:
    """An asset that has sent readings, the last of them at `received_at`, and its present run."""

    id: int
    name: str
    run: int
    received_at: datetime


@dataclass(frozen=True)
class Healthy:
    """What a healthy score looks like: on each fault axis one of these classes, and an interval up to the RUL's cap."""

    diagnosis: Mapping[str, Sequence[str]]
    rul_high: float | None  # None where the twin has no RUL

    def holds(self, scored: "ScoredReadings") -> NDArray[np.bool_]:
        """Return (N,) whether each score is healthy."""
        found = np.ones(len(scored), dtype=bool)
        if self.rul_high is not None:
            found &= scored.rul_high >= self.rul_high
        for axis, names in self.diagnosis.items():
            found &= np.array([answers.get(axis) in names for answers in scored.diagnosis], dtype=bool)
        return found


@dataclass(frozen=True)
class ScoredReadings:
    """N scores of one asset or run; RUL and interval NaN where a score has none."""

    run: NDArray[np.int64]  # (N,)
    time: NDArray[np.float64]  # (N,)
    model: NDArray[np.int64]  # (N,)
    rows: NDArray[np.int64]  # (N,) readings that each saw
    rul: NDArray[np.float64]  # (N,)
    rul_low: NDArray[np.float64]  # (N,)
    rul_high: NDArray[np.float64]  # (N,)
    diagnosis: list[dict[str, str]]
    warnings: list[list[str]]

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Alarms:
    """Counts of a twin's closed cases: all, by a verdict, as no fault, by themselves."""

    closed: int
    no_fault_found: int
    recovered: int


def heard(connection: Connection, twin: str, since: datetime | None) -> list[Heard]:
    """Return the assets with a reading since that moment, or ever, in order of their ids."""
    columns = (assets.c.id, assets.c.name, assets.c.run, assets.c.received_at)
    query = select(*columns).where(assets.c.twin == twin, assets.c.received_at.is_not(None)).order_by(assets.c.id)
    query = query if since is None else query.where(assets.c.received_at >= since)
    return [Heard(*row) for row in connection.execute(query)]


def first_batch(connection: Connection, since: datetime | None) -> int:
    """Return the first batch number at or after that moment."""
    if since is None:
        return 0
    older = select(batches.c.id).where(batches.c.received_at < since).order_by(batches.c.id.desc()).limit(1)
    return (connection.execute(older).scalar() or 0) + 1


def healthy_until(connection: Connection, asset_ids: Iterable[int], healthy: Healthy) -> dict[int, tuple[int, float]]:
    """Return asset -> newest run and time of a healthy score, as far as there is one.

    Wear does not heal: what the same run showed before that was of healthy life too.
    """
    said: list[ColumnElement[bool]] = [
        scores.c.diagnosis[axis].as_string().in_(names) for axis, names in healthy.diagnosis.items()
    ]
    if healthy.rul_high is not None:
        said.append(scores.c.rul_high >= healthy.rul_high)
    found: dict[int, tuple[int, float]] = {}
    for part in in_parts(asset_ids):
        wanted = wanted_places((asset, 0, 0.0) for asset in part)
        mine = (scores.c.asset == wanted.c.asset, *said)
        newest = select(scores.c.run, scores.c.time).where(*mine).order_by(scores.c.run.desc(), scores.c.time.desc())
        rows = connection.execute(newest_of_each(connection, wanted, newest, 1)).all()
        found |= {asset: (run, time) for asset, run, time in rows if run is not None}
    return found


def newest_readings(
    connection: Connection,
    twin: str,
    channels: Sequence[str],
    places: Iterable[tuple[int, int, float | None]],
    limits: tuple[int, int],
) -> Iterator[tuple[Readings, NDArray[np.int64]]]:
    """Yield the newest readings of each (asset, run, up to that time), as far as there are any.

    With each N of them (N,) which batch brought it. `limits` are how many of each at most, and the first batch that
    counts.
    """
    held = layouts_of(connection, twin)
    most, since = limits
    columns = (readings.c.time, readings.c.batch, readings.c.layout, readings.c.channels)
    last = float(np.finfo(np.float64).max)
    for part in in_parts(places):
        wanted = wanted_places((asset, run, last if time is None else time) for asset, run, time in part)
        place = (readings.c.asset == wanted.c.asset, readings.c.run == wanted.c.run)
        mine = (*place, readings.c.time <= wanted.c.upto, readings.c.batch >= since)
        newest = select(*columns).where(*mine).order_by(readings.c.time.desc())
        runs = {asset: run for asset, run, _ in part}
        for asset, rows in groupby(
            connection.execute(newest_of_each(connection, wanted, newest, most)).all(), itemgetter(0)
        ):
            times, numbers, layout, packed = zip(*(row[1:] for row in list(rows)[:most][::-1]), strict=True)
            values = decode_layouts(layout, packed, held, channels)
            keys = np.full(len(times), asset), np.full(len(times), runs[asset]), np.array(times, np.float64)
            yield Readings(twin, tuple(channels), *keys, values), np.array(numbers, np.int64)


def recent_scores(
    connection: Connection, asset_ids: Iterable[int], since: datetime | None, most: int
) -> Iterator[tuple[int, ScoredReadings]]:
    """Yield of each asset the newest `most` scores made since that moment, as far as there are any."""
    for part in in_parts(asset_ids):
        wanted = wanted_places((asset, 0, 0.0) for asset in part)
        mine = [scores.c.asset == wanted.c.asset, *([] if since is None else [scores.c.scored_at >= since])]
        last = scores.c.run.desc(), scores.c.time.desc(), scores.c.scored_at.desc()
        newest = select(*_SCORE, scores.c.scored_at).where(*mine).order_by(*last)
        for asset, rows in groupby(
            connection.execute(newest_of_each(connection, wanted, newest, most)).all(), itemgetter(0)
        ):
            yield asset, _scored([row[1:-1] for row in list(rows)[:most]])


def scores_of_run(connection: Connection, asset_id: int, run: int, upto: float) -> tuple[ScoredReadings | None, float]:
    """Return all scores of a run up to a time, and the time of its last reading up to then, when its life ended.

    None where it was never scored; the scores are in order of time.
    """
    last = select(func.max(readings.c.time)).where(
        readings.c.asset == asset_id, readings.c.run == run, readings.c.time <= upto
    )
    mine = (scores.c.asset == asset_id, scores.c.run == run, scores.c.time <= upto)
    rows = connection.execute(select(*_SCORE).where(*mine).order_by(scores.c.time)).all()
    ends = connection.execute(last).scalar(), archived_until(connection, asset_id, run, upto)
    return (_scored(rows) if rows else None), max((end for end in ends if end is not None), default=upto)


def model_number(connection: Connection, twin: str, identity: ModelIdentity) -> int | None:
    """Return the number of a model that has scored; None where it has not yet."""
    named = (models.c.twin == twin, models.c.version == identity.version, models.c.digest == identity.digest)
    return connection.execute(select(models.c.id).where(*named)).scalar()


def cases_of_runs(connection: Connection, twin: str) -> dict[tuple[int, int], float]:
    """Return (asset, run) -> time in the run at which its first case opened, false alarms left out."""
    query = select(cases.c.asset, cases.c.run, func.min(cases.c.opened_time)).outerjoin(
        verdicts, verdicts.c.case == cases.c.id
    )
    meant = and_(
        or_(cases.c.closed_because.is_(None), cases.c.closed_because != RECOVERED),
        or_(verdicts.c.verdict.is_(None), verdicts.c.verdict.not_in(WRONG)),
    )
    mine = (cases.c.twin == twin, cases.c.asset.is_not(None), cases.c.opened_time.is_not(None))
    rows = connection.execute(query.where(*mine, meant).group_by(cases.c.asset, cases.c.run))
    return {(asset, run): time for asset, run, time in rows}


def alarms(connection: Connection, twin: str, since: datetime | None) -> Alarms:
    """Count the cases of the twin's assets closed since that moment, merged ones left out."""
    over = [cases.c.twin == twin, cases.c.asset.is_not(None), cases.c.state == "closed", cases.c.merged_into.is_(None)]
    if since is not None:
        over.append(cases.c.closed_at >= since)
    query = select(cases.c.closed_because, verdicts.c.verdict, func.count())
    query = query.outerjoin(verdicts, verdicts.c.case == cases.c.id).where(*over)
    rows = connection.execute(query.group_by(cases.c.closed_because, verdicts.c.verdict)).all()
    return Alarms(
        closed=sum(row[2] for row in rows),
        no_fault_found=sum(row[2] for row in rows if row[1] == NO_FAULT_FOUND),
        recovered=sum(row[2] for row in rows if row[0] == RECOVERED and row[1] is None),
    )


def set_aside(connection: Connection, twin: str, since: datetime | None) -> dict[str, int]:
    """Return reason -> number of the twin's readings quarantined since that moment and still there."""
    query = select(quarantine.c.reason, func.sum(quarantine.c.readings)).where(quarantine.c.twin == twin)
    query = query.where(quarantine.c.released_at.is_(None))
    query = query if since is None else query.where(quarantine.c.received_at >= since)
    rows = connection.execute(query.group_by(quarantine.c.reason).order_by(quarantine.c.reason))
    return {str(reason): int(count) for reason, count in rows}


def stored_since(connection: Connection, twin: str, batch: int) -> int:
    """Count the twin's readings of that batch or later ones, at most MOST_COUNTED."""
    mine = select(layouts.c.id).where(layouts.c.twin == twin)
    some = select(literal(1)).select_from(readings).where(readings.c.batch >= batch, readings.c.layout.in_(mine))
    counted = some.limit(MOST_COUNTED).subquery()
    return connection.execute(select(func.count()).select_from(counted)).scalar_one()


def runs_not_learnt(connection: Connection, twin: str) -> int:
    """Count the runs with findings since the twin's history was last exported for training."""
    last = connection.execute(select(func.max(exports.c.at)).where(exports.c.twin == twin)).scalar()
    told = select(verdicts.c.asset, verdicts.c.run).join(assets, assets.c.id == verdicts.c.asset)
    done = select(maintenance.c.asset, maintenance.c.run).join(assets, assets.c.id == maintenance.c.asset)
    told = told.where(assets.c.twin == twin)
    done = done.where(assets.c.twin == twin, maintenance.c.kind.in_(ENDS), maintenance.c.case.is_(None))
    if last is not None:
        told, done = told.where(verdicts.c.at > last), done.where(maintenance.c.at > last)
    return connection.execute(select(func.count()).select_from(union(told, done).subquery())).scalar_one()


_SCORE = (
    scores.c.run,
    scores.c.time,
    scores.c.model,
    scores.c.rows,
    scores.c.rul,
    scores.c.rul_low,
    scores.c.rul_high,
    scores.c.diagnosis,
    scores.c.warnings,
)


def _scored(rows: Sequence[Any]) -> ScoredReadings:
    run, time, model, seen, rul, low, high, diagnosis, warnings = zip(*rows, strict=True)
    real = [np.array(column, np.float64) for column in (rul, low, high)]  # None becomes NaN
    return ScoredReadings(
        run=np.array(run, np.int64),
        time=np.array(time, np.float64),
        model=np.array(model, np.int64),
        rows=np.array(seen, np.int64),
        rul=real[0],
        rul_low=real[1],
        rul_high=real[2],
        diagnosis=list(diagnosis),
        warnings=list(warnings),
    )
