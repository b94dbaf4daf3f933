"""Files of readings into the store."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, SourceError
from foretwin.twin.connectors import files
from foretwin.twin.connectors.files import ingest_file
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.store import assets, listing, open_store
from support.tiny_bundle import tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TWIN = tiny_twin()
PAGE = listing.Page(10, 0, "id", descending=True)


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path}/twins.db")
    yield opened
    opened.close()


def frame(lengths: dict[str, int], **more) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    parts = [pd.DataFrame({"asset": name, "time": np.arange(1.0, n + 1)}) for name, n in lengths.items()]
    rows = pd.concat(parts, ignore_index=True)
    values = generator.normal(size=(len(rows), 3)).astype(np.float32)
    return rows.assign(**dict(zip(TWIN.channel_names, values.T, strict=True)), **more)


def write(rows: pd.DataFrame, path):
    if path.suffix == ".csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path, index=False)
    return path


def total(store, path, contract: Twin = TWIN) -> Receipt:
    return sum(ingest_file(store, contract, path, NOON), Receipt())


def readings_of(store, *names: str) -> list[int]:
    with store.read() as connection:
        return [assets.find_asset(connection, name).readings for name in names]


@pytest.mark.parametrize("name", ["readings.csv", "readings.parquet"])
def test_a_file_is_stored_piece_by_piece_and_once(store, tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "BLOCK", 2000)
    monkeypatch.setattr(files, "ROWS", 20)
    path = write(frame({"a": 60, "b": 60}, comment="x", run=2), tmp_path / name)
    receipts = list(ingest_file(store, TWIN, path, NOON))
    assert len(receipts) > 3
    assert sum(receipts, Receipt()) == Receipt(stored=120)
    assert readings_of(store, "a", "b") == [60, 60]
    assert total(store, path) == Receipt(duplicates=120)
    with store.read() as connection:
        assert assets.find_asset(connection, "a").run == 2


def test_a_history_goes_in_with_all_its_lives(store, tmp_path):
    lives = pd.concat([frame({"a": 5}, run=run) for run in (1, 2, 40, 12_000)])
    assert total(store, write(lives, tmp_path / "readings.parquet")) == Receipt(stored=20)
    with store.read() as connection:
        assert assets.find_asset(connection, "a").run == 12_000


def test_an_interrupted_file_goes_on_where_it_was(store, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROWS", 20)
    path = write(frame({"a": 50}), tmp_path / "readings.parquet")
    first = next(ingest_file(store, TWIN, path, NOON))
    assert first == Receipt(stored=20)
    assert total(store, path) == Receipt(stored=30, duplicates=20)


def test_both_kinds_of_file_hold_the_same_readings(store, tmp_path):
    rows = frame({"7": 20})
    total(store, write(rows, tmp_path / "readings.csv"))
    numbered = rows.assign(asset=7)
    assert total(store, write(numbered, tmp_path / "readings.parquet")) == Receipt(duplicates=20)


def test_bad_cells_and_ragged_lines_are_set_aside(store, tmp_path):
    lines = ["asset;time;speed;c1;c2", "a;1;1;1;1", "a;2; 1.5 ;1;1", "a;3;fast;1;1", "a;4;;1;1", "a;5;1;1", "a;6;1;1;1"]
    path = tmp_path / "readings.csv"
    path.write_text("\n".join(lines))
    receipt = total(store, path)
    assert (receipt.stored, receipt.gaps) == (3, 3)
    assert sorted((one.field, one.reason) for one in receipt.rejected) == [
        ("channels.speed", "type"),
        ("channels.speed", "type"),
        ("row", "undecodable"),
    ]
    with store.read() as connection:
        kept = {row["detail"]: row["content"] for row in listing.list_quarantine(connection, PAGE, {}, None)}
    assert kept["has 4 fields, the header has 5"] == "a;5;1;1"
    assert '"speed":"fast"' in kept['is "fast", a number is needed']


def test_the_names_of_the_twins_own_table_are_read_as_for_training(store, tmp_path):
    content = TWIN.model_dump()
    source = {"kind": "table", "path": "x.csv", "asset": "pump", "time": "stamp", "columns": {"c1": "flow"}}
    own = Twin.model_validate(content | {"source": source | {"failure": "broken"}})
    rows = frame({"a": 3}).rename(columns={"asset": "pump", "c1": "flow"}).drop(columns="time")
    rows = rows.assign(stamp=["2026-01-01T00:00", "2026-01-01T01:00", "2026-01-01T05:00"], broken=[0, 1, 0])
    path = write(rows, tmp_path / "own.csv")
    assert total(store, path, own) == Receipt(stored=3)
    with store.read() as connection:
        asset = assets.find_asset(connection, "a")
    assert (asset.run, asset.time) == (2, 0)
    assert total(store, path, own) == Receipt(duplicates=3)
    assert total(store, write(frame({"b": 4}), tmp_path / "canonical.csv"), own) == Receipt(stored=4)


def test_a_file_without_a_column_is_refused_by_its_name(store, tmp_path):
    for name in ("asset", "time", "c2"):
        path = write(frame({"a": 3}).drop(columns=name), tmp_path / "readings.csv")
        with pytest.raises(SourceError, match=f"column '{name}' is missing"):
            total(store, path)
    path.write_text("asset,time,time,speed,c1,c2\na,1,1,1,1,1\n")
    with pytest.raises(SourceError, match="more than once"):
        total(store, path)


def test_timestamps_are_refused_before_anything_is_stored(store, tmp_path):
    rows = frame({"a": 3}).assign(time=["2026-01-01", "2026-01-02", "2026-01-03"])
    with pytest.raises(SourceError, match="counted in h since its run began"):
        total(store, write(rows, tmp_path / "readings.csv"))
    with store.read() as connection:
        assert listing.list_quarantine(connection, PAGE, {}, None) == []


def test_a_file_that_cannot_be_read_on_keeps_what_came_before(store, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 100_000)
    path = write(frame({"a": 30_000}), tmp_path / "readings.csv")
    path.write_bytes(path.read_bytes() + b"a,30001,\xff\xfe,1,1\n")
    with pytest.raises(SourceError, match="what came before is stored"):
        total(store, path)
    assert 20_000 < readings_of(store, "a")[0] <= 30_000
    monkeypatch.setattr(files, "ROWS", 1000)
    damaged = tmp_path / "readings.parquet"
    frame({"b": 4000}).to_parquet(damaged, index=False, row_group_size=1000, compression="gzip")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    damaged.write_bytes(content)
    with pytest.raises(SourceError, match="what came before is stored"):
        total(store, damaged)
    assert readings_of(store, "b")[0] in (1000, 2000)


def test_numbers_that_are_no_names_are_refused(store, tmp_path):
    with pytest.raises(BadInput, match="text is needed"):
        total(store, write(frame({"a": 3}).assign(asset=1.5), tmp_path / "readings.parquet"))
