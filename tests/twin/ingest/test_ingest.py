"""Storing readings: once each, counted, with what is wrong in quarantine."""

import json
import sqlite3
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, Conflict, NotFound, StoreError
from foretwin.twin.ingest.checks import Begins
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.ingest.release import release
from foretwin.twin.store import Store, assets, listing, open_store, summaries, tables
from foretwin.twin.store.casework import audit
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.telemetry import quarantine
from foretwin.twin.store.telemetry import readings as stored_readings
from foretwin.twin.store.telemetry.arrivals import last_hour
from foretwin.twin.store.telemetry.packing import unpack_channels
from foretwin.wire.decoder import decode, undecodable
from foretwin.wire.readings import Decoded, Readings
from foretwin.wire.tables import JSON
from support.tiny_bundle import tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
PUMP, FAN = tiny_twin(), tiny_twin("fan", channels=2)
CONTRACTS = {"pump": PUMP, "fan": FAN}


def message(time, c1=2.0, asset: str = "P-1", twin: str = "pump", **more) -> Decoded:
    """Decoded readings; `c1` is one number for all times, or one for each."""
    times = time if isinstance(time, list) else [time]
    values = c1 if isinstance(c1, list) else [c1] * len(times)
    channels = {name: [1.0] * len(times) for name in CONTRACTS[twin].channel_names} | {"c1": values}
    content = {"twin": twin, "asset": asset, "time": times, "channels": channels} | more
    return decode(json.dumps(content).encode(), JSON, CONTRACTS, None, None)


def send(store: Store, *messages: Decoded, now: datetime = NOON, begins: Begins = "none") -> Receipt:
    return ingest(store, CONTRACTS, messages, "mqtt", now, begins)


def asset_of(store: Store, name: str = "P-1") -> assets.Asset:
    with store.read() as connection:
        return assets.find_asset(connection, name)


def kept(store: Store, name: str = "P-1") -> dict[tuple[int, float], float]:
    """(run, time) -> the value of c1."""
    table, layouts = tables.readings.c, tables.layouts.c
    query = select(table.run, table.time, table.channels, layouts.channels)
    query = (
        query.join_from(tables.readings, tables.layouts, table.layout == layouts.id)
        .join(tables.assets)
        .where(tables.assets.c.name == name)
    )
    with store.read() as connection:
        found = connection.execute(query.order_by(table.run, table.time)).all()
    return {
        (run, time): float(unpack_channels([packed], names.split(","), ["c1"])[0, 0])
        for run, time, packed, names in found
    }


def held(
    connection, limit: int, offset: int = 0, released: bool | None = None, **filters: str
) -> list[SimpleNamespace]:
    """What the quarantine lists, the newest first."""
    page = listing.Page(limit, offset, "id", descending=True)
    return [SimpleNamespace(**row) for row in listing.list_quarantine(connection, page, filters, released)]


def waiting(store: Store) -> list[SimpleNamespace]:
    with store.read() as connection:
        return held(connection, 1000)


def reasons(receipt: Receipt) -> list[str]:
    return [one.reason for one in receipt.rejected]


def test_readings_are_stored_and_their_asset_registered(store):
    receipt = send(store, message([1, 2], [5.5, 0.1], run=3))
    assert receipt == Receipt(stored=2)
    assert kept(store) == {(3, 1): 5.5, (3, 2): float(np.float32(0.1))}
    asset = asset_of(store)
    assert (asset.twin, asset.registered_at, asset.received_at) == ("pump", NOON, NOON)
    assert (asset.run, asset.time, asset.readings) == (3, 2, 2)
    with store.read() as connection:
        batches = connection.execute(select(tables.batches)).all()
        assert last_batch(connection) == asset.batch
    assert [(batch.id, batch.via, batch.received_at) for batch in batches] == [(asset.batch, "mqtt", NOON)]


