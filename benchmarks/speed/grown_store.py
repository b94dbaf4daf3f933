"""Stores of fleets of any size, filled by the product's own functions."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.store import Store, assets
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.telemetry import readings, spans, windows
from foretwin.twin.store.telemetry.spans import RunArrivals
from foretwin.wire.readings import Decoded, Readings

T = TypeVar("T")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = 1000  # readings in one transaction
HOURLY = 4  # readings of a long life that come in within an hour: 1,000 of them fill the first page of a thread


def names(count: int) -> list[str]:
    """The names of a fleet."""
    return [f"P-{i:06}" for i in range(count)]


def send(store: Store, twin: Twin, fleet: Sequence[str], time: float, at: datetime = NOW) -> None:
    """Ingest a reading of each of these assets at a time of its run, in one transaction."""
    count = len(fleet)
    values = plausible(twin, count, int(time))
    keys = np.arange(count), np.ones(count, np.int64), np.full(count, time)
    rows = Readings(twin.name, twin.channel_names, *keys, values, tuple(fleet))
    receipt = ingest(store, {twin.name: twin}, [Decoded(rows, ())], "mqtt", at)
    if receipt.stored != count:
        raise AssertionError(f"{receipt.stored} of {count} readings were stored")


def fill(store: Store, twin: Twin, fleet: Sequence[str], hours: int = 1) -> None:
    """Ingest the first readings of a fleet."""
    for hour in range(hours):
        for part in parts(fleet):
            send(store, twin, part, float(hour + 1), NOW + timedelta(hours=hour))


def mark_scored(store: Store, asset_ids: Sequence[int]) -> None:
    """Mark these assets as scored, as they are where scoring keeps up."""
    with store.write() as connection:
        for part in parts(asset_ids):
            windows.mark_scored(connection, part, last_batch(connection))


def score_fleet(store: Store, twin: Twin, size: int, at: datetime = NOW) -> None:
    """Store a score of the first reading of each asset, all of another remaining life."""
    lives = np.random.default_rng(size).uniform(5, 120, size).tolist()
    with store.write() as connection:
        identity = ModelIdentity("foretwin-bench", "1", "run", "d" * 64)
        model = scores.model_id(connection, twin.name, identity, twin.digest, at)
    told_of: dict[str, Any] = {"faults": {}, "diagnosis": {"mode": "none"}, "warnings": []}
    for part in parts(range(size)):
        ends = ((i + 1, (lives[i], 0.8 * lives[i], 1.2 * lives[i])) for i in part)
        with store.write() as connection:
            rows = [Score(asset, 1, 1.0, model, at, 1.0, 60, *life, **told_of) for asset, life in ends]
            scores.add_scores(connection, rows)


def plausible(twin: Twin, count: int, seed: int) -> NDArray[np.float32]:
    """(count, C) values around the middle of what each channel may show."""
    limits = np.array([(channel.min, channel.max) for channel in twin.channels.values()], np.float64)
    noise = np.random.default_rng(seed).uniform(0.45, 0.55, size=(count, len(limits)))
    return (limits[:, 0] + noise * (limits[:, 1] - limits[:, 0])).astype(np.float32)


def parts(fleet: Sequence[T]) -> Iterator[Sequence[T]]:
    """The fleet in parts of AT_ONCE assets."""
    for begin in range(0, len(fleet), AT_ONCE):
        yield fleet[begin : begin + AT_ONCE]


def live_long(store: Store, twin: Twin, asset: str, count: int) -> None:
    """Store a long life of one asset, some readings each hour, and a score of each."""
    for begin in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - begin)
        time, at = np.arange(begin + 1, begin + size + 1, dtype=np.float64), NOW + timedelta(hours=begin / HOURLY)
        with store.write() as connection:
            number = assets.register_assets(connection, twin.name, [asset], NOW)[asset].id
            keys = np.full(size, number), np.ones(size, np.int64), time
            rows = Readings(twin.name, twin.channel_names, *keys, plausible(twin, size, begin))
            readings.add_readings(connection, "file", rows, at)
            for first in range(0, size, HOURLY):
                some = time[first : first + HOURLY].tolist()
                hour = RunArrivals(number, 1, len(some), some[0], some[-1])
                spans.count_hours(connection, [spans.arrived(hour, NOW + timedelta(hours=(begin + first) / HOURLY))])
    add_scores(store, twin, range(1, count + 1))


def add_scores(store: Store, twin: Twin, times: Sequence[int]) -> None:
    """Store a score of the first asset for each of these times."""
    with store.write() as connection:
        identity = ModelIdentity("foretwin-bench", "1", "run", "d" * 64)
        model = scores.model_id(connection, twin.name, identity, twin.digest, NOW)
        for begin in range(0, len(times), AT_ONCE):
            some = times[begin : begin + AT_ONCE]
            rows = [
                Score(1, 1, float(one), model, NOW + timedelta(hours=one), 1.0, 60, 50.0, 40.0, 60.0, {}, {}, [])
                for one in some
            ]
            scores.add_scores(connection, rows)
