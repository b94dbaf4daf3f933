"""A canonical table in pieces: the same rows, the same bytes and the same splits however it is cut."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from foretwin.dataset import pieces
from foretwin.dataset.pieces import RowPieces, RowsWriter, whole_runs
from foretwin.dataset.splits import prepare
from foretwin.dataset.table import canonical, run_starts, time_to_end, write_rows
from foretwin.errors import RowsError
from foretwin.project.params import PrepareParams
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()


@pytest.fixture(scope="module")
def fleet() -> pd.DataFrame:
    lives = [random_rows(TWIN, {f"m{i:02}": 6 + i for i in range(16)}, seed=run).assign(run=run) for run in (1, 2)]
    rows = pd.concat(lives).sort_values(["asset", "run", "time"], kind="stable").reset_index(drop=True)
    return canonical(rows.assign(rul=time_to_end(rows), fault_mode=0), TWIN)


def cut(rows: pd.DataFrame, size: int, least: int) -> RowPieces:
    def read() -> Iterator[pd.DataFrame]:
        return (rows.iloc[begin : begin + size] for begin in range(0, len(rows), size))

    return RowPieces(len(rows), read, least)


@pytest.mark.parametrize(("size", "least"), [(1, 20), (13, 20), (13, 1), (1000, 20), (50, 400)])
def test_pieces_hold_whole_runs_and_all_rows_in_order(fleet, size, least):
    found = list(cut(fleet, size, least))
    pd.testing.assert_frame_equal(pd.concat(found, ignore_index=True), fleet)
    assert all(piece.index[0] == 0 and len(piece) >= least for piece in found[:-1])
    assert sum(run_starts(piece).sum() for piece in found) == run_starts(fleet).sum()


def test_a_run_that_is_longer_than_a_piece_is_held_together():
    rows = random_rows(TWIN, {"long": 300, "next": 400}, seed=1)
    found = list(whole_runs((rows.iloc[at : at + 7] for at in range(0, len(rows), 7)), 20))
    assert [len(piece) for piece in found] == [300, 400]


@pytest.mark.parametrize("size", [1, 13, 64, 1000])
def test_the_bytes_do_not_depend_on_how_rows_are_cut(fleet, tmp_path, monkeypatch, size):
    monkeypatch.setattr("foretwin.dataset.table.ROW_GROUP", 64)
    monkeypatch.setattr(pieces, "PIECE", 64)
    write_rows(fleet, TWIN, tmp_path / "whole.parquet")
    with RowsWriter(tmp_path / "pieces.parquet", TWIN) as out:
        for piece in cut(fleet, size, 1).read():
            out.write(piece)
    assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    opened = RowPieces.open(tmp_path / "pieces.parquet", TWIN)
    assert [len(piece) for piece in opened.read()][:-1] == [64] * (len(fleet) // 64)
    assert opened.count == len(fleet)
    pd.testing.assert_frame_equal(opened.at([130, 3]), fleet.iloc[[3, 130]].reset_index(drop=True))


def test_a_table_without_rows_has_the_columns_of_one(tmp_path, fleet):
    with RowsWriter(tmp_path / "none.parquet", TWIN):
        pass
    (only,) = RowPieces.open(tmp_path / "none.parquet", TWIN)
    pd.testing.assert_frame_equal(only, fleet.iloc[:0])


@pytest.mark.parametrize("content", [None, b"no Parquet"])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "rows.parquet"
    if content:
        path.write_bytes(content)
    with pytest.raises(RowsError, match="no such table; run" if content is None else "not a Parquet table"):
        RowPieces.open(path, TWIN)


@pytest.mark.parametrize("fixed", [0, 4])
def test_the_splits_do_not_depend_on_how_rows_are_cut(fleet, tmp_path, fixed):
    rows = fleet.assign(fixed_split=np.where(fleet["asset"] >= f"m{16 - fixed:02}", "test", ""))
    counts = []
    for name, table in (("whole", rows), ("pieces", cut(rows, 13, 20))):
        (tmp_path / name).mkdir()
        counts.append(prepare(table, TWIN, PrepareParams(test_share=0.25, folds=3, cuts=5, seed=1), tmp_path / name))
    assert counts[0] == counts[1]
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert files == ["development.parquet", "example.parquet", "splits.json", "test.parquet"]
    for name in files:
        assert (tmp_path / "pieces" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
