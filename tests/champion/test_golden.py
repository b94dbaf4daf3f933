"""Golden windows: where they come from, and that a champion that answers otherwise is refused."""

import numpy as np
import pandas as pd
import pytest

from foretwin.champion.golden import MOST_WINDOWS, check_golden, example_rows, keep_golden
from foretwin.dataset.table import HISTORY, write_rows
from foretwin.errors import BundleError
from foretwin.predictor.bundle import Bundle
from support.tiny_bundle import random_rows, save_tiny_bundle, tiny_twin

TWIN = tiny_twin()


def load(folder, seed=1, twin=TWIN, bias=60):
    folder.mkdir(parents=True)
    save_tiny_bundle(folder, twin, seed, bias)
    return Bundle.load(folder)


@pytest.fixture
def bundle(tmp_path):
    return load(tmp_path / "bundle")


@pytest.fixture
def held_out(tmp_path):
    """Forty assets with 20 rows each, the last of them from the twins' own store, and one that is too short."""
    rows = random_rows(TWIN, {**{f"P-{i}": 20 for i in range(40)}, "P-short": 1}).assign(rul=30.0, subset="")
    rows.loc[rows["asset"].isin(["P-38", "P-39"]), "subset"] = HISTORY
    write_rows(rows, TWIN, tmp_path / "test.parquet")
    return tmp_path / "test.parquet"


@pytest.fixture
def champion(tmp_path, bundle, held_out):
    """A champion's folder with the golden windows of `bundle`."""
    (tmp_path / "champion" / "golden").mkdir(parents=True)
    keep_golden(tmp_path / "champion" / "golden", bundle, held_out)
    return tmp_path / "champion"


def rewrite(path, **columns):
    pd.read_parquet(path).assign(**columns).to_parquet(path, index=False)


def test_the_windows_are_held_out_ones_with_what_the_bundle_answers(champion, bundle, held_out):
    rows = pd.read_parquet(champion / "golden" / "rows.parquet")
    scores = pd.read_parquet(champion / "golden" / "scores.parquet")
    assert list(rows.columns) == ["asset", "run", "time", *TWIN.channel_names]  # and no label
    assert rows["asset"].nunique() == len(scores) == MOST_WINDOWS
    assert set(rows.groupby("asset").size()) == {TWIN.window.length}
    assert not {"P-38", "P-39", "P-short"} & set(rows["asset"])
    whole = pd.read_parquet(held_out)
    wanted = bundle.score(whole[whole["asset"].isin(rows["asset"])]).set_index("asset").loc[scores["asset"]]
    for name in bundle.score_columns:
        np.testing.assert_array_equal(scores[name], wanted[name])
    assert scores["rul"].nunique() > 10, "the windows must differ, or agreement proves nothing"


def test_the_same_bundle_and_rows_are_kept_as_the_same_bytes(tmp_path, champion, bundle, held_out):
    again = tmp_path / "again"
    again.mkdir()
    keep_golden(again, bundle, held_out)
    for name in ("rows.parquet", "scores.parquet"):
        assert (again / name).read_bytes() == (champion / "golden" / name).read_bytes()


@pytest.mark.parametrize("there", ["nothing", "another contract", "only history", "no table"])
def test_without_held_out_rows_the_windows_lie_in_the_ranges_of_training(tmp_path, bundle, there):
    path, out = tmp_path / "test.parquet", tmp_path / "golden"
    out.mkdir()
    if there == "another contract":
        write_rows(random_rows(tiny_twin(channels=2), {"a": 9}), tiny_twin(channels=2), path)
    elif there == "only history":
        write_rows(random_rows(TWIN, {"a": 9}).assign(subset=HISTORY), TWIN, path)
    elif there == "no table":
        path.write_bytes(b"PAR1")
    keep_golden(out, bundle, path)
    rows = pd.read_parquet(out / "rows.parquet")
    assert rows["asset"].unique().tolist() == ["EXAMPLE-1", "EXAMPLE-2", "EXAMPLE-3"]
    low, high = bundle.reference.ranges
    values = rows[list(TWIN.channel_names)].to_numpy()
    assert (values > low).all()
    assert (values < high).all()
    check_golden(tmp_path, bundle)


def test_the_example_is_one_window_that_can_be_scored(bundle):
    rows = example_rows(bundle)
    assert bundle.score(rows)["warnings"].tolist() == [["short_history: 3 of 8 rows"]]


def test_a_champion_that_answers_as_it_did_passes(champion, bundle):
    check_golden(champion, bundle)


def test_what_another_processor_computes_differently_passes(champion, bundle):
    scores = champion / "golden" / "scores.parquet"
    table = pd.read_parquet(scores)
    rewrite(scores, rul=table["rul"] * (1 + 1e-5), p_mode_wear=table["p_mode_wear"] + 1e-5)
    check_golden(champion, bundle)


def test_another_network_is_refused(tmp_path, champion):
    other = load(tmp_path / "other", bias=61)
    with pytest.raises(BundleError, match=r"golden: rul of P-\d+ is .* instead of .*, for \d+ of 16 golden windows"):
        check_golden(champion, other)


@pytest.mark.parametrize("column", ["rul_low", "p_mode_wear", "rows", "time", "asset"])
def test_every_column_is_compared(champion, bundle, column):
    scores = champion / "golden" / "scores.parquet"
    table = pd.read_parquet(scores)
    table.loc[3, column] = "P-x" if column == "asset" else table.loc[3, column] + (0.3 if column == "rul_low" else 1)
    table.to_parquet(scores, index=False)
    with pytest.raises(BundleError, match=f"golden: {column} of .* for 1 of 16"):
        check_golden(champion, bundle)


def test_a_kept_score_that_is_no_number_is_refused(champion, bundle):
    rewrite(champion / "golden" / "scores.parquet", rul=np.nan)
    with pytest.raises(BundleError, match=r"rul of .* instead of nan, for 16 of 16"):
        check_golden(champion, bundle)


@pytest.mark.parametrize("name", ["rows.parquet", "scores.parquet"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_file_that_cannot_be_read_is_named(champion, bundle, name, damage):
    path = champion / "golden" / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BundleError, match=f"{name}: cannot be read"):
        check_golden(champion, bundle)


def test_rows_that_the_contract_forbids_are_refused(champion, bundle):
    rewrite(champion / "golden" / "rows.parquet", speed=np.nan)
    with pytest.raises(BundleError, match=r"rows.parquet: cannot be scored: speed: is not finite"):
        check_golden(champion, bundle)


def test_other_columns_are_refused(tmp_path, champion):
    other = load(tmp_path / "other", twin=tiny_twin(rul=False))
    with pytest.raises(BundleError, match=r"scores.parquet: columns or windows differ"):
        check_golden(champion, other)


def test_a_champion_without_golden_windows_passes(tmp_path, bundle):
    check_golden(tmp_path, bundle)
