"""A flood of wrong readings leaves a bounded quarantine, and nothing goes without being counted."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from foretwin.errors import Conflict
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.ingest.release import release
from foretwin.twin.store import assets, open_store, tables
from foretwin.twin.store.scoring.monitoring import set_aside
from foretwin.twin.store.telemetry import overflow, quarantine
from foretwin.wire.decoder import decode
from foretwin.wire.readings import Rejected
from foretwin.wire.tables import JSON
from support.tiny_bundle import tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PUMP = tiny_twin()


def send(store, count: int, begin: int = 0, asset: str = "P-1", now: datetime = NOON):
    """As many readings of which each value is outside its limits."""
    channels = {name: [5000.0] * count for name in PUMP.channel_names}
    content = {"twin": "pump", "asset": asset, "time": list(range(begin, begin + count)), "channels": channels}
    decoded = decode(json.dumps(content).encode(), JSON, {"pump": PUMP}, None, None)
    return ingest(store, {"pump": PUMP}, [decoded], "http", now)


def held(store):
    with store.read() as connection:
        return connection.execute(select(tables.quarantine).order_by(tables.quarantine.c.id)).all()


def counts(store):
    """How many readings its rows stand for, and how many rows are such counts."""
    rows = held(store)
    return sum(row.readings for row in rows), sum(overflow.is_counted(row.content) for row in rows)


def test_one_call_leaves_the_first_of_a_kind_and_a_count_of_the_others(store, caplog):
    receipt = send(store, 5000)
    assert (len(receipt.rejected), receipt.counted) == (5000, 4900)
    *kept, count = held(store)
    assert [json.loads(row.content)["time"] for row in kept] == list(range(100))
    said = (count.twin, count.asset, count.field, count.reason, count.readings)
    assert said == ("pump", "P-1", "channels.speed", "range", 4900)
    assert json.loads(count.content) == {
        "counted": 4900,
        "fields": ["channels.speed"],
        "assets": ["P-1"],
        "first_time": 100.0,
        "last_time": 4999.0,
    }
    assert count.detail == "4,900 more in the hour from 12:00 UTC, only counted; correct them, send them again"
    assert "http: 4,900 of 5,000 refused readings are only counted in quarantine" in caplog.text
    with store.read() as connection:
        assert assets.find_asset(connection, "P-1").quarantined == 5000
        assert set_aside(connection, "pump", None) == {"range": 5000}
    with pytest.raises(Conflict, match="counts 4,900 readings"):
        release(store, {"pump": PUMP}, count.id, "ann", NOON)


def test_an_hour_of_calls_leaves_no_more_of_an_asset_than_its_share(store):
    for call in range(12):
        send(store, 100, call * 100)
    send(store, 5, asset="P-2")
    assert counts(store) == (1205, 1)
    assert [(row.asset, row.readings) for row in held(store)[-6:]] == [("P-1", 200), *[("P-2", 1)] * 5]
    assert send(store, 50, 5000, now=NOON + timedelta(hours=1, seconds=1)).counted == 0


def test_the_rows_and_bytes_of_an_hour_are_bounded(store, monkeypatch):
    monkeypatch.setattr(overflow, "OF_AN_HOUR", 30)
    for asset in range(5):
        send(store, 10, asset=f"P-{asset}")
    assert (len(held(store)), *counts(store)) == (32, 50, 2)
    monkeypatch.setattr(overflow, "OF_AN_HOUR", 10_000)
    monkeypatch.setattr(overflow, "BYTES_OF_AN_HOUR", sum(len(row.content) for row in held(store)) + 300)
    assert send(store, 10, asset="P-9").counted > 5


def test_names_without_number_share_one_count(store, monkeypatch):
    monkeypatch.setattr(quarantine, "OF_A_CALL", 10)
    many = [Rejected("pump", f"P\ud800{i}\0", "asset", "unknown", "no name", str(i)) for i in range(500)]
    with store.write() as connection:
        aside = quarantine.add_quarantined(connection, "file", many, NOON)
        assert (len(aside.kept), len(aside.counted)) == (10, 490)
        count = connection.execute(select(tables.quarantine).where(tables.quarantine.c.readings > 1)).one()
    assert (count.twin, count.asset, count.readings) == (None, None, 490)
    assert len(json.loads(count.content)["assets"]) == overflow.MOST_NAMED


def test_a_clock_that_was_ahead_takes_no_room_from_the_present(store, monkeypatch):
    monkeypatch.setattr(overflow, "OF_AN_HOUR", 10)
    send(store, 10, now=NOON + timedelta(days=300))
    assert send(store, 10, 10).counted == 0


CALLS = st.lists(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["range", "type"]), st.integers(0, 30)), max_size=40),
    max_size=6,
)


@settings(deadline=None, max_examples=25)
@given(CALLS)
def test_every_rejected_reading_is_kept_or_counted(calls):
    limits = {"OF_A_KIND": 3, "OF_A_CALL": 8, "OF_AN_ASSET": 10, "OF_AN_HOUR": 15}
    store = open_store("sqlite://")
    with pytest.MonkeyPatch.context() as patched, store.write() as connection:
        for name, limit in limits.items():
            patched.setattr(overflow, name, limit)
            patched.setattr(quarantine, name, limit, raising=False)
        total = 0
        for call in calls:
            rejected = [Rejected("pump", asset, "c1", reason, "", str(value)) for asset, reason, value in call]
            aside = quarantine.add_quarantined(connection, "http", rejected, NOON)
            total += len(aside.kept) + len(aside.counted)
            assert len(aside.kept) <= 8
        table = tables.quarantine
        assert (connection.execute(select(func.sum(table.c.readings))).scalar() or 0) == total
        rows = connection.execute(select(table.c.content)).scalars().all()
        assert sum(not overflow.is_counted(row) for row in rows) <= 15
        assert sum(overflow.is_counted(row) for row in rows) <= 4
