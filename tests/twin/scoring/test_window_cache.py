"""Windows in bounded memory: whatever arrives, in whatever order, they are those of the full table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretwin.contract.twin import Twin
from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.wire.readings import Readings
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin(channels=2, length=4)
NAMES = list(TWIN.channel_names)
BYTES = 4 * (4 * 2 + 8) + 320  # of one asset


def ints(*values):
    return np.array(values, np.int64)


def stretch(*rows):
    """Readings (asset, run, time); the channels follow from the key, so that a wrong row shows."""
    asset, run, time = zip(*rows, strict=True) if rows else ((), (), ())
    key = np.array([asset, run, time], np.float64)
    channels = np.stack([100 * key[0] + key[2], 100 * key[1] + key[2]], axis=1).astype(np.float32)
    keys = np.array(asset, np.int64), np.array(run, np.int64), np.array(time, np.float64)
    return Readings(TWIN.name, TWIN.channel_names, *keys, channels)


def held(recent, *assets):
    """What `Recent.inputs` hands to a model, as a table."""
    tracks = recent.inputs(ints(*assets), TWIN)
    counts = tracks.seen()
    columns = {"asset": np.repeat(tracks.assets, counts), "run": np.repeat(tracks.runs, counts)}
    columns["time"] = tracks.histories.time
    return pd.DataFrame(columns | dict(zip(NAMES, np.transpose(tracks.histories.values), strict=True)))


def windows_of(table, assets):
    """What `Recent.inputs` must hold: the newest rows of the last run of each asset, by pandas."""
    parts = []
    for asset in assets:
        mine = sorted(key for key in table if key[0] == asset)
        parts += [key for key in mine if key[1] == mine[-1][1]][-TWIN.window.length :]
    rows = stretch(*parts)
    columns = {"asset": rows.asset, "run": rows.run, "time": rows.time}
    return pd.DataFrame(columns | dict(zip(NAMES, np.transpose(rows.values), strict=True)))


def load(recent, table, assets):
    """As the loop does: what is not held, or of an earlier run, is put from the table."""
    runs = ints(*(max(run for asset, run, _ in table if asset == one) for one in assets))
    recent.use(ints(*assets))
    missing = ~recent.holds(ints(*assets), runs)
    wanted = ints(*assets)[missing]
    inside = sorted((a, r, t) for a, r, t in table if a in wanted and r == dict(zip(assets, runs, strict=True))[a])
    kept = [key for i, key in enumerate(inside) if sum(key[0] == later[0] for later in inside[i:]) <= recent.length]
    recent.put(wanted, runs[missing], stretch(*kept))
    return missing


readings = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 2), st.integers(0, 12)), min_size=1, max_size=12, unique=True
)
passes = st.lists(st.tuples(readings, st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True)), max_size=12)


@given(passes)
def test_windows_are_those_of_the_full_table_whatever_arrives(passes):
    recent, table = WindowCache(TWIN, 3 * BYTES), set()
    assert recent.capacity == 3
    for arriving, asked in passes:
        new = [key for key in arriving if key not in table]
        table |= set(new)
        recent.append(stretch(*new))
        known = [asset for asset in asked if any(key[0] == asset for key in table)]
        if known:
            load(recent, table, known)
            pd.testing.assert_frame_equal(held(recent, *known), windows_of(table, known))
            lengths = windows_of(table, known).groupby("asset").size().reindex(known)
            assert recent.counts(ints(*known)).tolist() == lengths.tolist()
        assert len(recent) <= 3


def test_readings_that_go_on_are_appended_without_the_store():
    recent, table = WindowCache(TWIN, 10_000), {(1, 1, 0), (2, 1, 0)}
    load(recent, table, [1, 2])
    for time in range(1, 9):
        new = [(1, 1, time), *([(2, 1, time)] if time % 3 == 0 else [])]
        table |= set(new)
        recent.append(stretch(*new[::-1]))
    assert not load(recent, table, [1, 2]).any()
    pd.testing.assert_frame_equal(held(recent, 2, 1), windows_of(table, [2, 1]))


def test_more_readings_than_a_window_leave_the_newest():
    recent = WindowCache(TWIN, 10_000)
    load(recent, {(1, 1, 0)}, [1])
    recent.append(stretch(*[(1, 1, time) for time in range(1, 24)]))
    assert held(recent, 1)["time"].tolist() == [20, 21, 22, 23]


@pytest.mark.parametrize("odd", [(1, 1, 3.5), (1, 2, 0)], ids=["late", "new run"])
def test_a_late_reading_or_a_new_run_sends_an_asset_to_the_store_and_no_other(odd):
    recent = WindowCache(TWIN, 10_000)
    load(recent, {(1, 1, 4), (2, 1, 4)}, [1, 2])
    recent.append(stretch(odd, (2, 1, 5)))
    assert recent.holds(ints(1, 2), ints(1, 1)).tolist() == [False, True]
    assert held(recent, 2)["time"].tolist() == [4, 5]


def test_a_reading_of_an_earlier_run_changes_nothing():
    recent = WindowCache(TWIN, 10_000)
    load(recent, {(1, 2, 4)}, [1])
    recent.append(stretch((1, 1, 9)))
    assert recent.holds(ints(1), ints(2)).all()
    assert held(recent, 1)["time"].tolist() == [4]


def test_a_run_that_began_without_readings_is_not_the_one_that_is_held():
    recent = WindowCache(TWIN, 10_000)
    load(recent, {(1, 1, 4)}, [1])
    assert not recent.holds(ints(1), ints(2)).any()
    recent.put(ints(1), ints(2), stretch())
    assert recent.counts(ints(1)).tolist() == [0]
    recent.append(stretch((1, 2, 0)))
    assert held(recent, 1)[["run", "time"]].to_numpy().tolist() == [[2, 0]]


def test_what_was_longest_not_used_makes_room():
    recent = WindowCache(TWIN, 3 * BYTES)
    for asset in (1, 2, 3):
        load(recent, {(asset, 1, 0)}, [asset])
    recent.use(ints(1))
    load(recent, {(4, 1, 0), (5, 1, 0)}, [4, 5])
    assert recent.holds(ints(1, 2, 3, 4, 5), ints(1, 1, 1, 1, 1)).tolist() == [True, False, False, True, True]


def test_a_model_gets_its_channels_in_its_own_order_and_no_more_readings_than_its_window_has():
    recent = WindowCache(TWIN, 10_000, length=7)
    recent.put(ints(2), ints(1), stretch(*[(2, 1, time) for time in range(7)]))
    content = TWIN.model_dump()
    content["channels"] = dict(reversed(content["channels"].items()))
    tracks = recent.inputs(ints(2), Twin.model_validate(content))
    assert tracks.histories.time.tolist() == [3, 4, 5, 6]
    np.testing.assert_array_equal(tracks.histories.values, [[100 + time, 200 + time] for time in range(3, 7)])


@pytest.mark.parametrize("memory", [0, BYTES, 10 * BYTES + 1, 1_000_000])
def test_the_memory_is_bounded_by_the_setting_alone(memory):
    recent = WindowCache(TWIN, memory)
    assert recent.capacity == max(1, memory // BYTES)
    for begin in range(0, 4 * recent.capacity, recent.capacity):
        assets = np.arange(begin, begin + recent.capacity)
        recent.put(assets, np.ones(len(assets), np.int64), stretch(*[(asset, 1, 0) for asset in assets]))
    assert len(recent) == recent.capacity
    arrays = [value for value in vars(recent).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) <= max(memory, BYTES)
