"""What `foretwin watch` tells of the champions that it holds in memory, and of the partitions that it owns."""

import shutil

import pytest

from foretwin.champion.loaded import LoadedChampions
from foretwin.errors import StoreAway
from foretwin.operations.health.each_process import watch_state
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.passes import PassCounts
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import open_store
from foretwin.twin.store.ownership.partitioning import rebalance
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import keep_tiny_champion, random_rows, tiny_twin


def test_champions_in_memory_their_bytes_and_those_that_made_room_are_told(tmp_path, migrated):
    twins = [tiny_twin(name) for name in ("fan", "mill", "pump")]
    for twin in twins:
        keep_tiny_champion(tmp_path, twin)
    shutil.copyfile(migrated("sqlite", None).removeprefix("sqlite:///"), tmp_path / "twins.db")
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    passes = PassCounts(loaded=LoadedChampions(1))  # room for one at most
    watching = Watching(store, tmp_path, WatchSettings(), loaded=passes.loaded, passes=passes)

    def told():
        (_, collect) = watch_state(store, tmp_path, passes).collect_more
        figures = {sample.name: sample.value for one in collect() for sample in one.samples if not sample.labels}
        return [figures[f"foretwin_champion{name}"] for name in ("s_loaded", "_loads_total", "_evictions_total")], (
            figures["foretwin_champion_bytes"]
        )

    assert told() == ([0, 0, 0], 0)
    for twin in twins:
        store_rows(store, twin, random_rows(twin, {twin.name: 9}))
    assert score_once(watching, lambda: NOON) == 3
    counts, size = told()
    assert counts == [1, 3, 2]
    assert size == passes.loaded.size > 0
    store.close()


def samples_of(state, name):
    """The samples of a family that the process tells, as (labels, value)."""
    families = [one for collect in state.collect_more for one in collect() if one.name == name]
    return [(sample.labels, sample.value) for one in families for sample in one.samples]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_each_worker_tells_the_partitions_that_it_owns_and_how_far_behind_each_is(store, tmp_path):
    keep_tiny_champion(tmp_path, tiny_twin("pump"))
    workers = [Watching(store, tmp_path, WatchSettings()) for _ in range(2)]
    states = [watch_state(store, tmp_path, one.passes) for one in workers]

    def owned():
        found = [samples_of(state, "foretwin_partition_owned") for state in states]
        assert all(value == 1 for each in found for _, value in each)
        return [{labels["partition"] for labels, _ in each} for each in found]

    for worker in workers:
        score_once(worker, lambda: NOON)
    assert owned() == [set(), set()], "where there is one partition the scores of the twin say it all"
    assert samples_of(states[0], "foretwin_partition_backlog_seconds") == []
    with store.write() as connection:
        rebalance(connection, 4)
    for worker in workers * 2:
        score_once(worker, lambda: NOON)
    one, other = owned()
    assert (len(one), len(other), one | other) == (2, 2, {"0", "1", "2", "3"})
    fresh = watch_state(store, tmp_path, workers[0].passes)  # a state asks the store every five seconds at most
    lag = [({"partition": str(number)}, 0.0) for number in range(4)]
    assert samples_of(fresh, "foretwin_partition_backlog_seconds") == lag
    with store.write() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7089"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    for worker in workers:
        with pytest.raises(StoreAway):
            worker.own()
    assert owned() == [set(), set()], "another may own it by now"