@pytest.mark.parametrize("other", ["p-1", "Ｐ-1"])
def test_another_spelling_of_a_machine_is_set_aside_with_both_names(store, other):
    send(store, message(1))
    receipt = send(store, message([2, 3], asset=other))
    assert (receipt.stored, reasons(receipt)) == (0, ["unknown", "unknown"])
    assert f"{other!r} and 'P-1' are one machine's name in two spellings" in receipt.rejected[0].detail
    with store.read() as connection:
        assert assets.find_all(connection, [other]) == {}
    both = send(store, message(1, asset="Q-7"), message(1, asset="q-7"))
    assert (both.stored, reasons(both)) == (1, ["unknown"]), "two new names of one message"


def test_spellings_are_joined_where_the_contract_says_so(store):
    table = {"kind": "table", "path": "x.csv", "asset": "a", "time": "t", "spellings": "join"}
    joining = {"pump": Twin.model_validate(PUMP.model_dump() | {"source": table})}
    for name, time in (("P-1", [1, 2]), ("p-1", [3]), ("P-1", [4])):
        assert ingest(store, joining, [message(time, asset=name)], "mqtt", NOON).stored == len(time)
    mixed = ingest(store, joining, [message(5, asset="p-1"), message([5, 6], asset="P-1")], "mqtt", NOON)
    assert mixed == Receipt(stored=2, duplicates=1)
    assert asset_of(store).readings == 6


def test_three_readings_of_a_run_in_another_unit_are_set_aside(store):
    receipt = send(store, message([60, 120, 180]))
    assert reasons(receipt) == ["unit"] * 3
    assert "usually advances by 60, 1 is this twin's step: times are in h" in receipt.rejected[0].detail
    assert send(store, message([60, 120])).stored == 2, "a machine that stood still is no other unit"


def test_the_same_reading_again_is_a_duplicate_and_makes_no_batch(store):
    send(store, message([1, 2]))
    before = asset_of(store)
    assert send(store, message([1, 2]), now=LATER) == Receipt(duplicates=2)
    after = asset_of(store)
    assert (after.readings, after.duplicates) == (2, 2)
    assert (after.batch, after.received_at) == (before.batch, NOON)
    with store.read() as connection:
        assert len(connection.execute(select(tables.batches)).all()) == 1


def test_old_and_new_readings_in_one_call_are_told_apart(store):
    send(store, message([1, 2], [5.0, 6.0]))
    receipt = send(store, message([2, 3, 1, 3], [6.0, 7.0, 9.0, 7.0]))
    assert (receipt.stored, receipt.duplicates, reasons(receipt)) == (1, 2, ["conflict"])
    assert kept(store) == {(1, 1): 5, (1, 2): 6, (1, 3): 7}


def test_within_one_call_the_first_of_a_key_counts(store):
    receipt = send(store, message(1, 5.0), message([1, 1], [5.0, 6.0]))
    assert (receipt.stored, receipt.duplicates, reasons(receipt)) == (1, 1, ["conflict"])
    assert kept(store) == {(1, 1): 5}
    assert json.loads(receipt.rejected[0].content)["channels"]["c1"] == 6
    assert asset_of(store).quarantined == 1


def test_zero_with_a_sign_is_zero(store):
    send(store, message([0, 1], [0.0, 0.0]))
    assert send(store, message([-0.0, 1], [0.0, -0.0])) == Receipt(duplicates=2)


def test_a_late_reading_is_stored_and_counted(store):
    send(store, message([1, 5]))
    assert send(store, message(3), now=LATER) == Receipt(stored=1, late=1)
    assert send(store, message(3), now=LATER) == Receipt(duplicates=1)
    asset = asset_of(store)
    assert (asset.time, asset.received_at, asset.late, asset.gaps) == (5, NOON, 1, 3)
    with store.read() as connection:
        assert asset.batch == last_batch(connection)


def test_a_higher_run_begins_and_readings_of_an_earlier_one_are_late(store):
    send(store, message([1, 2]))
    assert send(store, message([0, 1], run=2), begins="any") == Receipt(stored=2)
    assert send(store, message(2)) == Receipt(stored=1)
    assert send(store, message([3, 4], run=1)) == Receipt(stored=2, late=2)
    assert list(kept(store)) == [(1, 1), (1, 2), (1, 3), (1, 4), (2, 0), (2, 1), (2, 2)]
    assert (asset_of(store).run, asset_of(store).time) == (2, 2)


