"""Readings that are due: read the oldest of a twin in order of their batches, and drop what an archive holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, delete, exists, func, select

from foretwin.twin.store.aging.archives import last_archived
from foretwin.twin.store.aging.holds import forget_released, held_assets
from foretwin.twin.store.tables import assets, batches, readings
from foretwin.twin.store.telemetry.layouts import decode_layouts, layouts_of

IDS_AT_ONCE = 10_000  # in one statement: SQLite takes 32,766 values


@dataclass(frozen=True)
class ReadingSlice:
    """N readings that came in one after the other, in order of asset, run and time; `measured` (N, C) is float32."""

    asset: NDArray[np.int64]
    run: NDArray[np.int64]
    time: NDArray[np.float64]
    batch: NDArray[np.int64]
    received_at: NDArray[np.datetime64]  # (N,) UTC, in microseconds
    channels: tuple[str, ...]
    measured: NDArray[np.float32]  # NaN where a reading lacks the channel

    def __len__(self) -> int:
        return len(self.asset)


def due_readings(connection: Connection, twin: str, after: int, before: datetime, most: int) -> ReadingSlice | None:
    """Return the twin's readings of whole batches after `after` that came before that moment; None without any.

    About `most` of them: at least one whole batch, and no batch in part.
    """
    held = layouts_of(connection, twin)
    upto = last_number_before(connection, batches, "received_at", before)
    if not held or upto <= after:
        return None
    columns = (readings.c.batch, readings.c.asset, readings.c.run, readings.c.time, readings.c.layout)
    mine = (readings.c.batch > after, readings.c.batch <= upto, readings.c.layout.in_(list(held)))
    query = select(*columns, readings.c.channels).where(*mine).order_by(readings.c.batch)
    rows = list(connection.execute(query.limit(most + 1)).all())
    if len(rows) > most:
        last = rows[-1].batch
        whole = [row for row in rows if row.batch < last]
        rows = whole or list(connection.execute(query.where(readings.c.batch == last)).all())
    return _slice(connection, rows, held) if rows else None


def last_number_before(connection: Connection, table: Table, moment: str, before: datetime) -> int:
    """Return the number of the last row made before a moment, 0 without any; rows are numbered as time goes on.

    By halving: the moment has no index.
    """
    first, last = connection.execute(select(func.min(table.c.id), func.max(table.c.id))).one()
    if first is None:
        return 0
    low, high = first - 1, last
    while low < high:
        middle = (low + high + 1) // 2
        place = select(table.c.id, table.c[moment]).where(table.c.id >= middle).order_by(table.c.id).limit(1)
        number, made = connection.execute(place).one()
        if made < before:
            low = number
        else:
            high = middle - 1
    return int(low) if low >= first else 0


def drop_readings(connection: Connection, keys: NDArray[np.int64], times: NDArray[np.float64], newest: int) -> int:
    """Drop archived readings, and batches without any left; return how many readings that were.

    `keys` (N, 3) are asset, run and batch, with `times` (N,) in order of asset, run and time. Spared are held assets,
    the first and the last reading of each run, and the `newest` of a present run: what is asked of them is
    answered from the store for ever.
    """
    numbers = np.unique(keys[:, 0]).tolist()
    held = set(connection.execute(held_assets().where(held_assets().selected_columns[0].in_(numbers))).scalars())
    present = _present_runs(connection, numbers)
    begins = np.flatnonzero((np.diff(keys[:, :2], axis=0, prepend=-1) != 0).any(axis=1)).tolist()
    dropped = 0
    for begin, end in zip(begins, [*begins[1:], len(keys)], strict=True):
        asset, run = keys[begin, :2].tolist()
        if asset in held:
            continue
        span = float(times[begin]), float(times[end - 1])
        upto = int(keys[begin:end, 2].max())
        dropped += drop_span(connection, (asset, run), span, upto, newest if present.get(asset) == run else 1)
    _drop_empty_batches(connection, np.unique(keys[:, 2]).tolist())
    return dropped


def drop_span(connection: Connection, of: tuple[int, int], span: tuple[float, float], upto: int, spared: int) -> int:
    """Drop a run's readings between two times that came up to that batch, except the first and the last `spared`."""
    mine = (readings.c.asset == of[0], readings.c.run == of[1])
    first = connection.execute(select(func.min(readings.c.time)).where(*mine)).scalar()
    newest = select(readings.c.time).where(*mine).order_by(readings.c.time.desc()).offset(spared - 1).limit(1)
    before = connection.execute(newest).scalar()
    if first is None or before is None:
        return 0
    inside = (readings.c.time >= span[0], readings.c.time <= span[1], readings.c.time > first, readings.c.time < before)
    return connection.execute(delete(readings).where(*mine, *inside, readings.c.batch <= upto)).rowcount


