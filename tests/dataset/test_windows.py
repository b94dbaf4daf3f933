"""Cutting windows, checked against a loop that is too simple to be wrong."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretwin.dataset.table import HISTORY, canonical, time_to_end
from foretwin.dataset.windows import TEST, Histories, deal_folds, last_rows, random_cuts, truncate
from foretwin.errors import RowsError
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
CHANNELS = list(TWIN.channel_names)


def fleet(seed: int, assets: int = 7, longest: int = 12) -> pd.DataFrame:
    """Assets with one to three runs of random length, uneven steps, and labels that are known for some rows."""
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(assets):
        for run in range(1, generator.integers(2, 5)):
            part = random_rows(TWIN, {f"m{number}": int(generator.integers(1, longest))}, seed=seed * 100 + number)
            part["time"] = np.cumsum(generator.uniform(0.5, 2, len(part)))
            parts.append(part.assign(run=run))
    rows = pd.concat(parts, ignore_index=True)
    rows["rul"] = time_to_end(rows).where(generator.random(len(rows)) < 0.7)
    rows["fault_mode"] = generator.integers(-1, 3, len(rows))
    return canonical(rows, TWIN)


def cut_slowly(rows: pd.DataFrame, end: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """x (length, C) and mask (length,) of the window that ends at a row, by walking back one row at a time."""
    x, mask = np.zeros((length, len(CHANNELS)), np.float32), np.zeros(length, np.float32)
    key = rows.loc[end, ["asset", "run"]].tolist()
    for back in range(length):
        row = end - back
        if row < 0 or rows.loc[row, ["asset", "run"]].tolist() != key:
            break
        x[length - 1 - back] = rows.loc[row, CHANNELS].to_numpy(np.float32)
        mask[length - 1 - back] = 1
    return x, mask


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("length", [1, 4, 15])
def test_a_cut_is_what_a_simple_loop_finds(seed, length):
    rows = fleet(seed)
    ends = np.random.default_rng(seed).integers(0, len(rows), 20)
    windows = Histories.from_rows(rows, TWIN).cut(ends, length)
    assert windows.x.dtype == windows.mask.dtype == windows.age.dtype == windows.rul.dtype == np.float32
    assert len(windows) == 20
    for i, end in enumerate(ends):
        x, mask = cut_slowly(rows, end, length)
        np.testing.assert_array_equal(windows.x[i], x)
        np.testing.assert_array_equal(windows.mask[i], mask)
    np.testing.assert_array_equal(windows.age, rows["time"].to_numpy(np.float32)[ends])
    np.testing.assert_array_equal(windows.rul, rows["rul"].to_numpy()[ends])
    np.testing.assert_array_equal(windows.faults, rows[["fault_mode", "fault_bearing"]].to_numpy()[ends])


def test_padding_stands_on_the_left_and_is_never_another_runs_rows():
    rows = canonical(pd.concat([random_rows(TWIN, {"a": 5}).assign(run=run) for run in (1, 2)]), TWIN)
    rows["speed"] = np.repeat([7.0, 9.0], 5)  # the two runs cannot be taken for one another
    windows = Histories.from_rows(rows, TWIN).cut(np.array([1, 6]), 4)
    assert windows.mask.tolist() == [[0, 0, 1, 1]] * 2
    assert windows.x[:, :, 0].tolist() == [[0, 0, 7, 7], [0, 0, 9, 9]]


def test_cutting_leaves_the_histories_as_they_were():
    rows = fleet(1)
    histories = Histories.from_rows(rows, TWIN)
    windows = histories.cut(histories.ends(1), 9)
    windows.x[:] = 99
    windows.rul[:] = 99
    np.testing.assert_array_equal(histories.values, rows[CHANNELS])
    np.testing.assert_array_equal(histories.rul, rows["rul"])


def test_no_ends_are_no_windows():
    windows = Histories.from_rows(fleet(1), TWIN).cut(np.empty(0, np.int64), 5)
    assert windows.x.shape == (0, 5, 3)
    assert windows.faults.shape == (0, 2)


def test_a_twin_without_faults_has_windows_without_axes():
    twin = tiny_twin(faults=False)
    histories = Histories.from_rows(canonical(random_rows(twin, {"a": 3}), twin), twin)
    assert histories.cut(np.array([2]), 2).faults.shape == (1, 0)


@pytest.mark.parametrize("shortest", [1, 2, 5])
def test_an_end_has_enough_rows_of_its_own_run(shortest):
    rows = fleet(2)
    seen = rows.groupby(["asset", "run"], sort=False).cumcount().to_numpy() + 1
    histories = Histories.from_rows(rows, TWIN)
    np.testing.assert_array_equal(histories.rows_so_far(), seen)
    np.testing.assert_array_equal(histories.ends(shortest), np.flatnonzero(seen >= shortest))


def test_last_rows_are_the_ends_of_runs():
    rows = fleet(3)
    expected = rows.reset_index().groupby(["asset", "run"], sort=False)["index"].max()
    assert last_rows(rows).tolist() == expected.tolist()


def named(rows: pd.DataFrame, ends: np.ndarray) -> dict[tuple[str, int], list[int]]:
    """(asset, run) -> how many rows of the run each cut has seen."""
    seen = rows.groupby(["asset", "run"], sort=False).cumcount().to_numpy() + 1
    result: dict[tuple[str, int], list[int]] = {}
    for end in ends:
        result.setdefault((rows["asset"][end], int(rows["run"][end])), []).append(int(seen[end]))
    return result


@pytest.mark.parametrize("seed", range(4))
def test_random_cuts_lie_in_the_later_four_fifths_of_each_run_that_is_long_enough(seed):
    rows = fleet(seed, longest=40)
    cuts = named(rows, random_cuts(rows, 10, shortest=3, seed=5))
    lengths = rows.groupby(["asset", "run"], sort=False).size()
    assert set(cuts) == set(lengths[lengths >= 3].index)
    for run, seen in cuts.items():
        assert seen == sorted(set(seen)), "a cut counts once"
        assert 1 <= len(seen) <= 10
        assert max(3, np.ceil(0.2 * lengths[run])) <= min(seen)
        assert max(seen) <= lengths[run]


def test_random_cuts_are_spread_evenly_over_the_life():
    rows = canonical(random_rows(TWIN, {"a": 4000}), TWIN)
    share = (random_cuts(rows, 1000, 1, seed=1) + 1) / 4000
    in_each_eighth, _ = np.histogram(share, np.linspace(0.2, 1, 9))
    assert in_each_eighth.min() > 70


def test_a_runs_cuts_do_not_depend_on_which_others_are_there_or_on_their_order():
    rows = fleet(4, longest=40)
    everything = named(rows, random_cuts(rows, 6, 2, seed=9))
    some = rows[rows["asset"].isin(["m5", "m2"])]
    some = pd.concat([some[some["asset"] == "m5"], some[some["asset"] == "m2"]], ignore_index=True)
    found = named(some, random_cuts(some, 6, 2, seed=9))
    assert found
    assert found == {run: cuts for run, cuts in everything.items() if run[0] in ("m5", "m2")}


def test_cuts_differ_between_runs_and_seeds_and_repeat_for_one_seed():
    rows = canonical(random_rows(TWIN, {"a": 500, "b": 500}), TWIN)
    cuts = named(rows, random_cuts(rows, 10, 1, seed=1))
    assert cuts["a", 1] != cuts["b", 1]
    assert cuts == named(rows, random_cuts(rows, 10, 1, seed=1))
    assert cuts != named(rows, random_cuts(rows, 10, 1, seed=2))


def test_a_run_as_long_as_the_shortest_history_is_cut_once_at_its_end():
    rows = canonical(random_rows(TWIN, {"a": 5, "b": 4}), TWIN)
    assert random_cuts(rows, 20, shortest=5, seed=1).tolist() == [4]
    assert random_cuts(rows, 20, shortest=6, seed=1).tolist() == []


@pytest.mark.parametrize("length", [1, 5, 100])
def test_truncating_gives_exactly_what_was_known_at_each_cut(length):
    rows = fleet(5, longest=30)
    ends = random_cuts(rows, 5, 1, seed=1)
    parts = dict(iter(truncate(rows, ends, length).groupby("asset", sort=False)))
    assert list(parts) == [f"{rows['asset'][end]}@{end}" for end in ends]
    for end, part in zip(ends, parts.values(), strict=True):
        run = rows[(rows["asset"] == rows["asset"][end]) & (rows["run"] == rows["run"][end])]
        known = run[run["time"] <= rows["time"][end]].tail(length)
        known = known.assign(asset=part["asset"].iloc[0]).reset_index(drop=True)
        pd.testing.assert_frame_equal(part.reset_index(drop=True), known)


def test_truncated_rows_give_the_same_windows_as_the_whole_history():
    rows = fleet(6, longest=30)
    ends = random_cuts(rows, 5, 1, seed=1)
    whole = Histories.from_rows(rows, TWIN).cut(ends, 8)
    known = truncate(rows, ends, 8)
    part = Histories.from_rows(known, TWIN).cut(last_rows(known), 8)
    for name in ("x", "mask", "age", "rul", "faults"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))


def test_no_cuts_are_no_rows():
    rows = fleet(1)
    assert list(truncate(rows, np.empty(0, np.int64), 5).columns) == list(rows.columns)


def many(assets: int, fixed: int = 0) -> pd.DataFrame:
    """Assets a00, a01, ... of two rows each; the last `fixed` of them are a test set fixed by the source."""
    rows = canonical(random_rows(TWIN, {f"a{i:02}": 2 for i in range(assets)}), TWIN)
    return rows.assign(fixed_split=np.where(np.arange(len(rows)) >= 2 * (assets - fixed), "test", ""))


@pytest.mark.parametrize(("assets", "share", "folds"), [(20, 0.25, 4), (21, 0.1, 5), (7, 0.01, 2), (8, 0.5, 4)])
def test_each_asset_is_in_one_fold_or_held_out(assets, share, folds):
    dealt = deal_folds(many(assets), share, folds, seed=1)
    assert sorted(dealt) == [f"a{i:02}" for i in range(assets)]
    held_out = [asset for asset, fold in dealt.items() if fold == TEST]
    assert len(held_out) == max(1, round(share * assets))
    sizes = [list(dealt.values()).count(fold) for fold in range(folds)]
    assert sum(sizes) + len(held_out) == assets
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_the_deal_depends_on_the_seed_alone():
    rows = many(20)
    dealt = deal_folds(rows, 0.25, 4, seed=1)
    assert dealt == deal_folds(rows, 0.25, 4, seed=1)
    assert dealt == deal_folds(rows[::-1].reset_index(drop=True), 0.25, 4, seed=1), "not on the order of rows"
    assert dealt == deal_folds(rows.assign(rul=1.0, fault_mode=2, speed=0.0), 0.25, 4, seed=1), "not on content"
    assert dealt != deal_folds(rows, 0.25, 4, seed=2)


def test_a_test_set_that_the_source_fixed_is_held_out_and_nothing_else():
    dealt = deal_folds(many(12, fixed=5), 0.25, 4, seed=1)
    assert [asset for asset, fold in sorted(dealt.items()) if fold == TEST] == ["a07", "a08", "a09", "a10", "a11"]
    assert sorted(fold for fold in dealt.values() if fold != TEST) == [0, 0, 1, 1, 2, 2, 3]


def test_an_asset_on_both_sides_of_a_fixed_split_is_refused():
    rows = many(12, fixed=5)
    rows.loc[len(rows) - 1, "fixed_split"] = ""
    with pytest.raises(RowsError, match="asset a11 is both in the fixed test set and outside it"):
        deal_folds(rows, 0.25, 4, seed=1)


@pytest.mark.parametrize(("assets", "fixed"), [(1, 0), (4, 0), (5, 2), (3, 3)])
def test_too_few_assets_are_refused_with_what_to_do(assets, fixed):
    with pytest.raises(RowsError, match=r"assets are too few .* lower prepare.folds in params.yaml"):
        deal_folds(many(assets, fixed), 0.25, 4, seed=1)
    assert deal_folds(many(5), 0.2, 4, seed=1), "one for each fold and one to hold out is enough"


def with_history(rows: pd.DataFrame, assets: int) -> pd.DataFrame:
    """The rows, and those of so many assets of the history."""
    added = canonical(random_rows(TWIN, {f"store/h{i:02}": 2 for i in range(assets)}), TWIN)
    return pd.concat([rows, added.assign(subset=HISTORY)], ignore_index=True)


def test_assets_of_the_history_change_nobodys_place():
    alone = deal_folds(many(20), 0.25, 4, seed=1)
    few, more = (deal_folds(with_history(many(20), count), 0.25, 4, seed=1) for count in (10, 40))
    assert alone.items() <= few.items() <= more.items()
    places = [more[f"store/h{i:02}"] for i in range(40)]
    assert set(places) == {TEST, 0, 1, 2, 3}
    assert 3 <= places.count(TEST) <= 20


def test_no_asset_of_the_history_joins_a_test_set_that_the_source_fixes():
    dealt = deal_folds(with_history(many(20, fixed=5), 30), 0.25, 4, seed=1)
    assert TEST not in {dealt[f"store/h{i:02}"] for i in range(30)}


def test_a_history_alone_is_dealt_as_any_source():
    history = with_history(many(2).iloc[:0], 20)
    held_out = [asset for asset, fold in deal_folds(history, 0.25, 4, seed=1).items() if fold == TEST]
    assert len(held_out) == 5


def timed(time, slot=1.0):
    """One run with a reading at each of these times, whose channel tells it."""
    time = np.array(time, float)
    blank = np.full((len(time), 0), -1, np.int8)
    return Histories(
        time[:, None].astype(np.float32), time, time.astype(np.float32), blank, np.zeros(len(time), int), slot
    )


def test_windows_with_a_slot_count_time_and_have_gaps_where_readings_are_lacking():
    windows = timed([0, 1, 2, 5, 6]).cut(np.array([4, 2]), 4)
    np.testing.assert_array_equal(windows.x[:, :, 0], [[0, 0, 5, 6], [0, 0, 1, 2]])
    np.testing.assert_array_equal(windows.mask, [[0, 0, 1, 1], [0, 1, 1, 1]])


def test_coverage_is_what_a_window_holds_of_what_its_run_could_have_given():
    histories = timed([0, 1, 2, 5, 6, 6.2])
    assert histories.seen(np.arange(6), 4).tolist() == [1, 2, 3, 2, 2, 2]
    assert histories.due(np.arange(6), 4).tolist() == [1, 2, 3, 4, 4, 4]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(2, 9))
def test_where_no_reading_is_lacking_both_ways_to_count_agree(steps, length):
    time = np.cumsum(steps)
    regular, ends = np.arange(len(time)), np.arange(len(time))
    by_time, by_rows = timed(regular).cut(ends, length), timed(regular, None).cut(ends, length)
    np.testing.assert_array_equal(by_time.x, by_rows.x)
    np.testing.assert_array_equal(by_time.mask, by_rows.mask)
    held = timed(time).cut(ends, length).mask.sum(axis=1)
    assert timed(time).seen(ends, length).tolist() == held.tolist()
    expected = [sum(time[end] - length < time[at] <= time[end] for at in range(end + 1)) for end in ends]
    assert held.tolist() == expected
