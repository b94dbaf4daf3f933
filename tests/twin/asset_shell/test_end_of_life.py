"""What a machine's end of life is decided on."""

from datetime import timedelta

import pytest

from foretwin.twin.asset_shell.end_of_life import end_of_life
from foretwin.twin.asset_shell.machine_facts import read_machine
from foretwin.twin.store import assets
from support.small_history import NOON, find_out, note_runs, open_case, readings_of, remember
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()


@pytest.fixture
def report(store):
    """Two runs, between which a seal was fitted; one case confirmed, one open."""
    first = readings_of(TWIN, ["P-1"])
    remember(store, TWIN, first)
    note_runs(store, first)
    find_out(store, TWIN, open_case(store, TWIN, "P-1", "mode.wear", 39), "part_replaced")
    second = readings_of(TWIN, ["P-1"], run=2, rows=11, seed=2)
    remember(store, TWIN, second, NOON + timedelta(hours=3))
    note_runs(store, second, NOON + timedelta(hours=3))
    open_case(store, TWIN, "P-1", "bearing.worn", 10, run=2)
    with store.read() as connection:
        asset = assets.find_asset(connection, "P-1")
        facts = read_machine(connection, TWIN, asset, "http://127.0.0.1", NOON + timedelta(hours=4))
        return end_of_life(connection, facts, "good", None), first, second


def test_running_time_and_loads_of_a_part_are_those_since_it_was_fitted(report):
    told, first, second = report
    assert (told["machine"]["running_time"], told["machine"]["runs"], told["machine"]["readings"]) == (49.0, 2, 51)
    (part,) = told["parts"]
    assert (part["part"], part["running_time"], part["readings"]) == ("P-1", 10.0, 11)
    assert part["loads"]["speed"]["mean"] == pytest.approx(second["speed"].astype(float).mean())
    assert part["loads"]["speed"]["highest"] == pytest.approx(second["speed"].max())
    whole = told["machine"]["loads"]["speed"]
    assert whole["lowest"] == pytest.approx(min(first["speed"].min(), second["speed"].min()))
    assert whole["unit"] == "bar"


def test_it_has_repairs_findings_condition_and_what_is_not_known(report):
    told, _, _ = report
    assert [(one["kind"], one["part"], one["run"]) for one in told["repairs"]] == [("part_replaced", "P-1", 1)]
    assert [(one["verdict"], one["note"]) for one in told["findings"]] == [("part_replaced", "as seen")]
    (case,) = told["condition"]["open_cases"]
    assert (case["fault"], case["part"], case["rul_low"], case["rul_high"]) == ("bearing.worn", "P-1", 30.0, 50.0)
    assert told["parts"][0]["open_cases"] == [case]
    unknown = {one["what"] for one in told["unknown"]}
    assert {"serial_number", "manufacturer_name", "materials", "carbon_footprint"} <= unknown
    assert "remaining life" not in unknown
    assert {one["template"] for one in told["submodels"]} >= {"IDTA 02048", "IDTA 02011"}
