"""What the scoring loop reads from the store, on both databases."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event

from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.telemetry import windows
from foretwin.twin.store.telemetry.windows import ReadingQuery
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
ALL = 10**9


def wanted(upto=ALL, twin=TWIN):
    return ReadingQuery(twin.name, twin.channel_names, upto)


def rows_of(*keys):
    """Rows (asset, run, time) whose channels follow from the key."""
    frame = pd.DataFrame(keys, columns=["asset", "run", "time"]).astype({"time": float})
    return frame.assign(speed=frame["time"], c1=frame["run"], c2=frame["time"] / 2)


def keys_of(stretch):
    return list(zip(stretch.asset.tolist(), stretch.run.tolist(), stretch.time.tolist(), strict=True))


def newest(store, ids, length, upto=ALL, twin=TWIN):
    with store.read() as connection:
        return windows.newest_windows(connection, wanted(upto, twin), ids, length)


def after(store, batch, most=1000, upto=ALL):
    with store.read() as connection:
        return list(windows.after(connection, wanted(upto), batch, most))


def test_the_newest_readings_of_many_assets_come_in_order_with_their_channels(store):
    rows = random_rows(TWIN, {"a": 12, "b": 3, "c": 8})
    ids = store_rows(store, TWIN, rows.sample(frac=1, random_state=1))
    found = newest(store, list(ids.values()), 5)
    expected = rows.assign(asset=rows["asset"].map(ids)).sort_values(["asset", "time"]).groupby("asset").tail(5)
    assert keys_of(found) == list(expected[["asset", "run", "time"]].itertuples(index=False, name=None))
    np.testing.assert_array_equal(found.values, expected[list(TWIN.channel_names)].to_numpy(np.float32))
    assert found.values.dtype == np.float32  # noqa: PD011 - no frame


def test_only_the_present_run_counts(store):
    ids = store_rows(store, TWIN, rows_of(("a", 1, 8), ("a", 1, 9), ("a", 2, 1), ("b", 1, 5)))
    assert keys_of(newest(store, list(ids.values()), 5)) == [(ids["a"], 2, 1.0), (ids["b"], 1, 5.0)]


def test_what_came_after_the_batch_is_not_read_yet(store):
    for time in range(6):
        ids = store_rows(store, TWIN, rows_of(("a", 1, time)))
    assert keys_of(newest(store, [ids["a"]], 2, upto=3)) == [(ids["a"], 1, 1.0), (ids["a"], 1, 2.0)]
    assert [time for part in after(store, 2, upto=4) for _, _, time in keys_of(part)] == [2.0, 3.0]


def test_readings_without_a_wanted_channel_are_as_if_they_had_never_come(store):
    store_rows(store, TWIN, rows_of(*(("a", 1, time) for time in range(0, 10, 2))))
    ids = store_rows(store, TWIN, rows_of(*(("a", 1, time) for time in range(1, 10, 2))), channels=["speed", "c1"])
    assert [time for _, _, time in keys_of(newest(store, [ids["a"]], 3))] == [4.0, 6.0, 8.0]
    assert [len(part) for part in after(store, 0)] == [5]


def test_a_layout_in_another_order_is_put_in_the_wanted_one(store):
    rows = rows_of(("a", 1, 6)).assign(more=9)
    ids = store_rows(store, TWIN, rows, channels=["c2", "more", "speed", "c1"])
    np.testing.assert_array_equal(newest(store, [ids["a"]], 3).values, [[6.0, 1.0, 3.0]])


def test_news_come_in_the_order_of_the_batches_and_in_bounded_parts(store):
    for batch in range(4):
        ids = store_rows(store, TWIN, rows_of(*((name, 1, batch) for name in "abc")))
    parts = after(store, 1, most=4)
    assert [len(part) for part in parts] == [4, 4, 1]
    assert [time for part in parts for _, _, time in keys_of(part)] == [1.0] * 3 + [2.0] * 3 + [3.0] * 3
    assert {asset for part in parts for asset, _, _ in keys_of(part)} == set(ids.values())


def test_another_twins_readings_are_not_read(store):
    store_rows(store, tiny_twin("fan"), rows_of(("f", 1, 1)))
    assert after(store, 0) == []
    with store.read() as connection:
        assert len(windows.with_news(connection, "pump")) == 0


def test_an_asset_has_news_until_it_is_marked_and_again_with_the_next_reading(store):
    ids = store_rows(store, TWIN, rows_of(("a", 1, 1), ("b", 3, 1)), now=NOON)
    with store.write() as connection:
        news = windows.with_news(connection, "pump")
        assert (news.asset.tolist(), news.run.tolist()) == (sorted(ids.values()), [1, 3])
        assert news.received_at.tolist() == [NOON.timestamp()] * 2
        windows.mark_scored(connection, [ids["a"]], last_batch(connection))
        assert windows.with_news(connection, "pump").asset.tolist() == [ids["b"]]
    store_rows(store, TWIN, rows_of(("a", 1, 2)))
    with store.write() as connection:
        assert windows.with_news(connection, "pump").asset.tolist() == sorted(ids.values())
        windows.mark_scored(connection, list(ids.values()), 1)  # later news are not marked with earlier ones
        assert windows.with_news(connection, "pump").asset.tolist() == [ids["a"]]
        windows.mark_scored(connection, list(ids.values()), 0)  # and no mark is taken back
        assert windows.with_news(connection, "pump").asset.tolist() == [ids["a"]]


def test_an_asset_is_silent_until_it_has_been_told_of_and_again_after_it_spoke(store):
    ids = store_rows(store, TWIN, rows_of(("a", 1, 1), ("b", 1, 1)), now=NOON)
    late = NOON + timedelta(hours=1)

    def silent(since=late):
        with store.read() as connection:
            return windows.silent(connection, "pump", since)

    assert silent(NOON) == []
    assert silent() == list(ids.values())
    with store.write() as connection:
        windows.mark_silent(connection, [ids["a"]])
    assert silent() == [ids["b"]]
    store_rows(store, TWIN, rows_of(("a", 1, 2)), now=late + timedelta(hours=1))
    assert silent() == [ids["b"]]
    assert silent(late + timedelta(hours=2)) == list(ids.values())


def test_an_empty_store_has_no_batch_and_no_news(store):
    with store.read() as connection:
        assert last_batch(connection) == 0
        assert len(windows.with_news(connection, "pump")) == 0
        assert len(windows.newest_windows(connection, wanted(), [1, 2], 3)) == 0


@pytest.mark.parametrize("length", [3, 60])
def test_a_window_costs_its_own_length_and_not_that_of_the_history(store, length):
    store_rows(store, TWIN, random_rows(TWIN, {f"x{i}": 40 for i in range(250)}))
    ids = store_rows(store, TWIN, random_rows(TWIN, dict.fromkeys("abcd", 2000)))
    statements = []
    event.listen(store.engine, "before_cursor_execute", lambda *given: statements.append(given[2:4]))
    with store.write() as connection:
        if store.is_sqlite:
            windows.newest_windows(connection, wanted(), list(ids.values()), length)
            statement, values = statements[-1]
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            assert not [line for line in plan if line.startswith("SCAN")], plan
            assert any("time>?" in line for line in plan), plan
            return
        connection.exec_driver_sql("ANALYZE")
        windows.newest_windows(connection, wanted(), list(ids.values()), length)
        statement, values = statements[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()
        scans = [node for node in nodes(plan[0]["Plan"]) if node.get("Relation Name") == "readings"]
        read = sum(
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans
        )
        assert read <= 2 * 4 * length, plan


def nodes(plan):
    return [plan, *(found for part in plan.get("Plans", []) for found in nodes(part))]
