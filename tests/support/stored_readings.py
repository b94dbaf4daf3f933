"""Readings straight into the tables, as ingest leaves them: many at once, with any layout, at any moment."""

from datetime import UTC, datetime

import numpy as np
from sqlalchemy import delete, func, insert, select, update

from foretwin.twin.store.assets import quarter_of
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.summaries import unscored
from foretwin.twin.store.tables import assets, batches, layouts, readings
from foretwin.twin.store.telemetry.packing import pack

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def store_rows(store, twin, rows, now=NOON, channels=None):
    """One batch of canonical rows; assets that are not known are registered, runs go up. Returns asset -> id."""
    channels = list(channels or twin.channel_names)
    with store.write() as connection:
        ids = _registered(connection, twin.name, list(dict.fromkeys(rows["asset"])), now)
        batch = connection.execute(insert(batches).values(received_at=now, via="file").returning(batches.c.id)).scalar()
        packed = pack(rows[channels].to_numpy(np.float32))
        numbers = rows["asset"].map(ids).tolist()
        fixed = {"batch": batch, "layout": _layout(connection, twin.name, channels)}
        keys = zip(numbers, rows["run"].tolist(), rows["time"].tolist(), packed, strict=True)
        connection.execute(
            insert(readings), [{"asset": a, "run": r, "time": t, "channels": c, **fixed} for a, r, t, c in keys]
        )
        runs = rows.groupby("asset")["run"].max()
        newest = rows.sort_values(["run", "time"]).groupby("asset").last()["time"]
        for name, number in ids.items():
            present = select(assets.c.run).where(assets.c.id == number).scalar_subquery()
            run = max(connection.execute(select(present)).scalar_one(), int(runs[name]))
            values = {
                "batch": batch,
                "received_at": now,
                "run": run,
                "time": newest[name],
                "is_silent": False,
                "heard_in": quarter_of(now),
            }
            connection.execute(update(assets).where(assets.c.id == number).values(values))
            connection.execute(delete(unscored).where(unscored.c.asset == number))
            connection.execute(insert(unscored).values(twin=twin.name, asset=number))
    return ids


def _registered(connection, twin, names, now):
    known = dict(connection.execute(select(assets.c.name, assets.c.id).where(assets.c.name.in_(names))).all())
    new = [name for name in names if name not in known]
    if new:
        connection.execute(
            insert(assets), [{"twin": twin, "name": name, "tags": {}, "registered_at": now} for name in new]
        )
        known |= dict(connection.execute(select(assets.c.name, assets.c.id).where(assets.c.name.in_(new))).all())
        note_urgency(connection, known.values())
    return known


def _layout(connection, twin, channels):
    found = select(layouts.c.id).where(layouts.c.twin == twin, layouts.c.channels == ",".join(channels))
    number = connection.execute(found).scalar()
    if number is None:
        new = insert(layouts).values(twin=twin, channels=",".join(channels)).returning(layouts.c.id)
        number = connection.execute(new).scalar_one()
    return number


def count(store, table):
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()