def drop_spared(connection: Connection, twin: str, asset_id: int, most: int, newest: int) -> int | None:
    """Drop about `most` archived readings of an asset whose hold was released; once none is left, the hold goes.

    Return how many readings that were; None where the asset is another twin's.
    """
    asset = connection.execute(select(assets.c.twin, assets.c.run).where(assets.c.id == asset_id)).first()
    if asset is None or asset.twin != twin:
        return None
    upto = last_archived(connection, twin)
    query = select(readings.c.run, readings.c.time).where(readings.c.asset == asset_id, readings.c.batch <= upto)
    rows = connection.execute(query.order_by(readings.c.run, readings.c.time).limit(most)).all()
    dropped = 0
    for run in dict.fromkeys(row.run for row in rows):
        times = [row.time for row in rows if row.run == run]
        spared = newest if run == asset.run else 1
        dropped += drop_span(connection, (asset_id, run), (times[0], times[-1]), upto, spared)
    if dropped == 0:
        forget_released(connection, asset_id)
    return dropped


def _present_runs(connection: Connection, numbers: Iterable[int]) -> dict[int, int]:
    rows = connection.execute(select(assets.c.id, assets.c.run).where(assets.c.id.in_(list(numbers))))
    return {row.id: row.run for row in rows}


def _drop_empty_batches(connection: Connection, numbers: list[int]) -> None:
    """Delete the batches that no reading is left of; the newest stays, since numbers go on from it."""
    newest = connection.execute(select(func.max(batches.c.id))).scalar_one()
    used = exists().where(readings.c.batch == batches.c.id)
    for begin in range(0, len(numbers), IDS_AT_ONCE):
        some = batches.c.id.in_(numbers[begin : begin + IDS_AT_ONCE])
        connection.execute(delete(batches).where(some, batches.c.id != newest, ~used))


def _slice(connection: Connection, rows: Sequence[Any], held: dict[int, tuple[str, ...]]) -> ReadingSlice:
    batch, asset, run, time, layout, packed = zip(*rows, strict=True)
    numbers = np.array(batch, np.int64)
    there = (batches.c.id >= int(numbers.min()), batches.c.id <= int(numbers.max()))
    came = connection.execute(select(batches.c.id, batches.c.received_at).where(*there)).all()
    moments = {row.id: np.datetime64(row.received_at.replace(tzinfo=None), "us") for row in came}
    used = {number: held[number] for number in sorted(set(layout))}
    channels = next(iter(used.values()))
    if len(used) > 1:  # a layout that holds them all is there, unless no contract ever had all of them at once
        channels = tuple(dict.fromkeys(name for names in held.values() for name in names))
    values = decode_layouts(layout, packed, held, channels)
    assets_of, runs, times = np.array(asset, np.int64), np.array(run, np.int64), np.array(time, np.float64)
    order = np.lexsort((times, runs, assets_of))
    received = np.array([moments[number] for number in batch], "datetime64[us]")[order]
    keys = assets_of[order], runs[order], times[order], numbers[order]
    return ReadingSlice(*keys, received, channels, values[order])
