"""Files of a machine that follow each other, or overlap, are stored as one file that holds them all."""

from datetime import UTC, datetime
from itertools import count

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from foretwin.contract.policy import CasePolicy
from foretwin.contract.twin import Twin
from foretwin.twin.cases.dating import taken_at
from foretwin.twin.connectors.files import ingest_file
from foretwin.twin.ingest import own_rows
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.scoring.staleness import is_stale
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.summaries import runs
from foretwin.twin.store.telemetry import history
from foretwin.twin.store.telemetry.run_clocks import began_at
from foretwin.twin.timeline import state
from support.tiny_bundle import tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SOURCE = {"kind": "table", "path": "x.csv", "asset": "machine", "time": "at"}
NUMBERS = count()


def twin(**source) -> Twin:
    return Twin.model_validate(tiny_twin().model_dump() | {"source": SOURCE | source})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('own')}/twins.db")
    yield opened
    opened.close()


def rows_of(machine: str, at, **columns) -> pd.DataFrame:
    values = np.random.default_rng(1).normal(size=(len(at), 3)).round(3)
    channels = dict(zip(tiny_twin().channel_names, values.T, strict=True))
    return pd.DataFrame({"machine": machine, "at": at} | channels | columns)


def ingested(store, contract: Twin, folder, *frames: pd.DataFrame) -> Receipt:
    total = Receipt()
    for frame in frames:
        path = folder / "rows.csv"
        frame.to_csv(path, index=False)
        total = sum(ingest_file(store, contract, path, NOON), total)
    return total


def kept(store, name: str) -> tuple[assets.Asset, pd.DataFrame]:
    with store.read() as connection:
        asset = assets.find_asset(connection, name)
        keys = [(asset.id, run) for run in range(1, 9)]
        parts = list(history.readings_of(connection, "pump", tiny_twin().channel_names, keys))
    rows = pd.concat(parts, ignore_index=True).sort_values(["run", "time"], ignore_index=True)
    return asset, rows[["run", "time", *tiny_twin().channel_names]]


def hours(*offsets, begin="2024-03-01T00:00") -> list[str]:
    return [str(pd.Timestamp(begin) + pd.Timedelta(hours=hour)) for hour in offsets]


def test_daily_files_are_one_line_of_time(store, tmp_path):
    days = [range(8), range(8, 16), range(16, 28)]
    whole = rows_of("daily", hours(*range(28)))
    receipt = ingested(store, twin(), tmp_path, *(whole.iloc[list(day)] for day in days))
    assert receipt == Receipt(stored=28)
    asset, rows = kept(store, "daily")
    assert rows["time"].tolist() == list(range(28))
    with store.read() as connection:
        assert began_at(connection, asset.id, 1) == pd.Timestamp("2024-03-01", tz="UTC").timestamp()
        assert taken_at(connection, twin(), asset.id, 1, 3.5) == datetime(2024, 3, 1, 3, 30, tzinfo=UTC)
        silent = twin().model_copy(update={"cases": CasePolicy(stale_after=24)})
        then = state(connection, silent, asset, NOON, NOON)
    assert asset.received_at == datetime(2024, 3, 2, 3, tzinfo=UTC), "backfilled readings are dated by their own time"
    with store.read() as connection:
        run = connection.execute(select(runs).where(runs.c.asset == asset.id)).one()
    assert (run.first_at, run.first_time) == (datetime(2024, 3, 1, tzinfo=UTC), 0)
    assert is_stale(silent, asset.received_at, NOON)
    assert then["stale"] is True
    assert then["age_seconds"] == (NOON - asset.received_at).total_seconds()


def test_a_machine_that_was_replaced_begins_at_0_in_its_next_file(store, tmp_path):
    whole = rows_of("replaced", hours(*range(6)), broken=[0, 0, 1, 0, 0, 0])
    ingested(store, twin(failure="broken"), tmp_path, whole[:3], whole[3:])
    assert kept(store, "replaced")[1][["run", "time"]].to_numpy().tolist() == [
        [1, 0],
        [1, 1],
        [1, 2],
        [2, 0],
        [2, 1],
        [2, 2],
    ]


