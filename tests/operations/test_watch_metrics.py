"""What `foretwin watch` tells of the champions that it holds in memory."""

import shutil

from foretwin.champion.loaded import LoadedChampions
from foretwin.operations.health.each_process import watch_state
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.passes import PassCounts
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import open_store
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
