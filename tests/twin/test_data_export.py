"""Everything about one asset in one archive."""

import io
import json
import zipfile
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from foretwin.errors import NotFound
from foretwin.twin import data_export
from foretwin.twin.data_export import export_asset, export_pieces
from foretwin.twin.store import assets
from foretwin.twin.store.telemetry import history as stored
from foretwin.twin.store.telemetry import quarantine
from foretwin.wire.readings import Rejected
from support.small_history import NOON, find_out, open_case, readings_of, remember
from support.stored_readings import store_rows
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
LATER = NOON + timedelta(days=1)
CONTRACTS = {"pump": TWIN}


@pytest.fixture
def lived(store):
    """Two assets with readings, parts, a case, a verdict and something in quarantine each."""
    frame = readings_of(TWIN, ["P-1", "P-2"])
    remember(store, TWIN, frame)
    remember(store, TWIN, readings_of(TWIN, ["P-1", "P-2"], run=2, rows=3, seed=2), NOON + timedelta(hours=3))
    with store.write() as connection:
        for name in ("P-1", "P-2"):
            asset = assets.find_asset(connection, name)
            assets.describe_asset(connection, asset, {"serial_number": f"SN {name}", "tags": {"hall": "7"}})
            assets.fit_part(connection, asset, "P-1", "B-9", "supplier A", NOON)
            refused = Rejected("pump", name, "channels.c1", "range", "is 5e3", json.dumps({"asset": name}))
            quarantine.add_quarantined(connection, "http", [refused], NOON)
    for name in ("P-1", "P-2"):
        find_out(store, TWIN, open_case(store, TWIN, name, "mode.wear", 30), "confirmed")
    return frame


def opened(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_archive_holds_every_reading_and_every_row_about_the_asset_and_none_of_another(store, lived, tmp_path):
    files = opened(export_asset(store, tmp_path, CONTRACTS, "P-1", tmp_path / "out" / "p1.zip", LATER))

    readings = pd.read_parquet(io.BytesIO(files["readings.parquet"]))
    mine = lived[lived["asset"] == "P-1"].reset_index(drop=True)
    assert len(readings) == 43
    channels = list(TWIN.channel_names)
    pd.testing.assert_frame_equal(readings.loc[readings["run"] == 1, channels], mine[channels])
    assert readings["received_at"].drop_duplicates().tolist() == [NOON, NOON + timedelta(hours=3)]
    scores = pd.read_parquet(io.BytesIO(files["scores.parquet"]))
    assert scores[["time", "rul_low", "model_version"]].to_numpy().tolist() == [[30, 30, "3"]]
    assert json.loads(scores["faults"].iloc[0])["mode"]["wear"] == 0.5
    rows = {name: json.loads(content) for name, content in files.items() if name.endswith(".json")}
    assert rows["asset.json"]["serial_number"] == "SN P-1"
    counts = {name: len(content) for name, content in rows.items() if name != "asset.json"}
    assert counts == {
        "parts.json": 1,
        "cases.json": 1,
        "case_comments.json": 0,
        "verdicts.json": 1,
        "maintenance.json": 0,
        "quarantine.json": 1,
        "audit.json": 3,
        "events.json": 3,
        "machine_events.json": 0,
    }
    assert rows["verdicts.json"][0]["fault"] == "mode.wear"
    assert all(b"P-2" not in content for content in files.values())


def test_the_readme_explains_every_file_and_the_unit_of_every_channel(store, lived, tmp_path):
    files = opened(export_asset(store, tmp_path, CONTRACTS, "P-1", tmp_path / "p1.zip", LATER))
    text = files["README.txt"].decode()
    for name in files.keys() - {"README.txt"}:
        assert f"\n{name}" in text
    for name in TWIN.channel_names:
        assert f"  {name}: bar\n" in text
    assert "as of 2026-11-22T12:00:00+00:00" in text
    assert max(map(len, text.splitlines())) < 120


def test_channels_that_the_contract_no_longer_has_are_in_it_too(store, lived, tmp_path):
    files = opened(export_asset(store, tmp_path, {"pump": tiny_twin(channels=2)}, "P-1", tmp_path / "p1.zip", LATER))
    readings = pd.read_parquet(io.BytesIO(files["readings.parquet"]))
    assert list(readings) == ["run", "time", "received_at", "speed", "c1", "c2"]
    assert readings.notna().all(axis=None)


def test_an_asset_of_a_twin_whose_contract_is_gone_can_still_be_exported(store, lived, tmp_path):
    files = opened(export_asset(store, tmp_path, {}, "P-1", tmp_path / "p1.zip", LATER))
    assert len(pd.read_parquet(io.BytesIO(files["readings.parquet"]))) == 43


def test_an_asset_without_a_past_gives_empty_tables(store, tmp_path):
    with store.write() as connection:
        assets.register_assets(connection, "pump", ["P-1"], NOON)
    files = opened(export_asset(store, tmp_path, CONTRACTS, "P-1", tmp_path / "p1.zip", LATER))
    assert json.loads(files["cases.json"]) == []
    assert list(pd.read_parquet(io.BytesIO(files["readings.parquet"]))) == [
        "run",
        "time",
        "received_at",
        *TWIN.channels,
    ]
    assert len(pd.read_parquet(io.BytesIO(files["scores.parquet"]))) == 0


def test_readings_are_written_part_by_part(store, lived, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "AT_ONCE", 10)
    files = opened(export_asset(store, tmp_path, CONTRACTS, "P-1", tmp_path / "p1.zip", LATER))
    readings = pd.read_parquet(io.BytesIO(files["readings.parquet"]))
    assert readings["time"].tolist() == [*range(40), *range(3)]


def test_an_unknown_asset_leaves_no_file(store, tmp_path):
    (tmp_path / "p1.zip").write_text("before")
    with pytest.raises(NotFound, match="'P-1' is not known"):
        export_asset(store, tmp_path, CONTRACTS, "P-1", tmp_path / "p1.zip", LATER)
    assert (tmp_path / "p1.zip").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} <= {"p1.zip", "twins.db", "twins.db-wal", "twins.db-shm"}


def test_a_long_life_is_given_in_pieces_of_one_state_of_the_store(store, tmp_path, monkeypatch):
    monkeypatch.setattr(data_export, "PIECE", 20_000)
    monkeypatch.setattr(stored, "AT_ONCE", 2_000)
    rows = pd.DataFrame({"asset": "P-9", "run": 1, "time": np.arange(20_000.0)})
    chance = np.random.default_rng(1)
    rows = rows.assign(**{name: chance.random(len(rows), np.float32) for name in TWIN.channel_names})
    store_rows(store, TWIN, rows, NOON)
    pieces = export_pieces(store, tmp_path, CONTRACTS, "P-9", LATER)
    found = [next(pieces)]
    if not store.is_sqlite:  # which would wait for the reader's end only when it empties its log
        store_rows(store, TWIN, rows.head(1).assign(time=1e6), LATER)
    found += pieces
    assert len(found) >= 5
    assert max(len(piece) for piece in found) < 100_000
    (tmp_path / "p9.zip").write_bytes(b"".join(found))
    readings = pd.read_parquet(io.BytesIO(opened(tmp_path / "p9.zip")["readings.parquet"]))
    assert readings["time"].tolist() == rows["time"].tolist()