def test_a_fleet_that_counts_runs_from_zero_is_not_late(store):
    assert send(store, message([1, 2], run=0)) == Receipt(stored=2)
    assert (asset_of(store).run, asset_of(store).time) == (0, 2)
    assert send(store, message(3)) == Receipt(stored=1)
    assert list(kept(store)) == [(0, 1), (0, 2), (0, 3)]


def test_a_run_that_began_without_readings_waits_for_them(store):
    send(store, message([1, 400]))
    with store.write() as connection:
        assets.begin_run(connection, assets.find_asset(connection, "P-1"), 2)
    assert send(store, message(401, run=1)) == Receipt(stored=1, late=1)
    assert (asset_of(store).run, asset_of(store).time) == (2, 400)
    assert send(store, message(7), now=LATER) == Receipt(stored=1)
    assert (asset_of(store).run, asset_of(store).time, asset_of(store).received_at) == (2, 7, LATER)


def test_a_bad_reading_does_not_stop_the_good_ones(store):
    receipt = send(store, message([1, 2, 3, -1, 4], [1.0, 5000.0, "x", 1.0, 2.0]))
    assert receipt.stored == 2
    assert sorted(reasons(receipt)) == ["order", "range", "type"]
    assert kept(store) == {(1, 1): 1, (1, 4): 2}
    assert {one.reason for one in waiting(store)} == {"order", "range", "type"}
    assert {(one.twin, one.asset, one.via, one.released_at) for one in waiting(store)} == {
        ("pump", "P-1", "mqtt", None)
    }
    assert asset_of(store).quarantined == 3


def test_what_is_rejected_again_is_in_quarantine_once(store):
    for _ in range(2):
        assert reasons(send(store, message([1, 2], [1.0, 5000.0]))) == ["range"]
    assert len(waiting(store)) == 1
    assert asset_of(store).quarantined == 1


def test_a_clock_that_jumped_is_set_aside_and_can_be_released(store):
    send(store, message(1))
    receipt = send(store, message([5000, 2], run=1))
    assert (receipt.stored, reasons(receipt)) == (1, ["clock"])
    assert "more than 1000 h after 1" in receipt.rejected[0].detail
    (held,) = waiting(store)
    assert release(store, CONTRACTS, held.id, "ann", LATER) == Receipt(stored=1)
    assert list(kept(store)) == [(1, 1), (1, 2), (1, 5000)]
    assert (asset_of(store).time, asset_of(store).received_at, asset_of(store).gaps) == (5000, LATER, 0)
    assert waiting(store)[0].released_at == LATER
    with store.read() as connection:
        (entry,) = audit.of_asset(connection, asset_of(store).id, None, None, 10)
    assert (entry.action, entry.actor, entry.detail["stored"]) == ("reading.released", "ann", 1)
    with pytest.raises(Conflict, match="was released"):
        release(store, CONTRACTS, held.id, "ann", LATER)


@pytest.mark.parametrize("run", [2, 3, 2_000_000_000])
def test_a_run_that_nobody_ordered_is_set_aside_until_somebody_does(store, run):
    send(store, message([1, 2]))
    receipt = send(store, message([1, 2], 3.0, run=run), message(3))
    assert (receipt.stored, receipt.late, reasons(receipt)) == (1, 0, ["run", "run"])
    assert (asset_of(store).run, asset_of(store).time) == (1, 3)
    first = waiting(store)[-1]
    assert first.field == "run"
    assert f"is {run}, but P-1 is in run 1; " in first.detail
    assert "`foretwin quarantine --release`" in first.detail
    assert release(store, CONTRACTS, first.id, "ann", LATER) == Receipt(stored=2)
    assert (asset_of(store).run, asset_of(store).time) == (run, 2)
    with store.read() as connection:
        (entry,) = audit.of_asset(connection, asset_of(store).id, None, None, 10)
    assert (entry.action, entry.actor, entry.detail["run"]) == ("reading.released", "ann", run)
    assert send(store, message(3, 3.0, run=run), message(4, run=1)) == Receipt(stored=2, late=1)


