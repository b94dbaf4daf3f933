"""PostgreSQL's partitions of readings: filled in turn, asked together, dropped whole but for what outlives them."""

import os
import signal
import subprocess
import sys
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from foretwin.errors import StoreError
from foretwin.twin.retention import retain as retaining
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.aging import holds, partitions
from foretwin.twin.store.copying import copy_rows, snapshot
from foretwin.twin.store.database import reach_store
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.tables import batches, readings
from foretwin.twin.store.telemetry.readings import SPAN
from foretwin.twin.training_feedback.history import export_history
from support.aging_fleet import FIRST_DAY, NAMES, TWIN, age, send_hours, write_contract
from support.small_history import find_out, open_case
from support.stored_readings import count
from support.upgraded_store import migrated_to

DAY, DAYS = 24, 5
LATER = FIRST_DAY + timedelta(days=30)


@pytest.fixture
def store_url(postgres):
    return postgres.new_database(f"t{uuid.uuid4().hex}")


@pytest.fixture(autouse=True)
def few_are_spared(monkeypatch):
    monkeypatch.setattr(retaining, "NEWEST_SPARED", 1)


@pytest.fixture
def contract(tmp_path):
    return write_contract(tmp_path, {"readings": 1})


def names_of(store):
    with store.read() as connection:
        return [one.name for one in partitions.list_partitions(connection)]


def two_partitions(store, root, contract):
    """Thirty hours in the first one, thirty in the second."""
    send_hours(store, range(30))
    age(store, root, contract, 1.3)
    send_hours(store, range(30, 60))
    with store.read() as connection:
        assert last_batch(connection) >= SPAN


def test_days_go_with_their_partitions_but_for_what_stays_and_a_copy_has_the_same(store, tmp_path, contract, postgres):
    with store.write() as connection:
        asset = assets.register_assets(connection, TWIN.name, [NAMES[0]], FIRST_DAY)[NAMES[0]]
        holds.place_hold(connection, asset, "a lawsuit", "ann", FIRST_DAY)
    for day in range(DAYS):
        send_hours(store, range(day * DAY, (day + 1) * DAY))
        age(store, tmp_path, contract, day + 1)
    assert names_of(store)[0] > "readings_0"
    assert len(names_of(store)) < DAYS
    with store.read() as connection:
        of = func.count().label("count"), func.min(readings.c.time).label("first")
        found = connection.execute(select(*of).group_by(readings.c.asset).order_by(readings.c.asset)).all()
        came = select(batches.c.received_at).join(readings, readings.c.batch == batches.c.id)
        moments = connection.execute(came.where(readings.c.time == 0)).scalars().all()
    assert found[0] == (DAYS * DAY, 0), "what is held stays"
    assert all(first == 0 and some < DAYS * DAY - 20 for some, first in found[1:])
    assert moments == [FIRST_DAY] * len(NAMES), "what is kept says when it came"
    rows = snapshot(store, tmp_path / "copy.db")
    copy, back = open_store(f"sqlite:///{tmp_path}/copy.db"), open_store(postgres.new_database(f"t{uuid.uuid4().hex}"))
    with copy.read() as source, back.write() as target:
        assert copy_rows(source, target) == rows
    again = send_hours(back, range(DAYS * DAY - 6, DAYS * DAY))
    assert (again.stored, again.duplicates) == (0, 6 * len(NAMES))
    copy.close()
    back.close()


def test_a_reading_is_stored_once_whatever_partition_has_it(store, tmp_path, contract):
    two_partitions(store, tmp_path, contract)
    for hours in (range(30), range(30, 60)):
        again = send_hours(store, hours)
        assert (again.stored, again.duplicates) == (0, 30 * len(NAMES))
    assert count(store, readings) == 60 * len(NAMES)


def test_training_learns_the_same_rows_and_a_missing_file_or_a_reader_stops_the_drop(store, tmp_path, contract):
    two_partitions(store, tmp_path, contract)
    find_out(store, TWIN, open_case(store, TWIN, NAMES[0], "mode.wear", 20), "confirmed", 40)
    before = export_history(store, tmp_path, contract, LATER)
    with store.read() as connection:
        connection.execute(select(readings.c.time).limit(1))
        age(store, tmp_path, contract, 9)
        assert "readings_0" in names_of(store), "nobody who reads is waited for"
    folder = tmp_path / "data" / TWIN.name / "archive"
    folder.rename(tmp_path / "away")
    with pytest.raises(StoreError, match="not there"):
        age(store, tmp_path, contract, 9)
    assert "readings_0" in names_of(store)
    (tmp_path / "away").rename(folder)
    age(store, tmp_path, contract, 9)
    assert "readings_0" not in names_of(store)
    assert export_history(store, tmp_path, contract, LATER) == before


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from foretwin.twin.store import open_store

@event.listens_for(Engine, "after_cursor_execute")
def end(connection, cursor, statement, *_):
    if "readings_1" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

open_store(sys.argv[1])
"""


def test_a_store_without_partitions_gets_them_though_the_first_try_was_killed(store_url):
    migrated_to(store_url, "0009")
    old = reach_store(store_url)
    add = (
        "INSERT INTO assets (id, twin, name, tags, registered_at) VALUES (1, 'pump', 'P-1', '{}', now())",
        "INSERT INTO batches (id, received_at, via) SELECT n, now(), 'http' FROM generate_series(1, 1000) AS n",
        "INSERT INTO readings SELECT 1, 1, n, n, 1, ''::bytea FROM generate_series(1, 1000) AS n",
    )
    with old.engine.begin() as connection:
        for statement in add:
            connection.execute(text(statement))
        place = connection.execute(text("SELECT pg_relation_filenode('readings')")).scalar()
    killed = subprocess.run([sys.executable, "-c", KILLED, store_url], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    with old.engine.connect() as connection:
        assert connection.execute(text("SELECT relkind FROM pg_class WHERE relname = 'readings'")).scalar() == "r"
    store = open_store(store_url)
    assert names_of(store) == ["readings_0", "readings_1"]
    with store.read() as connection:
        assert connection.execute(select(func.count(), func.max(readings.c.batch))).one() == (1000, 1000)
        assert connection.execute(text("SELECT pg_relation_filenode('readings_0')")).scalar() == place, "as it was"
    store.close()
    old.close()
