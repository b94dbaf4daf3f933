"""What every source must give, whatever it reads."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import load_twin
from foretwin.dataset.table import column_types, out_of_order, run_starts
from foretwin.dataset.windows import TEST, deal_folds
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch
from support.archives import archives

ROOT = Path(__file__).parents[2]
TABLE = """
name: press
title: Press
source: {kind: table, path: press.csv, asset: machine, time: hour, failure: failed}
clock: {unit: h, step: 1}
channels:
  force: {unit: kN, role: sensor, min: 0, max: 100}
rul: {cap: 10, remedy: {part: ram, instruction: replace it, lead_time: 1}}
window: {length: 10}
"""


def write_press(root: Path) -> None:
    (root / "data" / "press").mkdir(parents=True)
    (root / "data" / "press" / "twin.yaml").write_text(TABLE)
    lines = [f"m{m},{t},{50 + t},{int(t in (11, 23))}" for t in range(30) for m in range(8)]
    (root / "data" / "press" / "press.csv").write_text("\n".join(["machine,hour,force,failed", *lines]))


@pytest.fixture(scope="module", params=["press", "cmapss-fd001", "cmapss-fd004", "hydraulic"])
def source(request, tmp_path_factory):
    """(contract, rows) of one twin, through the same two calls as the stages."""
    root = tmp_path_factory.mktemp("project")
    if request.param == "press":
        write_press(root)
        contract = load_twin(root / "data" / "press" / "twin.yaml")
    else:
        contract = load_twin(ROOT / "data" / request.param / "twin.yaml")
    raw = root / "raw"
    raw.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "press":
            patch.setenv("FORETWIN_DATASETS", str(archives("cmapss", "hydraulic")))
        fetch(contract, Paths(root, request.param), raw)
    return contract, adapt(contract, raw)


def test_rows_have_the_canonical_columns_and_types(source):
    contract, rows = source

    assert {name: str(dtype) for name, dtype in rows.dtypes.items()} == column_types(contract)
    assert rows.index.equals(pd.RangeIndex(len(rows)))


def test_the_rows_of_a_run_stand_together_in_order_of_time(source):
    _, rows = source

    assert run_starts(rows).sum() == len(rows[["asset", "run"]].drop_duplicates())
    assert not out_of_order(rows).any()


def test_rul_counts_down_by_the_clock_and_is_never_negative(source):
    _, rows = source
    inside = ~run_starts(rows)[1:]
    falls = -np.diff(rows["rul"].to_numpy())[inside]
    known = ~np.isnan(falls)

    np.testing.assert_allclose(falls[known], np.diff(rows["time"].to_numpy())[inside][known], atol=1e-3)
    assert not (rows["rul"] < 0).any()


def test_a_label_is_known_for_the_whole_run_or_for_none_of_it(source):
    contract, rows = source
    runs = rows.assign(known=rows["rul"].notna()).groupby(["asset", "run"])["known"]

    assert (runs.min() == runs.max()).all()
    assert rows["rul"].notna().any() == (contract.rul is not None)


def test_no_asset_is_in_both_fixed_splits(source):
    _, rows = source

    assert rows[["asset", "fixed_split"]].drop_duplicates()["asset"].is_unique
    assert set(rows["fixed_split"]) <= {"", "test"}


def test_readings_are_within_the_contract_and_only_declared_channels_are_constant(source):
    contract, rows = source
    for name, channel in contract.channels.items():
        assert channel.min <= rows[name].min() <= rows[name].max() <= channel.max, name
    constant = {name for name in contract.channel_names if rows[name].min() == rows[name].max()}

    assert constant == set(contract.quality.may_be_constant)


def test_the_split_takes_whole_assets_and_all_of_the_fixed_test_set(source):
    _, rows = source
    folds = deal_folds(rows, test_share=0.25, folds=4, seed=1)
    fixed = set(rows.loc[rows["fixed_split"] == "test", "asset"])

    assert set(folds) == set(rows["asset"])
    assert {asset for asset, fold in folds.items() if fold == TEST} >= fixed


def test_adapting_twice_gives_the_same_rows(tmp_path):
    write_press(tmp_path)
    paths = Paths(tmp_path, "press")
    contract = paths.load_contract()
    paths.raw.mkdir()
    fetch(contract, paths, paths.raw)

    pd.testing.assert_frame_equal(adapt(contract, paths.raw), adapt(contract, paths.raw))