def test_what_waited_for_the_same_run_is_released_with_it(store):
    send(store, message(1))
    send(store, message([1, 2, 2, 3, 5000], [1.0, 2.0, 9.0, 3.0, 4.0], run=2), message(1, run=20), message(1, run=3))
    send(store, message(1, asset="P-2"), message(1, asset="P-2", run=2))
    *_, first = waiting(store)
    assert release(store, CONTRACTS, first.id, "ann", LATER) == Receipt(stored=3)
    assert list(kept(store)) == [(1, 1), (2, 1), (2, 2), (2, 3)]
    assert list(kept(store, "P-2")) == [(1, 1)]
    left = [(one.asset, one.reason, json.loads(one.content)["run"]) for one in waiting(store) if not one.released_at]
    assert sorted(left) == [
        ("P-1", "clock", 2),
        ("P-1", "conflict", 2),
        ("P-1", "run", 3),
        ("P-1", "run", 20),
        ("P-2", "run", 2),
    ]


def test_a_machine_begins_its_next_run_where_the_contract_lets_it_and_jumps_none(store):
    content = PUMP.model_dump() | {"runs": {"begin_by": "readings"}}
    contracts = {"pump": Twin.model_validate(content)}
    assert contracts["pump"].digest == PUMP.digest
    send(store, message([1, 2]))
    receipt = ingest(store, contracts, [message(1, run=3), message(1, run=2), message(2)], "mqtt", LATER, "next")
    assert (receipt.stored, reasons(receipt)) == (2, ["run"])
    assert list(kept(store)) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert reasons(ingest(store, contracts, [message(1, run=3)], "http", LATER, "none")) == ["run"]


def test_the_first_reading_says_which_run_an_asset_is_in_but_no_absurd_one(store):
    receipt = send(store, message(1, run=2_000_000_000), message([1, 2], run=7), message(3))
    assert (receipt.stored, receipt.late, reasons(receipt)) == (3, 0, ["run"])
    assert list(kept(store)) == [(7, 1), (7, 2), (7, 3)]


def test_what_is_still_wrong_is_not_released(store):
    send(store, message(1, 5000.0))
    (held,) = waiting(store)
    assert reasons(release(store, CONTRACTS, held.id, "ann", LATER)) == ["range"]
    assert [one.released_at for one in waiting(store)] == [None]
    with pytest.raises(NotFound):
        release(store, CONTRACTS, held.id + 1, "ann", LATER)
    with pytest.raises(NotFound):
        release(store, CONTRACTS, 10**30, "ann", LATER)


def test_a_reading_in_range_of_a_corrected_contract_is_released_exactly(store):
    value = float(np.float32(1234.567))
    send(store, message(1, value))
    content = PUMP.model_dump()
    content["channels"]["c1"]["max"] = 2000
    release(store, {"pump": Twin.model_validate(content)}, waiting(store)[0].id, "ann", LATER)
    assert kept(store) == {(1, 1): value}


def test_a_body_that_nobody_can_read_is_kept_and_does_not_stop_others(store):
    odd = undecodable(b"\x00\xff{", BadInput("body", "is not JSON"), "pump", "P-9")
    huge = undecodable(b"a" * 100_000, BadInput("body", "is not JSON"), None, "\ud800\x00")
    receipt = send(store, odd, message(1), huge)
    assert (receipt.stored, reasons(receipt)) == (1, ["undecodable", "undecodable"])
    last, first = waiting(store)
    assert first.content == "\\x00\\xff{"
    assert len(last.content) == 64 * 1024
    assert last.asset == "\\ud800\\x00"
    with pytest.raises(BadInput):
        release(store, CONTRACTS, first.id, "ann", NOON)


def test_an_asset_of_another_twin_is_not_mixed_with_it(store):
    send(store, message(1))
    receipt = send(store, message(2, twin="fan"), message(2, twin="fan", asset="F-1"))
    assert (receipt.stored, reasons(receipt)) == (1, ["unknown"])
    assert list(kept(store)) == [(1, 1)]
    assert asset_of(store, "F-1").twin == "fan"


