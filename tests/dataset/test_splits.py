"""What prepare leaves for training and evaluation, and that nothing of the held-out assets gets into the former."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.dataset import mapped
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import canonical, read_rows, time_to_end
from foretwin.dataset.windows import TEST
from foretwin.errors import RowsError
from foretwin.project.params import PrepareParams
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
PARAMS = PrepareParams(test_share=0.25, folds=3, cuts=5, seed=1)
ASSETS = 16


def fleet(fixed: int = 0) -> pd.DataFrame:
    """Sixteen assets with two lives of 6 to 21 rows each, all labelled; the last `fixed` are the source's test set."""
    lives = [random_rows(TWIN, {f"m{i:02}": 6 + i for i in range(ASSETS)}, seed=run).assign(run=run) for run in (1, 2)]
    rows = pd.concat(lives).sort_values(["asset", "run", "time"], kind="stable").reset_index(drop=True)
    rows["rul"] = time_to_end(rows)
    rows["fault_mode"] = np.where(rows["rul"] < 4, 1, 0)
    rows["fixed_split"] = np.where(rows["asset"] >= f"m{ASSETS - fixed:02}", "test", "")
    return canonical(rows, TWIN)


@pytest.fixture
def prepared(tmp_path):
    """Run prepare in a folder of its own, by name."""

    def run(rows: pd.DataFrame, name: str = "windows", params: PrepareParams = PARAMS) -> Path:
        out = tmp_path / name
        out.mkdir()
        prepare(rows, TWIN, params, out)
        return out

    return run


def held_out(folder: Path) -> list[str]:
    folds = json.loads((folder / "splits.json").read_text())
    return sorted(asset for asset, fold in folds.items() if fold == TEST)


def test_held_out_assets_are_in_the_test_rows_and_nowhere_in_development(prepared):
    folder = prepared(fleet())
    development = read_rows(folder / "development.parquet", TWIN)
    tested = read_rows(folder / "test.parquet", TWIN)["asset"].str.rsplit("@", n=1).str[0]
    assert len(held_out(folder)) == 4
    assert set(tested) == set(held_out(folder))
    assert set(development["asset"]).isdisjoint(tested)
    assert set(development["asset"]) | set(tested) == set(fleet()["asset"])
    assert len(development) == fleet()["asset"].isin(development["asset"].unique()).sum(), "with every row"
    assert set(read_rows(folder / "example.parquet", TWIN)["asset"]) <= set(tested)


@pytest.mark.parametrize("fixed", [0, 5])
def test_nothing_that_held_out_rows_say_changes_what_is_trained_on(prepared, fixed):
    before = prepared(fleet(fixed), "before")
    rows = fleet(fixed)
    test = rows["asset"].isin(held_out(before)).to_numpy()
    generator = np.random.default_rng(1)
    for column in ("rul", "fault_mode", "speed", "c1", "c2"):
        rows.loc[test, column] = generator.permutation(rows.loc[test, column].to_numpy())
    rows.loc[test, "fault_bearing"] = 1
    after = prepared(canonical(rows, TWIN), "after")
    for name in ("development.parquet", "splits.json"):
        assert (after / name).read_bytes() == (before / name).read_bytes()
    assert (after / "test.parquet").read_bytes() != (before / "test.parquet").read_bytes()


def test_a_fixed_test_set_is_predicted_once_per_run_at_its_last_row(prepared):
    folder = prepared(fleet(fixed=5))
    assert held_out(folder) == ["m11", "m12", "m13", "m14", "m15"]
    test = read_rows(folder / "test.parquet", TWIN)
    last = test.groupby("asset", sort=False).tail(1)
    assert len(last) == 10, "two lives each"
    assert (last["rul"] == 0).all()


