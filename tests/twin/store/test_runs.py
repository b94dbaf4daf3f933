"""Runs and hours kept beside the readings: what they say is what the readings say, and long lives cost no more."""

from datetime import timedelta

import numpy as np
from sqlalchemy import insert, select

from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets, open_store, timeline
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.scoring import kpis
from foretwin.twin.store.summaries import reading_hours
from foretwin.twin.store.tables import batches, readings
from foretwin.twin.store.telemetry import windows
from foretwin.twin.timeline import thread
from foretwin.wire.readings import Decoded, Readings
from support.store_costs import counted
from support.stored_readings import NOON, count
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()


def send(store, rows: list[tuple[str, int, float]], at) -> None:
    """Ingest readings of these assets, runs and times."""
    names = tuple(dict.fromkeys(name for name, _, _ in rows))
    keys = (
        np.array([names.index(name) for name, _, _ in rows]),
        np.array([run for _, run, _ in rows]),
        np.array([time for _, _, time in rows]),
    )
    values = np.zeros((len(rows), len(TWIN.channels)), np.float32)
    found = Readings(TWIN.name, TWIN.channel_names, *keys, values, names)
    assert not ingest(store, {TWIN.name: TWIN}, [Decoded(found, ())], "file", at, begins="any").rejected


def test_runs_and_hours_say_what_the_readings_say(store):
    chance = np.random.default_rng(3)
    sent, at = {"a": [1, 0.0], "b": [1, 0.0]}, NOON
    for _ in range(40):
        at += timedelta(minutes=float(chance.integers(1, 50)))
        rows = []
        for name, place in sent.items():
            kind = chance.integers(0, 8)
            if kind == 0:
                place[:] = [place[0] + 1, 0.0]
            if kind == 1 and place[1] > 3:
                rows.append((name, place[0], place[1] - 1.5))  # late
            place[1] += float(chance.integers(1, 3))
            rows.append((name, place[0], place[1]))
        send(store, rows, at)
    with store.read() as connection:
        query = select(readings.c.asset, readings.c.run, readings.c.time, batches.c.received_at)
        held = connection.execute(query.join(batches, batches.c.id == readings.c.batch)).all()
        found = [run for run, _, _ in kpis.counted_runs(connection, [1, 2])]
        hours = [timeline.received_hours(connection, number, (None, None), 1000) for number in (1, 2)]
        cut = timeline.received_hours(connection, 1, (NOON + timedelta(hours=2.3), NOON + timedelta(hours=5.7)), 1000)
    runs = sorted({(one.asset, one.run) for one in held})
    assert [(one.asset, one.run) for one in found] == runs
    for one in found:
        mine = sorted((row.time, row.received_at) for row in held if (row.asset, row.run) == (one.asset, one.run))
        assert (one.first_time, one.first_at, one.last_time, one.last_at) == (*mine[0], *mine[-1])
    assert sum(hour["count"] for part in hours for hour in part) == len(held)
    inside = [
        row for row in held if row.asset == 1 and timedelta(hours=2.3) <= row.received_at - NOON <= timedelta(hours=5.7)
    ]
    assert sum(hour["count"] for hour in cut) == len(inside)
    assert min(hour["first_at"] for hour in cut) == min(row.received_at for row in inside)


def test_readings_of_an_hour_change_no_row_but_the_assets_until_another_begins(store):
    def shown() -> list[tuple[int, int, float, float]]:
        with store.read() as connection:
            found = timeline.received_hours(connection, 1, (None, None), 10)
        return [(hour["run"], hour["count"], hour["first_time"], hour["last_time"]) for hour in found]

    send(store, [("a", 1, 1.0), ("a", 1, 2.0)], NOON)
    send(store, [("a", 1, 3.0)], NOON + timedelta(minutes=30))
    assert count(store, reading_hours) == 0
    assert shown() == [(1, 3, 1.0, 3.0)]
    send(store, [("a", 1, 4.0)], NOON + timedelta(hours=1))
    assert count(store, reading_hours) == 1
    send(store, [("a", 1, 5.0)], NOON + timedelta(minutes=45))  # the clock was set back
    send(store, [("a", 1, 6.0), ("a", 2, 1.0)], NOON + timedelta(hours=1, minutes=10))
    assert shown() == [(2, 1, 1.0, 1.0), (1, 2, 4.0, 6.0), (1, 4, 1.0, 5.0)]


def test_a_reading_changes_no_index_of_the_assets(postgres):
    store = open_store(postgres.new_database("hot_rows"))
    names = [f"P-{i}" for i in range(150)]

    def updates() -> tuple[int, int]:
        with store.read() as connection:
            query = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'assets'"
            return tuple(connection.exec_driver_sql(query).one())

    def send_all(*minutes: int) -> tuple[int, int]:
        before = updates()[0]
        for minute in minutes:
            send(store, [(name, 1, float(minute)) for name in names], NOON + timedelta(minutes=minute))
        wait_for(lambda: updates()[0] >= before + len(minutes) * len(names), "PostgreSQL's counts")
        return updates()

    first = send_all(1)  # which says too when they were heard of
    last = send_all(2, 3, 4)
    store.close()
    changed, in_place = (after - before for after, before in zip(last, first, strict=True))
    assert in_place > 0.9 * changed, "else each of its indexes is written for each reading"


def test_an_asset_waits_for_a_score_from_its_reading_to_its_score(store):
    def waiting() -> list[int]:
        with store.read() as connection:
            return windows.with_news(connection, TWIN.name).asset.tolist()

    send(store, [("a", 1, 1.0), ("b", 1, 1.0)], NOON)
    with store.read() as connection:
        seen = last_batch(connection)
    send(store, [("a", 1, 2.0)], NOON)
    assert waiting() == [1, 2]
    with store.write() as connection:
        windows.mark_scored(connection, [1, 2], seen)
    assert waiting() == [1]  # it has a reading that came after those that were scored
    with store.write() as connection:
        windows.mark_scored(connection, [1], seen + 1)
    assert waiting() == []


def test_the_first_page_of_a_thread_costs_the_same_after_a_long_life(tmp_path):
    def cost(hours: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/{hours}.db")
        with store.write() as connection:
            known = assets.register_assets(connection, TWIN.name, ["a"], NOON)["a"]
            row = {"asset": known.id, "run": 1, "count": 60, "first_time": 1.0, "last_time": 2.0}
            begin = int(NOON.timestamp()) // 3600
            moments = [
                {"first_at": NOON + timedelta(hours=i), "last_at": NOON + timedelta(hours=i)} for i in range(hours)
            ]
            rows = [{**row, **moment, "hour": begin + i} for i, moment in enumerate(moments)]
            connection.execute(insert(reading_hours), rows)
        with counted(store) as found, store.read() as connection:
            assert len(thread(connection, TWIN, known, None, None, 200)) == 200
        store.close()
        return found.instructions

    assert cost(6000) < 1.2 * cost(300)