def test_many_assets_and_twins_are_stored_at_once(store):
    sent = [message(1, float(i), asset=f"P-{i}") for i in range(50)]
    sent += [message([1, 2], float(i), asset=f"F-{i}", twin="fan") for i in range(20)]
    assert send(store, *sent) == Receipt(stored=90)
    assert kept(store, "P-7") == {(1, 1): 7}
    assert kept(store, "F-19") == {(1, 1): 19, (1, 2): 19}
    assert (asset_of(store, "F-3").readings, asset_of(store, "P-3").readings) == (2, 1)


def test_nothing_is_kept_when_the_store_fails(store):
    class Full(Exception):
        pass

    @contextmanager
    def failing():
        with store.write() as connection:
            yield connection
            raise Full

    class Failing:
        write = staticmethod(failing)

    with pytest.raises(Full):
        ingest(Failing, CONTRACTS, [message([1, 2], [1.0, 5000.0])], "http", NOON)
    assert waiting(store) == []
    with store.read() as connection:
        assert assets.find_all(connection, ["P-1"]) == {}
        assert last_batch(connection) == 0


def test_a_full_disk_keeps_what_was_acknowledged_and_nothing_of_the_rest(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    send(store, message([1, 2]))
    with sqlite3.connect(tmp_path / "twins.db") as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()

    @contextmanager
    def limited():
        with store.write() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
            yield connection

    class Limited:
        write = staticmethod(limited)

    with pytest.raises(StoreError, match="free some space"):
        ingest(Limited, CONTRACTS, [message(list(range(3, 5000)))], "http", NOON)
    assert list(kept(store)) == [(1, 1), (1, 2)]
    store.close()


def test_two_processes_may_store_the_same_at_once(store_url):
    stores = [open_store(store_url) for _ in range(3)]
    receipts = []

    def work(own: Store) -> None:
        receipts.extend(send(own, message([time, time + 1], asset=f"P-{time % 3}")) for time in range(20))

    threads = [threading.Thread(target=work, args=(own,)) for own in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum((receipt.stored for receipt in receipts), 0)
    assert total + sum(receipt.duplicates for receipt in receipts) == 3 * 20 * 2
    assert [one for receipt in receipts for one in receipt.rejected] == []
    held = [asset_of(stores[0], f"P-{i}") for i in range(3)]
    assert sum(asset.readings for asset in held) == total == sum(len(kept(stores[0], f"P-{i}")) for i in range(3))
    for own in stores:
        own.close()


def test_a_duplicate_is_known_across_a_change_of_the_contracts_channels(store):
    send(store, message([1, 2], [5.0, 6.0]))
    names = ("c1", "c2", "speed", "new")
    with store.read() as connection:
        asset = assets.find_asset(connection, "P-1").id
        keys = (np.array([asset] * 3), np.ones(3, np.int64), np.array([1.0, 2.0, 3.0]))
        values = np.array([[5, 1, 1, 9], [7, 1, 1, 9], [5, 1, 1, 9]], np.float32)
        same = stored_readings.are_same(connection, Readings("pump", names, *keys, values))
    assert same.tolist() == [True, False, False]


def test_the_quarantine_is_listed_by_what_it_holds(store):
    send(store, message([1, -2], asset="a"), message([1, 9000.0], [1.0, 9000.0], asset="b"))
    release_of = send(store, message([2, 5000], asset="b", run=1))
    assert reasons(release_of) == ["clock"]
    with store.write() as connection:
        everything = held(connection, 10)
        assert [one.asset for one in everything] == ["b", "b", "a"]
        assert held(connection, 10, offset=2) == everything[2:]
        assert held(connection, 1, asset="b") == everything[:1]
        assert held(connection, 10, reason="order", twin="pump") == everything[2:]
        quarantine.mark_released(connection, [everything[0].id], LATER)
        assert [one.id for one in held(connection, 10, released=True)] == [everything[0].id]
        assert len(held(connection, 10, released=False)) == 2


SENT = st.lists(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(1, 2), st.integers(-1, 6)), min_size=1, max_size=4
    ),  # asset, run and time of each reading of a message
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=15)
@given(sent=SENT, data=st.data())
def test_repeats_in_any_order_and_any_calls_leave_each_reading_once(sent, data):
    """A reading below time 0 is rejected; the value depends on the key, so that repeats agree."""
    repeated = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=4))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(repeated)), max_size=3)))
    messages = [
        message(time, float(run * 10 + time), asset=asset, run=run) for rows in repeated for asset, run, time in rows
    ]
    calls = np.split(np.arange(len(messages)), [min(cut, len(messages)) for cut in cuts])
    store = open_store("sqlite://")
    receipts = [send(store, *[messages[i] for i in call], begins="any") for call in calls]
    wanted = {row for rows in sent for row in rows}
    for name in "ab":
        rows = {(run, time): float(run * 10 + time) for of, run, time in wanted if of == name and time >= 0}
        assert kept(store, name) == rows
    good = Counter(row for rows in repeated for row in rows if row[2] >= 0)
    assert sum(receipt.stored for receipt in receipts) == len(good)
    assert sum(receipt.duplicates for receipt in receipts) == good.total() - len(good)
    assert sum(r.stored + r.duplicates + len(r.rejected) for r in receipts) == len(messages)
    with store.read() as connection:
        known = assets.find_all(connection, "ab")
    assert sum(asset.readings for asset in known.values()) == len(good)
    assert sum(asset.duplicates for asset in known.values()) == good.total() - len(good)
    assert sum(asset.quarantined for asset in known.values()) == len(waiting(store))
    for name, asset in known.items():
        rows = kept(store, name)
        if rows:
            assert (asset.run, asset.time) == max(rows)
    store.close()