@st.composite
def tables(draw):
    """The clock of a table, its lives' lengths, and from which to which row each of its files goes."""
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    total = sum(lengths)
    cuts = sorted(draw(st.lists(st.integers(1, total), max_size=4)))
    overlap = draw(st.integers(0, 3))
    begins = [0, *cuts]
    files = [(max(0, begin - overlap), end) for begin, end in zip(begins, [*cuts, total], strict=True) if end > begin]
    kind = draw(st.sampled_from(["stamps", "epoch_ms", "numbers", "labels", "names"]))
    gaps = draw(st.lists(st.sampled_from([1.0, 1.0, 1.25, 3.0]), min_size=total, max_size=total))
    return kind, lengths, files, gaps


def written(name: str, kind: str, lengths: list[int], gaps: list[float]) -> tuple[Twin, pd.DataFrame]:
    at = np.cumsum(gaps)
    life = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.append(np.diff(life) > 0, False)
    moments = pd.Timestamp("2024-10-27T00:00Z") + pd.to_timedelta(at, unit="h")
    match kind:
        case "stamps":
            return twin(failure="end"), rows_of(name, moments, end=ends.astype(int))
        case "epoch_ms":
            epoch = (moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(milliseconds=1)
            return twin(failure="end", time_format="epoch_ms"), rows_of(name, epoch, end=ends.astype(int))
        case "numbers":
            return twin(failure="end"), rows_of(name, at, end=ends.astype(int))
        case "labels":
            return twin(run="life"), rows_of(name, moments, life=life + 1)
    return twin(run="life"), rows_of(name, moments, life=[f"life {number}" for number in life])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_any_cut_of_a_table_leaves_the_same_store(store, tmp_path, table):
    kind, lengths, files, gaps = table
    number = next(NUMBERS)
    contract, whole = written(f"whole {number}", kind, lengths, gaps)
    receipt = ingested(store, contract, tmp_path, whole)
    assert receipt.stored == len(whole)
    contract, cut = written(f"cut {number}", kind, lengths, gaps)
    receipt = ingested(store, contract, tmp_path, *(cut[begin:end] for begin, end in files))
    assert (receipt.stored, receipt.rejected) == (len(cut), ())
    asset, rows = kept(store, f"whole {number}")
    other, others = kept(store, f"cut {number}")
    pd.testing.assert_frame_equal(rows, others)
    assert (asset.run, asset.time, asset.gaps) == (other.run, other.time, other.gaps)
    assert rows.groupby("run").size().tolist() == lengths
    again = ingested(store, contract, tmp_path, cut)
    assert again == Receipt(duplicates=len(cut)), "the whole of it again changes nothing"


@pytest.mark.parametrize("overlap", [0, 2])
def test_counters_and_values_that_hold_go_on_from_the_file_before(store, tmp_path, overlap):
    contract = twin(rates=["c1"], missing="carry_forward")
    made = {}
    files = {f"held whole {overlap}": [(0, 12)], f"held cut {overlap}": [(0, 5), (5 - overlap, 9), (9, 12)]}
    for name, cuts in files.items():
        whole = rows_of(name, hours(*range(12)), c1=np.cumsum(np.arange(12.0)) + 1e6)
        whole.loc[[3, 5, 6, 9], "c2"] = np.nan
        assert ingested(store, contract, tmp_path, *(whole[begin:end] for begin, end in cuts)).rejected == ()
        made[name] = kept(store, name)[1]
        again = ingested(store, contract, tmp_path, whole[4:5])
        assert (again.stored, again.rejected) == (0, ())
    whole, cut = made.values()
    pd.testing.assert_frame_equal(whole, cut)
    assert whole["c1"].tolist() == [1, *range(1, 12)], "the rise of an hour"
    assert whole["c2"].notna().all()


def test_a_file_is_stored_piece_by_piece(store, tmp_path, monkeypatch):
    monkeypatch.setattr(own_rows, "ROWS", 3)
    whole = pd.concat([rows_of("piece a", hours(*range(7))), rows_of("piece b", hours(*range(4)))])
    (tmp_path / "rows.csv").write_text(whole.to_csv(index=False))
    receipts = list(ingest_file(store, twin(), tmp_path / "rows.csv", NOON))
    assert [receipt.stored for receipt in receipts] == [3, 3, 3, 2]
    assert kept(store, "piece a")[1]["time"].tolist() == list(range(7))
    assert kept(store, "piece b")[1]["time"].tolist() == list(range(4))
