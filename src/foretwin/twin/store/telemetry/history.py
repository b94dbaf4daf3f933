"""Read what training needs: readings of whole runs, findings about them, and exports."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import ColumnElement, Connection, Row, exists, func, insert, literal, null, select, tuple_

from foretwin.twin.store.aging.archives import last_archived
from foretwin.twin.store.aging.hours import archived_counts
from foretwin.twin.store.summaries import exports
from foretwin.twin.store.tables import assets, batches, cases, maintenance, readings, verdicts
from foretwin.twin.store.telemetry.layouts import Layouts, decode_layouts, layouts_of

AT_ONCE = 50_000  # readings decoded together
MOST_RUNS = 1_000  # in one statement: SQLite takes 32,766 values
RUN_ENDED, PART_REPLACED, NO_FAULT_FOUND = "run_ended", "part_replaced", "no_fault_found"
WRONG = (NO_FAULT_FOUND, "sensor_fault")  # verdicts that say that the machine was sound
ENDS = (RUN_ENDED, PART_REPLACED)  # what comes after them is another run
KEYS = (readings.c.asset, readings.c.run, readings.c.time, readings.c.batch)
COLUMNS = (*KEYS, readings.c.layout, readings.c.channels, batches.c.received_at)


@dataclass(frozen=True)
class Finding:
    """A finding about a run of an asset, from a verdict or from maintenance, at a time of that run."""

    asset: int
    run: int
    time: float
    kind: str  # as the verdict, or the kind of maintenance
    fault: str | None = None  # that was found, where it has a name
    case_fault: str | None = None
    since: float | None = None  # the time at which the case opened, where that was in this run
    is_verdict: bool = True


@dataclass(frozen=True)
class StoredRun:
    """A run of an asset and its number of readings."""

    asset: int
    name: str
    run: int
    readings: int


@dataclass(frozen=True)
class Exported:
    """A history exported for training: a row of the table `exports`."""

    twin: str
    digest: str
    assets: list[int]
    rows: int
    labels: int


def findings(connection: Connection, twin: str) -> list[Finding]:
    """Return the findings about the runs of a twin's assets, in the order in which they became known.

    A part that was exchanged no later than the first reading of a run ended nothing of it, and is left out.
    """
    given = select(
        verdicts.c.at,
        verdicts.c.id,
        verdicts.c.asset,
        verdicts.c.run,
        verdicts.c.time,
        verdicts.c.verdict.label("kind"),
        verdicts.c.fault,
        cases.c.fault.label("case_fault"),
        cases.c.run.label("case_run"),
        cases.c.opened_time,
        literal(True).label("is_verdict"),
    ).join(cases, cases.c.id == verdicts.c.case)
    done = select(
        maintenance.c.at,
        maintenance.c.id,
        maintenance.c.asset,
        maintenance.c.run,
        maintenance.c.time,
        maintenance.c.kind,
        *(null().label(name) for name in ("fault", "case_fault", "case_run", "opened_time")),
        literal(False).label("is_verdict"),
    ).where(maintenance.c.kind.in_(ENDS), maintenance.c.case.is_(None), _can_have_ended())
    of_twin = assets.c.twin == twin
    rows = connection.execute(given.join(assets, assets.c.id == verdicts.c.asset).where(of_twin)).all()
    others = connection.execute(done.join(assets, assets.c.id == maintenance.c.asset).where(of_twin)).all()
    return [_finding(row) for row in sorted([*rows, *others], key=lambda row: (row.at, row.is_verdict, row.id))]


def end_of(found: Iterable[Finding]) -> Finding | None:
    """Return what ended a run: the first failure or exchange of a part, at one time the failure."""
    return min(
        (one for one in found if one.kind in ENDS), key=lambda one: (one.time, one.kind != RUN_ENDED), default=None
    )


def failed_runs(found: Iterable[Finding]) -> dict[tuple[int, int], float]:
    """Return (asset, run) -> time of failure of failed runs, in the order in which their ends became known."""
    ends: dict[tuple[int, int], Finding] = {}
    for one in found:
        if one.kind in ENDS:
            key = (one.asset, one.run)
            ends[key] = end_of((ends.get(key, one), one)) or one
    return {key: end.time for key, end in ends.items() if end.kind == RUN_ENDED}


def stored_runs(connection: Connection, of: Iterable[tuple[int, int]]) -> list[StoredRun]:
    """Return those of the (asset, run) that have readings, in order of asset name and run; archived ones count too.

    The store always holds a run's first reading. Those that it holds besides an archive are counted twice.
    """
    wanted = sorted(set(of))
    found: list[StoredRun] = []
    for begin in range(0, len(wanted), MOST_RUNS):
        some = wanted[begin : begin + MOST_RUNS]
        query = select(readings.c.asset, assets.c.name, readings.c.run, func.count())
        query = query.join(assets, assets.c.id == readings.c.asset)
        query = query.where(tuple_(readings.c.asset, readings.c.run).in_(some))
        counted = connection.execute(query.group_by(readings.c.asset, assets.c.name, readings.c.run))
        archived = archived_counts(connection, some)
        for asset, name, run, count in counted:
            found.append(StoredRun(asset, name, run, count + archived.get((asset, run), 0)))
    return sorted(found, key=lambda one: (one.name, one.run))


def readings_of(
    connection: Connection, twin: str, channels: Sequence[str], of: Sequence[tuple[int, int]]
) -> Iterator[pd.DataFrame]:
    """Yield the readings of at most 1,000 (asset, run), in order of asset, run and time, some ten thousands at a time.

    Those that an archive holds are left out. Columns: asset (its id), run, time, batch, received_at, and one per
    channel (float32), NaN where a reading lacks it.
    """
    query = select(*COLUMNS).where(tuple_(readings.c.asset, readings.c.run).in_(list(of)))
    yield from _read(connection, twin, channels, query)


def all_readings(connection: Connection, twin: str, channels: Sequence[str], asset_id: int) -> Iterator[pd.DataFrame]:
    """Yield the readings of one asset, as `readings_of`."""
    yield from _read(connection, twin, channels, select(*COLUMNS).where(readings.c.asset == asset_id))


def time_span(connection: Connection, asset_id: int, run: int) -> tuple[float, float] | None:
    """Return the times of a run's first and last reading; None where it has none."""
    mine = (readings.c.asset == asset_id, readings.c.run == run)
    first, last = (
        connection.execute(select(end(readings.c.time)).where(*mine)).scalar() for end in (func.min, func.max)
    )
    return None if first is None or last is None else (first, last)