@pytest.mark.parametrize("jitter", [1e-7, -1e-7])
def test_a_reading_whose_time_was_rounded_on_its_way_is_a_duplicate(store, jitter):
    send(store, message([1, 2, 3], [5.0, 6.0, 7.0]))
    again = send(store, message([2 + jitter, 3 + jitter], [6.0, 7.0]))
    assert again == Receipt(duplicates=2)
    assert reasons(send(store, message(3 + jitter, 8.0))) == ["conflict"]
    both = send(store, message([4, 4 + abs(jitter), 5]))
    assert (both.stored, both.duplicates) == (2, 1), "within one message too"
    assert list(kept(store)) == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("odd", [1.7e9, 900.0])
def test_one_wrong_clock_is_given_up_once_many_readings_contradict_it(store, odd, together):
    right = [message(float(time), asset="P-1") for time in range(40)]
    if together:
        receipt = send(store, message([odd, *range(40)]))
    else:
        send(store, message(odd))
        receipt = sum((send(store, one) for one in right), Receipt())
    assert receipt.stored == 41 if together else 40
    assert reasons(receipt) == ["clock"]
    assert f"is {odd:g}, but" in receipt.rejected[0].detail
    assert list(kept(store)) == [(1, time) for time in range(40)]
    asset = asset_of(store)
    assert (asset.run, asset.time, asset.readings, asset.quarantined) == (1, 39, 40, 1)
    assert json.loads(waiting(store)[0].content)["channels"]["c1"] == 2.0
    with store.read() as connection:
        hour = last_hour(connection, asset.id)
        runs = connection.execute(select(summaries.runs)).all()
    assert (hour.count, hour.first_time, hour.last_time) == (40, 0, 39)
    assert [run.first_time for run in runs] == [0]
    assert asset.late < 12, "those after it was given up are on time"
    assert send(store, message(40)) == Receipt(stored=1)


def test_a_few_late_readings_and_a_backlog_next_to_the_newest_contradict_nothing(store):
    send(store, message([0, 1, 2, 500]))
    assert send(store, message([3, 4, 5])).rejected == ()
    assert (500 in [time for _, time in kept(store)]) is True
    send(store, message([0, 30], asset="P-2"))
    assert send(store, message([float(i) for i in range(1, 30)], asset="P-2")) == Receipt(stored=29, late=29)
    assert asset_of(store, "P-2").time == 30


def test_a_wrong_first_clock_behind_all_that_came_with_it_is_set_aside(store):
    receipt = send(store, message([3, *(20_000 + time for time in range(12))]))
    assert (receipt.stored, reasons(receipt)) == (12, ["clock"])
    assert "is 3, but the readings that came with it are from 20000 on" in receipt.rejected[0].detail
    few = send(store, message([3, 20_000, 20_001], asset="P-2"))
    assert (few.stored, reasons(few)) == (1, ["clock", "clock"])
