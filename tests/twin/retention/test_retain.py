"""Readings that age out: archived, summed up by the hour, dropped, and still there for training, copies and erasure."""

import zipfile
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select, update

from foretwin.errors import Conflict, StoreError
from foretwin.twin.data_export import export_asset
from foretwin.twin.erasure.erase import erase_asset
from foretwin.twin.retention import retain as retaining
from foretwin.twin.retention.archive_files import archived_readings
from foretwin.twin.retention.retain import Retaining, take_step
from foretwin.twin.store import assets, open_store, timeline
from foretwin.twin.store.aging import holds, reclaim
from foretwin.twin.store.archive_tables import archives, hours
from foretwin.twin.store.scoring.kpis import counted_runs
from foretwin.twin.store.tables import assets as asset_rows
from foretwin.twin.store.tables import batches, readings
from foretwin.twin.training_feedback.history import export_history
from support.aging_fleet import FIRST_DAY, NAMES, TWIN, age, send_hours, send_rows, write_contract
from support.small_history import find_out, open_case, readings_of
from support.stored_readings import count

HOURS, WINDOW = 72, TWIN.window.length
LATER = FIRST_DAY + timedelta(days=30)


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Several files and several pieces of each."""
    monkeypatch.setattr(retaining, "READINGS_AT_ONCE", 80)
    monkeypatch.setattr(retaining, "PIECE", 29)
    monkeypatch.setattr(retaining, "REST", 0)
    monkeypatch.setattr(retaining, "NEWEST_SPARED", 1)


@pytest.fixture
def contract(tmp_path):
    return write_contract(tmp_path, {"readings": 1})


@pytest.fixture
def sent(store):
    """Five days of three assets, of which something was found out about two."""
    send_hours(store, range(HOURS))
    for name in NAMES[:2]:
        find_out(store, TWIN, open_case(store, TWIN, name, "mode.wear", 30), "confirmed", 60)
    return HOURS * len(NAMES)


def archived(store, root, *names):
    with store.read() as connection:
        numbers = [assets.find_asset(connection, name).id for name in names]
        parts = archived_readings(connection, root, TWIN.name, TWIN.channel_names, numbers)
        return [row for part in parts for row in part.itertuples(index=False)]


def test_training_learns_from_the_same_rows_before_and_after(store, tmp_path, contract, sent):
    before = export_history(store, tmp_path, contract, LATER)
    assert age(store, tmp_path, contract, 30)["readings"] > sent / 2
    assert count(store, readings) < sent / 4
    assert count(store, archives) > 2
    after = export_history(store, tmp_path, contract, LATER)
    assert after == before, "the digest is that of the rows"


def test_the_first_reading_and_the_newest_window_stay_and_so_does_what_is_known_of_the_run(store, tmp_path, contract):
    send_hours(store, range(HOURS))

    def known():
        with store.read() as connection:
            asset = assets.find_asset(connection, "P-1")
            found = timeline.received_hours(connection, asset.id, (None, None), 1000)
            hour = [(row["run"], row["count"], row["first_time"], row["last_time"], row["last_at"]) for row in found]
            last = timeline.last_reading(connection, asset.id, FIRST_DAY + timedelta(days=1))
            runs = [run for run, _, _ in counted_runs(connection, [asset.id])]
            return runs, hour, last

    before = known()
    age(store, tmp_path, contract, 30)
    assert known() == before
    with store.read() as connection:
        left = connection.execute(select(readings.c.time).where(readings.c.asset == 1).order_by("time")).scalars().all()
    assert left == [0, *range(HOURS - WINDOW, HOURS)]


def test_an_hour_keeps_mean_and_extremes_of_each_channel(store, tmp_path, contract):
    rows = readings_of(TWIN, ["P-1"], 6)
    send_rows(store, rows, FIRST_DAY)
    age(store, tmp_path, contract, 30)
    with store.read() as connection:
        (hour,) = connection.execute(select(hours)).all()
    values = rows[list(TWIN.channel_names)].to_numpy()
    found = np.frombuffer(hour.channels, "<f4").reshape(3, -1)
    np.testing.assert_allclose(found, [values.mean(axis=0), values.min(axis=0), values.max(axis=0)], rtol=1e-5)
    assert (hour.count, hour.first_time, hour.last_time, hour.first_at) == (6, 0, 5, FIRST_DAY)


def test_hours_lose_their_channels_after_their_term_and_nothing_else(store, tmp_path):
    contract = write_contract(tmp_path, {"readings": 1, "hours": 20})
    send_hours(store, range(HOURS))
    with store.write() as connection:
        holds.place_hold(connection, assets.find_asset(connection, "P-2"), "a lawsuit", "ann", FIRST_DAY)

    def known() -> tuple[list, int, set[str]]:
        with store.read() as connection:
            found = connection.execute(
                select(hours, asset_rows.c.name).join(asset_rows, asset_rows.c.id == hours.c.asset)
            ).all()
            thread = timeline.received_hours(connection, assets.find_asset(connection, "P-1").id, (None, None), 1000)
        return thread, len(found), {row.name for row in found if row.channels}

    age(store, tmp_path, contract, 10)
    before = known()
    assert before[2] == set(NAMES)
    assert age(store, tmp_path, contract, 40)["hours"] > 0
    thread, rows, with_channels = known()
    assert (thread, rows) == (before[0], before[1])
    assert with_channels == {"P-2"}
    assert "hours" not in age(store, tmp_path, contract, 41), "once for each file"
    before_export = archived(store, tmp_path, "P-1")
    assert len(before_export) >= HOURS - WINDOW


def test_what_is_younger_than_its_term_stays(store, tmp_path, contract, sent):
    kept = write_contract(tmp_path, {"readings": "forever"})
    assert "readings" not in age(store, tmp_path, kept, 3000)
    age(store, tmp_path, contract, 3)
    with store.read() as connection:
        oldest = select(func.min(batches.c.received_at)).join(readings, readings.c.batch == batches.c.id)
        oldest = connection.execute(oldest.where(readings.c.asset == 1, readings.c.time > 0)).scalar()
    assert FIRST_DAY + timedelta(days=1) <= oldest <= FIRST_DAY + timedelta(days=2), "the term, and at most a day"


def test_batches_go_with_the_last_of_their_readings_and_numbers_go_on(store, tmp_path, contract, sent):
    before = count(store, batches)
    age(store, tmp_path, contract, 30)
    assert count(store, batches) <= 4 < before, "those of the first readings and of the newest windows"
    with store.read() as connection:
        newest = connection.execute(select(func.max(batches.c.id))).scalar_one()
    assert newest == before
    send_hours(store, range(HOURS, HOURS + 1))
    with store.read() as connection:
        assert connection.execute(select(func.max(batches.c.id))).scalar_one() > newest


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_nothing_is_dropped_without_its_file(store, tmp_path, contract, sent, damage):
    work = Retaining(store, tmp_path, {TWIN.name: contract})
    assert take_step(work, contract, LATER) == ("readings", 0)
    (path,) = (tmp_path / "data" / "pump" / "archive").iterdir()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:])
    with pytest.raises(StoreError, match=path.name):
        take_step(work, contract, LATER)
    assert count(store, readings) == sent


def test_what_is_held_stays_until_it_is_released(store, tmp_path, contract, sent):
    with store.write() as connection:
        holds.place_hold(connection, assets.find_asset(connection, "P-2"), "claim 4711", "ann", FIRST_DAY)
    age(store, tmp_path, contract, 30)
    with store.read() as connection:
        left = dict(connection.execute(select(readings.c.asset, func.count()).group_by(readings.c.asset)).all())
    assert left == {1: WINDOW + 1, 2: HOURS, 3: WINDOW + 1}
    with pytest.raises(Conflict, match="claim 4711"):
        erase_asset(store, tmp_path, {TWIN.name: contract}, "P-2", "ann", LATER)
    with store.write() as connection:
        holds.release_hold(connection, assets.find_asset(connection, "P-2"), None, "ann", LATER)
    age(store, tmp_path, contract, 30)
    assert count(store, readings) == 3 * (WINDOW + 1)
    assert len(archived(store, tmp_path, "P-2")) == HOURS


def test_a_copy_holds_what_has_aged_out_too(store, tmp_path, contract, sent):
    age(store, tmp_path, contract, 30)
    out = export_asset(store, tmp_path, {TWIN.name: contract}, "P-1", tmp_path / "p1.zip", LATER)
    with zipfile.ZipFile(out) as file:
        file.extract("readings.parquet", tmp_path)
    table = pq.read_table(tmp_path / "readings.parquet").to_pandas()
    wanted = readings_of(TWIN, list(NAMES), HOURS)
    wanted = wanted[wanted["asset"] == "P-1"]
    assert table["time"].tolist() == wanted["time"].tolist()
    np.testing.assert_array_equal(table[list(TWIN.channel_names)], wanted[list(TWIN.channel_names)])
    assert table["received_at"].iloc[0] == FIRST_DAY


def test_an_erased_asset_is_in_no_file_and_the_others_are_whole(store, tmp_path, contract, sent):
    age(store, tmp_path, contract, 30)
    others = archived(store, tmp_path, "P-1", "P-3")
    with store.read() as connection:
        number = assets.find_asset(connection, "P-2").id
    (tmp_path / "data" / "pump" / "archive" / "readings-000001-left.parquet").write_bytes(b"of an interrupted erasure")
    certificate = erase_asset(store, tmp_path, {TWIN.name: contract}, "P-2", "ann", LATER)
    assert certificate["archive"]["rows"] >= HOURS
    paths = sorted((tmp_path / "data" / "pump" / "archive").glob("*.parquet"))
    assert all(number not in pq.read_table(path)["asset"].to_pylist() for path in paths)
    assert archived(store, tmp_path, "P-1", "P-3") == others
    assert age(store, tmp_path, contract, 31) == {}, "nothing is left to do, and the files are those on record"


def test_an_asset_that_is_erased_while_its_file_is_being_dropped_leaves_the_rest_to_be_dropped(
    store, tmp_path, contract, sent
):
    work = Retaining(store, tmp_path, {TWIN.name: contract})
    for _ in range(3):  # a file, and two pieces of it
        take_step(work, contract, LATER)
    erase_asset(store, tmp_path, {TWIN.name: contract}, "P-1", "ann", LATER)
    age(store, tmp_path, contract, 30)
    assert count(store, readings) == 2 * (WINDOW + 1)
    assert len(archived(store, tmp_path, "P-2", "P-3")) == 2 * HOURS


def test_a_reading_that_is_sent_again_after_it_aged_out_is_learnt_from_once(store, tmp_path, contract, sent):
    before = export_history(store, tmp_path, contract, LATER)
    age(store, tmp_path, contract, 30)
    send_rows(store, readings_of(TWIN, list(NAMES), HOURS).iloc[20:50], LATER)
    assert export_history(store, tmp_path, contract, LATER) == before
    age(store, tmp_path, contract, 60)
    assert export_history(store, tmp_path, contract, LATER) == before


def test_a_store_that_another_process_ages_at_the_same_time_is_aged_once(store, tmp_path, contract, sent):
    one, other = (Retaining(store, tmp_path, {TWIN.name: contract}) for _ in range(2))
    for _ in range(200):
        if take_step(one, contract, LATER) is None and take_step(other, contract, LATER) is None:
            break
    assert count(store, readings) == 3 * (WINDOW + 1)
    with store.read() as connection:
        assert (
            connection.execute(select(func.sum(archives.c.rows)).where(archives.c.kind == "readings")).scalar() == sent
        )


def test_pages_that_a_shorter_term_frees_are_given_back_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(retaining, "READINGS_AT_ONCE", 100_000)
    monkeypatch.setattr(retaining, "PIECE", 2_000)
    monkeypatch.setattr(reclaim, "FEWEST_FREE", 50)
    contract, path = write_contract(tmp_path, {"readings": 1}), tmp_path / "twins.db"
    store = open_store(f"sqlite:///{path}")
    rows = readings_of(TWIN, [f"P-{i}" for i in range(50)], 400)
    send_rows(store, rows, FIRST_DAY)

    def pages(name):
        with store.read() as connection:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()

    before = pages("page_count")
    age(store, tmp_path, contract, 30)
    assert pages("page_count") < before / 2
    assert pages("freelist_count") < 100
    store.close()


def test_a_damaged_archive_of_one_twin_does_not_stop_another(store, tmp_path, contract, sent):
    work = Retaining(store, tmp_path, {"fan": contract.model_copy(update={"name": "fan"}), TWIN.name: contract})
    take_step(work, contract, LATER)
    with store.write() as connection:
        connection.execute(update(archives).values(twin="fan"))
    (path,) = (tmp_path / "data" / "pump" / "archive").iterdir()
    path.unlink()
    with pytest.raises(StoreError, match="fan"):
        retaining.retain_once(work, LATER)
    assert count(store, readings) == 3 * (WINDOW + 1)