def test_other_held_out_runs_are_predicted_at_random_cuts(prepared):
    folder = prepared(fleet())
    test = read_rows(folder / "test.parquet", TWIN)
    last = test.groupby("asset", sort=False).tail(1)
    assert (last["rul"] > 0).sum() > len(last) / 2
    cuts = last.groupby([last["asset"].str.rsplit("@", n=1).str[0], "run"]).size()
    assert len(cuts) == 8, "every life of every held-out asset"
    assert cuts.max() <= PARAMS.cuts
    assert test.groupby("asset").size().max() <= TWIN.window.length


def test_cuts_without_any_label_are_not_evaluated(prepared):
    rows = fleet(fixed=5)
    unknown = (rows["asset"] == "m12") & (rows["run"] == 1)
    rows.loc[unknown, "rul"] = np.nan
    rows.loc[unknown, "fault_mode"] = -1
    test = read_rows(prepared(rows) / "test.parquet", TWIN)
    assert test["asset"].nunique() == 9


def test_a_cut_that_knows_one_of_its_labels_is_evaluated(prepared):
    for name, rows in {
        "rul": fleet().assign(fault_mode=np.int8(-1)),
        "fault": fleet().assign(rul=np.float32(np.nan)),
    }.items():
        assert len(read_rows(prepared(rows, name) / "test.parquet", TWIN)) > 0


def test_held_out_runs_without_any_label_are_an_error(prepared):
    rows = fleet()
    splits = json.loads((prepared(rows, "labelled") / "splits.json").read_text())
    held_out = rows["asset"].map(splits) < 0
    rows = rows.assign(rul=rows["rul"].mask(held_out), fault_mode=rows["fault_mode"].mask(held_out, -1).astype("int8"))
    with pytest.raises(RowsError, match="no held-out run has a labelled row"):
        prepared(rows)


def test_data_without_any_label_are_split_and_cut(prepared):
    rows = fleet()
    folder = prepared(rows.assign(rul=np.float32(np.nan), fault_mode=np.int8(-1)), "bare")
    assert (folder / "splits.json").read_text() == (prepared(rows, "labelled") / "splits.json").read_text()
    assert len(read_rows(folder / "test.parquet", TWIN)) > 0


def test_one_asset_is_an_error(prepared):
    rows = fleet()
    with pytest.raises(RowsError, match="1 assets are too few"):
        prepared(rows[rows["asset"] == "m03"].reset_index(drop=True))


def test_prepare_twice_gives_the_same_bytes(prepared):
    one, two = prepared(fleet(), "one"), prepared(fleet(), "two")
    names = sorted(path.name for path in one.iterdir())
    assert names == ["development.parquet", "example.parquet", "splits.json", "test.parquet"]
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_the_subset_of_a_row_is_kept_on_both_sides(prepared):
    rows = fleet(fixed=5)
    rows["subset"] = np.where(rows["run"] == 1, "first", "later")
    folder = prepared(rows)
    for name in ("development.parquet", "test.parquet", "example.parquet"):
        table = read_rows(folder / name, TWIN)
        assert (table["subset"] == np.where(table["run"] == 1, "first", "later")).all(), name


def test_prepare_counts_what_it_wrote(tmp_path):
    counts = prepare(fleet(fixed=5), TWIN, PARAMS, tmp_path)
    assert counts == {"development": 11, "held out": 5, "cuts": 10}


