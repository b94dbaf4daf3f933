"""Events that machines report, such as alarms and errors, of which channels are made."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from foretwin.twin.store.summaries import machine_events

AFTER = (
    "SELECT wanted.place, held.time FROM {} JOIN machine_events AS held ON held.asset = wanted.asset"
    " AND held.run = wanted.run AND held.code = wanted.code AND held.time > wanted.after"
    " ORDER BY wanted.place, held.time"
)
AFTER_SQLITE = AFTER.format(
    "(SELECT key AS place, json_extract(value, '$[0]') AS asset, json_extract(value, '$[1]') AS run,"
    " json_extract(value, '$[2]') AS code, json_extract(value, '$[3]') AS after FROM json_each(?)) AS wanted"
)
AFTER_POSTGRESQL = AFTER.format(
    "(SELECT place - 1 AS place, asset, run, code, after FROM"
    " unnest(%b::int4[], %b::int4[], %b::text[], %b::float8[]) WITH ORDINALITY AS new (asset, run, code, after, place))"
    " AS wanted"
)


class EventQuery(NamedTuple):
    """Events of one code in one run of an asset, later than a time."""

    asset: int
    run: int
    code: str
    after: float


def add_events(connection: Connection, asset: int, events: Sequence[tuple[int, str, float]], now: datetime) -> int:
    """Store events (run, key of the code, time on the run's clock) of an asset; return how many were new."""
    if not events:
        return 0
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = dialect.insert(machine_events).on_conflict_do_nothing().returning(machine_events.c.time)
    rows = [{"asset": asset, "run": run, "code": code, "time": time, "received_at": now} for run, code, time in events]
    return len(connection.execute(new, rows).all())


def events_of_run(connection: Connection, asset: int, run: int, most: int) -> list[tuple[str, float]]:
    """Return code and time on the run's clock of the newest events of a run, at most so many, the newest first."""
    held = machine_events.c
    wanted = select(held.code, held.time).where(held.asset == asset, held.run == run)
    return [(code, time) for code, time in connection.execute(wanted.order_by(held.time.desc()).limit(most))]


def events_after(connection: Connection, wanted: Sequence[EventQuery]) -> list[NDArray[np.float64]]:
    """Return for each question the times of its events, in ascending order."""
    columns = [[one[i] for one in wanted] for i in range(4)]
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(AFTER_POSTGRESQL, tuple(columns))
    else:
        found = connection.exec_driver_sql(AFTER_SQLITE, (orjson.dumps([list(one) for one in wanted]).decode(),))
    times: list[list[float]] = [[] for _ in wanted]
    for place, time in found:
        times[place].append(time)
    return [np.array(one, np.float64) for one in times]
