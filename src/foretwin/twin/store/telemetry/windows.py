"""Read and mark what the scoring loop needs: assets with new readings, their readings, scoring progress.

Within a partition batch numbers are given in the order of the commits, so all its readings up to a batch that can be
seen can be seen too: several statements with the same `upto` read one state. Readings whose layout lacks a channel
that is wanted are left out everywhere, as if they had never come.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, literal, select, true, tuple_, type_coerce, update
from sqlalchemy.types import NullType

from foretwin.twin.store.assets import quarter_of
from foretwin.twin.store.ownership.partitioning import WHOLE, Partition, is_within
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.summaries import unscored
from foretwin.twin.store.tables import IS_HEARD, assets, batches, readings
from foretwin.twin.store.telemetry.layouts import decode_layouts, layouts_of
from foretwin.wire.readings import Readings

BEFORE_ALL = -1e300  # a time that every reading comes after
PACKED = type_coerce(readings.c.channels, NullType).label("channels")  # as the driver gives it: there may be a million
COLUMNS = (readings.c.asset, readings.c.run, readings.c.time, readings.c.layout, PACKED)


@dataclass(frozen=True)
class News:
    """N assets with unscored readings, from the table of assets."""

    asset: NDArray[np.int64]  # (N,) ids, increasing
    run: NDArray[np.int64]  # (N,) present run
    received_at: NDArray[np.float64]  # (N,) of the newest reading, s since 1970, NaN where unknown
    batch: NDArray[np.int64]  # (N,) the last one that brought readings

    def __len__(self) -> int:
        return len(self.asset)

    def __getitem__(self, chosen: NDArray[Any] | slice) -> "News":
        return News(self.asset[chosen], self.run[chosen], self.received_at[chosen], self.batch[chosen])


@dataclass(frozen=True)
class ReadingQuery:
    """A query of readings: one twin, these channels, up to one batch of the partition."""

    twin: str
    channels: tuple[str, ...]
    upto: int
    partition: Partition = WHOLE


def with_news(connection: Connection, twin: str, partition: Partition = WHOLE) -> News:
    """Return the assets of a twin and partition with readings since they were scored."""
    columns = (assets.c.id, assets.c.run, assets.c.received_at, assets.c.batch)
    query = select(*columns).join(unscored, unscored.c.asset == assets.c.id)
    query = query.where(unscored.c.twin == twin, is_within(partition)).order_by(unscored.c.asset)
    rows = connection.execute(query).all()
    ids, runs, moments, last = zip(*rows, strict=True) if rows else ((), (), (), ())
    seconds = [np.nan if moment is None else moment.timestamp() for moment in moments]
    asset, run, batch = (np.array(one, np.int64) for one in (ids, runs, last))
    return News(asset, run, np.array(seconds, np.float64), batch)


def after(connection: Connection, wanted: ReadingQuery, batch: int, most: int) -> Iterator[Readings]:
    """Yield the readings of the partition's batches after `batch`, in order, at most `most` of them at a time."""
    held = _layouts(connection, wanted)
    place = (readings.c.batch, readings.c.asset, readings.c.run, readings.c.time)
    query = select(*COLUMNS, readings.c.batch).order_by(*place).limit(most)
    query = query.where(readings.c.batch <= wanted.upto, readings.c.layout.in_(list(held)))
    if wanted.partition.count > 1:
        span = (batches.c.id > batch, batches.c.id <= wanted.upto)
        mine = select(batches.c.id).where(batches.c.partition == wanted.partition.number, *span)
        query = query.where(readings.c.batch.in_(mine))
    rows = connection.execute(query.where(readings.c.batch > batch)).all()
    while rows:
        yield _decoded(rows, held, wanted)
        if len(rows) < most:
            return
        last = tuple_(*(literal(rows[-1]._mapping[column], column.type) for column in place))
        further = query.where(readings.c.batch >= rows[-1].batch, tuple_(*place) > last)
        rows = connection.execute(further).all()


def newest_windows(connection: Connection, wanted: ReadingQuery, asset_ids: Sequence[int], length: int) -> Readings:
    """Return the newest `length` readings of the present run of each of some hundred assets, by asset and time.

    Both databases answer this from the primary key, with about `length` rows per asset however long its history is.
    """
    held = _layouts(connection, wanted)
    run = (readings.c.asset == assets.c.id) & (readings.c.run == assets.c.run)
    readable = (readings.c.batch <= wanted.upto) & readings.c.layout.in_(list(held))
    if connection.dialect.name == "postgresql":
        mine = select(*COLUMNS).where(run, readable).order_by(readings.c.time.desc()).limit(length)
        window = mine.correlate(assets).lateral()
        query = select(window).select_from(assets.join(window, true())).order_by(window.c.asset, window.c.time)
    else:  # SQLite knows no LATERAL: from the time of the oldest reading of the window on
        times = select(readings.c.time).where(run, readable).order_by(readings.c.time.desc())
        oldest = times.offset(length - 1).limit(1).correlate(assets).scalar_subquery()
        query = select(*COLUMNS).join(assets, run & readable & (readings.c.time >= func.coalesce(oldest, BEFORE_ALL)))
        query = query.order_by(readings.c.asset, readings.c.time)
    rows = connection.execute(query.where(assets.c.id.in_(list(asset_ids)))).all()
    return _decoded(rows, held, wanted)


def mark_scored(connection: Connection, asset_ids: Sequence[int], upto: int) -> None:
    """Mark these assets as scored up to that batch."""
    behind = update(assets).where(assets.c.id.in_(list(asset_ids)), assets.c.scored_batch < upto)
    connection.execute(behind.values(scored_batch=upto))
    done = select(assets.c.twin, assets.c.id).where(assets.c.id.in_(list(asset_ids)), assets.c.batch <= upto)
    connection.execute(delete(unscored).where(tuple_(unscored.c.twin, unscored.c.asset).in_(done)))


def silent(connection: Connection, twin: str, since: datetime, partition: Partition = WHOLE) -> list[int]:
    """Return the partition's assets without a reading since that moment that are not marked as silent since."""
    query = select(assets.c.id).where(assets.c.twin == twin, assets.c.heard_in <= quarter_of(since), IS_HEARD)
    query = query.where(assets.c.received_at < since, is_within(partition))
    return sorted(connection.execute(query).scalars())


def mark_silent(connection: Connection, asset_ids: Sequence[int]) -> None:
    """Mark these assets as silent, which they are until their next reading."""
    connection.execute(update(assets).where(assets.c.id.in_(list(asset_ids))).values(is_silent=True))
    note_urgency(connection, asset_ids)


def _layouts(connection: Connection, wanted: ReadingQuery) -> dict[int, tuple[str, ...]]:
    """Return the layouts of the twin that hold every wanted channel."""
    found = layouts_of(connection, wanted.twin)
    return {number: channels for number, channels in found.items() if set(wanted.channels) <= set(channels)}


def _decoded(rows: Sequence[Sequence[Any]], held: dict[int, tuple[str, ...]], wanted: ReadingQuery) -> Readings:
    asset, run, time, layout, packed, *_ = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    keys = np.array(asset, np.int64), np.array(run, np.int64), np.array(time, np.float64)
    values = decode_layouts(layout, packed, held, wanted.channels)
    return Readings(wanted.twin, wanted.channels, *keys, values)