def test_the_example_is_a_median_held_out_run_whose_rul_is_known(prepared):
    rows = fleet(fixed=5)
    rows.loc[rows["asset"] == "m15", "rul"] = np.nan
    folder = prepared(rows)
    example = read_rows(folder / "example.parquet", TWIN)
    tested = rows[(rows["fixed_split"] == "test") & (rows["asset"] != "m15")]
    lengths = tested.groupby(["asset", "run"]).size().sort_values()
    assert len(set(zip(example["asset"], example["run"], strict=True))) == 1
    assert len(example) == lengths.iloc[(len(lengths) - 1) // 2]
    assert lengths.iloc[0] < len(example) < lengths.iloc[-1], "the lives must differ, or a median proves nothing"
    assert example["rul"].notna().all()


def test_a_fold_is_held_out_whole(prepared):
    development = Development.load(prepared(fleet()), TWIN, PARAMS)
    assets = read_rows(prepared(fleet(), "again") / "development.parquet", TWIN)["asset"].to_numpy()
    assert list(development.folds) == [0, 1, 2]
    seen = []
    for fold in development.folds:
        split = development.hold_out(fold)
        trained, tested = set(assets[split.train]), set(assets[split.held_out])
        assert trained.isdisjoint(tested)
        assert set(assets[split.rows]) == trained, "scaling is fitted on training assets only"
        assert trained | tested == set(assets)
        seen += list(tested)
    assert sorted(seen) == sorted(set(assets)), "each asset is held out once"


def test_training_ends_at_labelled_rows_with_enough_history(prepared):
    rows = fleet()
    rows.loc[rows["run"] == 1, "rul"] = np.nan
    rows.loc[rows["run"] == 1, "fault_mode"] = -1
    folder = prepared(rows)
    development = Development.load(folder, TWIN, PARAMS)
    table = read_rows(folder / "development.parquet", TWIN)
    position = table.groupby(["asset", "run"], sort=False).cumcount() + 1
    assert (table["run"][development.ends] == 2).all()
    assert (table["run"][development.cuts] == 2).all()
    assert position[development.ends].min() == TWIN.window.shortest
    assert len(development.ends) == ((table["run"] == 2) & (position >= 2)).sum()


def test_a_row_that_knows_one_of_its_labels_is_learnt_from(prepared):
    rows = fleet().assign(rul=np.float32(np.nan), fault_bearing=np.int8(-1))
    development = Development.load(prepared(rows), TWIN, PARAMS)
    assert len(development.ends) > 0
    assert np.isnan(development.histories.rul).all()


def test_a_fold_without_a_label_is_told_before_anything_is_trained(prepared):
    rows = fleet()
    folds = json.loads((prepared(rows, "whole") / "splits.json").read_text())
    unlabelled = rows["asset"].map(folds) == 1
    rows.loc[unlabelled, "rul"] = np.nan
    rows.loc[unlabelled, ["fault_mode", "fault_bearing"]] = -1
    with pytest.raises(RowsError, match=r"pump: fold 2 of 3 has no labelled row .* pump: \{prepare: \{folds: 2\}\}"):
        prepared(rows, "lacking")


def test_what_is_loaded_run_by_run_is_what_one_table_gives(prepared, monkeypatch):
    folder = prepared(fleet())
    folds = json.loads((folder / "splits.json").read_text())
    whole = Development.of(read_rows(folder / "development.parquet", TWIN), folds, TWIN, PARAMS.cuts, PARAMS.seed)
    split = whole.hold_out(0)
    monkeypatch.setattr(RowPieces, "open", classmethod(lambda *_: small_pieces(folder / "development.parquet")))
    monkeypatch.setattr(mapped, "SMALL", 0)

    loaded = Development.load(folder, TWIN, PARAMS)

    assert isinstance(loaded.histories.values, np.memmap)
    for name in ("values", "time", "rul", "faults", "first"):
        np.testing.assert_array_equal(getattr(loaded.histories, name), getattr(whole.histories, name))
    for name in ("fold", "asset", "made", "ends", "cuts"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(whole, name))
        assert getattr(loaded, name).dtype == getattr(whole, name).dtype
    assert loaded.histories.slot == whole.histories.slot
    mapped_split = loaded.hold_out(0)
    for name in ("rows", "train", "weights"):
        np.testing.assert_array_equal(getattr(mapped_split, name), getattr(split, name))
        assert (type(getattr(split, name)), type(getattr(mapped_split, name))) == (np.ndarray, np.memmap)


def small_pieces(path: Path) -> RowPieces:
    """A table in pieces of few runs, which begin and end within assets."""
    rows = read_rows(path, TWIN)
    return RowPieces(len(rows), lambda: in_parts(rows, 7), least=10)


def in_parts(rows: pd.DataFrame, size: int):
    return (rows.iloc[begin : begin + size].reset_index(drop=True) for begin in range(0, len(rows), size))