def stored_channels(connection: Connection, twin: str) -> list[str]:
    """Return every channel that readings of the twin were ever stored with."""
    return list(dict.fromkeys(name for channels in layouts_of(connection, twin).values() for name in channels))


def add_export(connection: Connection, exported: Exported, now: datetime) -> None:
    """Record the assets of an exported history; the same history again changes nothing."""
    known = select(exports.c.id).where(exports.c.twin == exported.twin, exports.c.digest == exported.digest)
    if connection.execute(known).first() is None:
        connection.execute(insert(exports).values(**asdict(exported), at=now))


def exports_with(connection: Connection, asset_id: int) -> list[str]:
    """Return the digests of the exported histories that hold readings of the asset."""
    rows = connection.execute(select(exports.c.digest, exports.c.assets).order_by(exports.c.id))
    return list(dict.fromkeys(row.digest for row in rows if asset_id in row.assets))


def _can_have_ended() -> ColumnElement[bool]:
    """Whether it can have ended its run: a failure, or an exchange after the run's first reading."""
    in_run = (readings.c.asset == maintenance.c.asset) & (readings.c.run == maintenance.c.run)
    return (maintenance.c.kind == RUN_ENDED) | exists().where(in_run, readings.c.time < maintenance.c.time)


def _finding(row: Row[Any]) -> Finding:
    since = row.opened_time if row.case_run == row.run else None
    return Finding(row.asset, row.run, row.time, row.kind, row.fault, row.case_fault, since, row.is_verdict)


def _read(connection: Connection, twin: str, channels: Sequence[str], query: Any) -> Iterator[pd.DataFrame]:
    held = layouts_of(connection, twin)
    ordered = query.join(batches, batches.c.id == readings.c.batch)
    ordered = ordered.where(readings.c.batch > last_archived(connection, twin))
    ordered = ordered.order_by(readings.c.asset, readings.c.run, readings.c.time)
    for part in connection.execute(ordered.execution_options(yield_per=AT_ONCE)).partitions():
        yield _decoded(part, held, channels)


def _decoded(rows: Sequence[Row[Any]], held: Layouts, channels: Sequence[str]) -> pd.DataFrame:
    asset, run, time, batch, layout, packed, received_at = zip(*rows, strict=True)
    values = decode_layouts(layout, packed, held, channels)
    keys = {"asset": np.array(asset, np.int64), "run": np.array(run, np.int64), "time": np.array(time, np.float64)}
    keys["batch"] = np.array(batch, np.int64)
    moments: Any = [moment.replace(tzinfo=None) for moment in received_at]
    keys["received_at"] = np.array(moments, "datetime64[us]")
    return pd.DataFrame({**keys, **dict(zip(channels, values.T, strict=True))})
