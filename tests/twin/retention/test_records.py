"""Scores, events with their deliveries, quarantine and audit age out, each by its own term, and only then."""

import json
import zipfile
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, update

from foretwin.champion.identity import ModelIdentity
from foretwin.twin.data_export import export_asset
from foretwin.twin.erasure.erase import erase_asset
from foretwin.twin.store import assets
from foretwin.twin.store.aging import holds
from foretwin.twin.store.aging.archives import archives_of
from foretwin.twin.store.casework import audit
from foretwin.twin.store.casework import events as outbox_rows
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.tables import audit as audit_table
from foretwin.twin.store.tables import deliveries, events, quarantine
from foretwin.twin.store.tables import scores as score_table
from foretwin.twin.store.telemetry.quarantine import add_quarantined
from foretwin.wire.readings import Rejected
from support.aging_fleet import FIRST_DAY, age, send_hours, write_contract
from support.stored_readings import count

TERMS = {"readings": "forever", "scores": {"days": 10}, "events": 20, "quarantine": 30, "audit": 40}
TARGET = "https://hook.example"


@pytest.fixture
def contract(tmp_path):
    return write_contract(tmp_path, TERMS)


@pytest.fixture
def filled(store):
    """Two assets, about which something of each kind happened on each of five days."""
    send_hours(store, range(1), ("P-1", "P-2"))
    with store.write() as connection:
        known = assets.find_all(connection, ["P-1", "P-2"])
        model = scores.model_id(connection, "pump", ModelIdentity("m", "1", "r", "d"), "c", FIRST_DAY)
        for day in range(5):
            at = FIRST_DAY + timedelta(days=day)
            for name, asset in known.items():
                said = Score(
                    asset.id, 1, float(day), model, at, 0.1, 8, 50.0, 40.0, 60.0, {"mode": {"ok": 1.0}}, {}, []
                )
                scores.add_scores(connection, [said])
                emit(connection, "case.opened", "pump", asset, f"cases/{day}", {"asset": name, "day": day}, at)
                audit.record(connection, "ann", "case.opened", {"day": day}, at, asset=asset.id)
                refused = Rejected(
                    "pump", name, "channels.c1", "range", f"{day}", f'{{"asset": "{name}", "day": {day}}}'
                )
                add_quarantined(connection, "mqtt", [refused, replace(refused, twin=None, asset=None)], at)
        outbox_rows.assign(connection, TARGET, FIRST_DAY)
        connection.execute(update(deliveries).values(state="delivered"))
    return known


def counts(store):
    return [count(store, table) for table in (score_table, events, deliveries, quarantine, audit_table)]


def test_each_kind_has_its_term(store, tmp_path, contract, filled):
    entries = count(store, audit_table)
    assert counts(store) == [10, 10, 10, 20, entries]
    age(store, tmp_path, contract, 15)
    assert counts(store) == [2, 10, 10, 20, entries], "the newest score of each asset stays"
    age(store, tmp_path, contract, 25)
    assert counts(store) == [2, 1, 1, 20, entries], "and the newest event"
    age(store, tmp_path, contract, 35)
    assert counts(store) == [2, 1, 1, 0, entries], "messages of no known twin too"
    age(store, tmp_path, contract, 45)
    assert counts(store) == [2, 1, 1, 0, 0]
    with store.read() as connection:
        found = archives_of(connection, "pump")
    folder = tmp_path / "data" / "pump" / "archive"
    rows = {archive.kind: pq.read_table(folder / archive.file).num_rows for archive in found}
    assert rows == {"scores": 8, "events": 9, "quarantine": 20, "audit": entries}


def test_for_ever_is_for_ever(store, tmp_path, filled):
    names = ("readings", "events", "quarantine", "audit")
    contract = write_contract(tmp_path, dict.fromkeys(names, "forever") | {"scores": {"days": "forever"}})
    before = counts(store)
    assert age(store, tmp_path, contract, 30_000) == {}
    assert counts(store) == before


def test_an_event_waits_for_its_delivery(store, tmp_path, contract, filled):
    with store.write() as connection:
        waiting = connection.execute(select(events.c.id).order_by(events.c.id).limit(1)).scalar_one()
        connection.execute(update(deliveries).where(deliveries.c.event == waiting).values(state="waiting"))
    age(store, tmp_path, contract, 25)
    with store.read() as connection:
        left = connection.execute(select(events.c.id).order_by(events.c.id)).scalars().all()
    assert waiting in left
    assert len(left) == 2, "and the newest"


def test_what_is_held_is_not_dropped(store, tmp_path, contract, filled):
    with store.write() as connection:
        holds.place_hold(connection, filled["P-2"], "claim 4711", "ann", FIRST_DAY)
    age(store, tmp_path, contract, 45)
    assert counts(store)[:4] == [1 + 5, 5, 5, 5]
    with store.write() as connection:
        holds.release_hold(connection, filled["P-2"], None, "ann", FIRST_DAY + timedelta(days=45))
    age(store, tmp_path, contract, 45)
    assert counts(store)[:4] == [2, 1, 1, 0]


def test_a_copy_holds_them_and_an_erasure_reaches_them(store, tmp_path, contract, filled):
    kept = export_asset(store, tmp_path, {"pump": contract}, "P-1", tmp_path / "before.zip", FIRST_DAY)
    age(store, tmp_path, contract, 45)
    assert counts(store)[:4] == [2, 1, 1, 0]
    copy = export_asset(store, tmp_path, {"pump": contract}, "P-1", tmp_path / "after.zip", FIRST_DAY)
    assert lines(copy, tmp_path) == lines(kept, tmp_path)
    erase_asset(store, tmp_path, {"pump": contract}, "P-1", "ann", FIRST_DAY + timedelta(days=46))
    found = [pq.read_table(path).to_pylist() for path in (tmp_path / "data" / "pump" / "archive").glob("*.parquet")]
    assert sum(len(rows) for rows in found) > 10
    assert "P-1" not in str(found)
    assert not any(row["asset"] == filled["P-1"].id for rows in found for row in rows)


def lines(path, folder):
    with zipfile.ZipFile(path) as file:
        found = {name: len(json.loads(file.read(f"{name}.json"))) for name in ("events", "quarantine", "audit")}
        file.extract("scores.parquet", folder)
    table = pq.read_table(folder / "scores.parquet").to_pandas().sort_values("time", ignore_index=True)
    return found, table.to_dict("records")
