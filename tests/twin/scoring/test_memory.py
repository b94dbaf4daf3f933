"""The memory of the scoring loop: its default, and that it says when a fleet does not fit into it."""

import os
from datetime import timedelta

import pytest

from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.memory import LEAST, LIMITS, MEGABYTE, MOST, default_memory
from foretwin.twin.scoring.watched import Watching, WatchSettings
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_project, tiny_twin

TWIN = tiny_twin()
ONE_ASSET = 8 * (4 * 3 + 8) + 320  # bytes of a window in memory


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize(("limit", "taken"), [(2048, 256), (100, 64), (1_000_000_000, None), ("max\n", None)])
def test_the_default_is_a_share_of_the_machine_or_its_container(tmp_path, name, limit, taken):
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(limit if isinstance(limit, str) else str(limit * MEGABYTE))
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 8
    assert default_memory(tmp_path) == (min(max(machine, LEAST), MOST) if taken is None else taken * MEGABYTE)


def test_a_fleet_that_does_not_fit_is_told_of_once_with_the_setting_that_helps(store, tmp_path, caplog):
    tiny_project(tmp_path / "project", TWIN)
    watching = Watching(store, tmp_path / "project", WatchSettings(memory_bytes=3 * ONE_ASSET))
    fleet = random_rows(TWIN, {f"a{i:02}": 8 for i in range(12)})

    def pass_over(assets, hour):
        chosen = fleet["asset"].isin([f"a{i:02}" for i in range(assets)])
        store_rows(store, TWIN, fleet[chosen & (fleet["time"] == hour)])
        score_once(watching, lambda: NOON + timedelta(hours=hour))
        return [record.getMessage() for record in caplog.records if "memory" in record.getMessage()]

    assert [pass_over(3, hour) for hour in (1, 2)] == [[], []]
    (line,) = pass_over(10, 3)
    assert "the newest readings of 3 of 10 assets" in line
    assert "`--memory 1` holds them all" in line
    assert pass_over(10, 4) == [line], "said once"
    assert len(pass_over(12, 5)) == 2, "the fleet has grown"


def test_rings_are_filled_before_any_gives_way(store, tmp_path):
    tiny_project(tmp_path / "project", TWIN)
    watching = Watching(store, tmp_path / "project", WatchSettings(memory_bytes=5 * ONE_ASSET, assets_per_call=2))
    store_rows(store, TWIN, random_rows(TWIN, {f"a{i}": 8 for i in range(5)}))
    score_once(watching, lambda: NOON)
    recent = watching.twins["pump"].recent
    assert (len(recent), recent.capacity, recent.evicted) == (5, 5, 0)
