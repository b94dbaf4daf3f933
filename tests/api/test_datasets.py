"""Data sets as canonical rows, assets held out, and rows that are refused."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import foretwin
from foretwin.contract.holdout import Holdout
from foretwin.dataset.splits import cut_held_out
from foretwin.dataset.table import column_types
from foretwin.errors import BadInput, ContractError, RowsError, SourceError
from support.small_fleet import fleet_rows, fleet_twin
from support.tiny_bundle import REPOSITORY

TWIN = fleet_twin()
ROWS = fleet_rows(TWIN)


@pytest.mark.skipif(
    "FORETWIN_DATASETS" not in os.environ, reason="set FORETWIN_DATASETS to the folder of official archives"
)
def test_the_turbofans_come_as_canonical_rows_with_their_fixed_test_set():
    contract = foretwin.load_contract(f"{REPOSITORY}/data/cmapss-fd001/twin.yaml")
    rows = foretwin.load_dataset("cmapss-fd001", str(REPOSITORY))
    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == column_types(contract)
    development, held_out = foretwin.hold_out(rows, contract)
    assert (development["asset"].nunique(), held_out["asset"].nunique()) == (100, 100)
    assert set(held_out["fixed_split"]) == {"test"}
    with pytest.raises(RowsError, match="fixed test set"):
        foretwin.train(rows, contract)


def test_a_table_of_one_s_own_is_read_where_the_contract_says(tmp_path):
    contract = """
        {name: press, title: Press, source: {kind: table, path: press.csv, asset: machine, time: hour, failure: failed},
         clock: {unit: h, step: 1}, channels: {force: {unit: kN, role: sensor, min: 0, max: 9}}, window: {length: 4},
         rul: {cap: 9, remedy: {part: P, instruction: replace it, lead_time: 2}}}
    """
    (tmp_path / "data" / "press").mkdir(parents=True)
    (tmp_path / "data" / "press" / "twin.yaml").write_text(contract)
    (tmp_path / "data" / "press" / "press.csv").write_text("machine,hour,force,failed\na,1,2,0\na,2,3,1\n")
    rows = foretwin.load_dataset("press", str(tmp_path))
    assert rows["force"].tolist() == [2, 3]
    assert rows["rul"].tolist() == [1, 0]


def test_a_small_fleet_holds_the_first_pumps_of_the_shipped_one(bare_project):
    two, three = (foretwin.load_dataset("pump", assets=assets) for assets in (2, 3))
    pd.testing.assert_frame_equal(two, three[three["asset"] != "P-003"])


def test_nothing_is_left_where_a_data_set_was_loaded(bare_project):
    before = sorted(bare_project.rglob("*"))
    foretwin.load_dataset("pump", assets=1)
    assert sorted(bare_project.rglob("*")) == before


@pytest.mark.parametrize(("name", "assets"), [("cmapss-fd001", 5), ("pump", 0)])
def test_a_number_of_assets_is_for_simulated_fleets(name, assets):
    with pytest.raises(BadInput) as refused:
        foretwin.load_dataset(name, REPOSITORY, assets)
    assert refused.value.field == "assets"


def test_an_unknown_data_set_and_a_wrong_folder_of_archives_are_named(bare_project, monkeypatch):
    with pytest.raises(ContractError, match=r"data/planes/twin\.yaml"):
        foretwin.load_dataset("planes")
    monkeypatch.setenv("FORETWIN_DATASETS", str(bare_project / "none"))
    with pytest.raises(SourceError, match="FORETWIN_DATASETS"):
        foretwin.load_dataset("cmapss-fd001")


def test_the_held_out_assets_are_those_of_the_stage_prepare(tmp_path):
    from foretwin.dataset.splits import prepare
    from support.small_fleet import PREPARE

    prepare(ROWS, TWIN, PREPARE, tmp_path)
    _, held_out = foretwin.hold_out(ROWS, TWIN, PREPARE.test_share, PREPARE.seed)
    cut = pd.read_parquet(tmp_path / "test.parquet")["asset"].str.partition("@")[0]
    assert set(held_out["asset"]) == set(cut)


def test_holding_out_shares_no_asset_loses_no_row_and_depends_on_the_seed():
    development, held_out = foretwin.hold_out(ROWS, TWIN)
    assert set(development["asset"]).isdisjoint(held_out["asset"])
    assert len(development) + len(held_out) == len(ROWS)
    assert set(foretwin.hold_out(ROWS, TWIN, seed=2)[1]["asset"]) != set(held_out["asset"])
    with pytest.raises(BadInput):
        foretwin.hold_out(ROWS, TWIN, share=1)


def test_assets_that_the_contract_names_are_held_out_and_cut_in_mid_life():
    name = ROWS["asset"].iloc[-1]
    twin = TWIN.model_copy(update={"holdout": Holdout(assets=(name,))})
    _, held_out = foretwin.hold_out(ROWS, twin)
    assert set(held_out["asset"]) == {name}
    cuts = cut_held_out(held_out, twin, 5, 1)
    assert len(cuts["asset"].unique()) > 1, "a test set that a source fixed would be cut once, at its last row"


def changed(column: str, value: object) -> pd.DataFrame:
    rows = ROWS.copy()
    rows[column] = rows[column].where(rows.index != 7, value)
    return rows


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS.drop(columns="vibration"), ["vibration", "missing"]),
        (ROWS.iloc[:0], ["no rows"]),
        (changed("vibration", np.nan), ["vibration", "not finite", "f00", "time 8"]),
        (changed("fault_mode", 3), ["fault_mode", "0 to 2"]),
        (changed("time", 1.0), ["time", "does not increase"]),
        (pd.concat([ROWS.iloc[3:], ROWS.iloc[:3]]), ["not together", "f00"]),
    ],
    ids=["missing channel", "empty", "not finite", "unknown class", "out of order", "torn apart"],
)
def test_rows_that_break_the_rules_are_refused_with_their_place(rows, words):
    with pytest.raises(RowsError) as refused:
        foretwin.hold_out(rows, TWIN)
    assert [word for word in words if word not in str(refused.value)] == []


def test_rows_without_labels_are_taken_and_not_changed():
    bare = ROWS[["asset", "run", "time", *TWIN.channel_names]]
    before = bare.copy()
    development, _ = foretwin.hold_out(bare, TWIN)
    assert development["rul"].isna().all()
    pd.testing.assert_frame_equal(bare, before)


def test_paths_may_be_strings(tmp_path):
    contract = tmp_path / "twin.yaml"
    contract.write_text(Path(REPOSITORY, "data", "pump", "twin.yaml").read_text())
    assert foretwin.load_contract(str(contract)) == foretwin.load_contract(contract)
