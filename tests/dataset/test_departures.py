"""Departures that are put into copies of runs: where, how far, in which split, and what stays as it was recorded."""

import json

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from foretwin.dataset.departures import (
    AFTER,
    CHANGES,
    ENOUGH_COPIES,
    MOST_COPIES,
    Departures,
    copied_from,
    draw_cuts,
    is_copy,
    is_made,
)
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import canonical
from foretwin.dataset.units import asset_of
from support.small_fleet import PREPARE, REMEDY, fleet_twin

LENGTH = 10
TWIN = Twin.model_validate(
    {
        **fleet_twin("faults", LENGTH, regimes=False).model_dump(exclude={"faults", "health"}),
        "health": {"remedy": REMEDY, "false_alarms": 2},
    }
)
SEED = 3


def recorded(machines: int = 12, hours: int = 120) -> pd.DataFrame:
    """Machines at work, of which nobody said anything."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(machines):
        load = np.sin(np.arange(hours) / 7 + number)
        frame = pd.DataFrame({"asset": f"m{number:02}", "run": 1, "time": np.arange(hours, dtype=float)})
        frame["pressure"] = 5 + load + generator.normal(0, 0.1, hours)
        frame["vibration"] = 2 + load + generator.normal(0, 0.1, hours)
        rows.append(frame.assign(duty=1000.0, ballast=100.0))
    return canonical(pd.concat(rows), TWIN)


def test_rows_without_a_label_are_presumed_normal_but_near_a_known_end():
    assert (recorded()["fault_health"] == 0).all()
    ends = Twin.model_validate(TWIN.model_dump() | {"rul": {"cap": 30, "remedy": REMEDY}})
    rows = canonical(recorded(1, 50).drop(columns="fault_health").assign(rul=np.arange(49.0, -1, -1)), ends)
    assert rows["fault_health"].tolist() == [0] * 20 + [-1] * 30


def test_copies_depart_in_sensors_that_vary_and_say_so_from_where_it_can_be_told():
    rows = recorded()
    found = Departures.of([rows], TWIN, SEED).added_to(rows)
    pd.testing.assert_frame_equal(found.iloc[: len(rows)], rows)
    made = found[is_made(found["asset"])]
    assert made["asset"].nunique() == ENOUGH_COPIES, "of so few runs more than one for each four windows"
    for name, copy in made.groupby("asset"):
        own = rows[rows["asset"] == copied_from(str(name))].set_index("time").loc[copy["time"]]
        assert set(copy["fault_health"]) == {-1, 1}
        assert copy["fault_health"].is_monotonic_increasing
        assert LENGTH <= (copy["fault_health"] == 1).sum() + 2 <= AFTER * LENGTH
        departed = (copy["fault_health"] == 1).to_numpy()
        moved = [c for c in ("pressure", "vibration") if (copy[c].to_numpy() != own[c].to_numpy())[departed].any()]
        assert moved
        for constant in ("duty", "ballast"):
            assert (copy[constant].to_numpy() == own[constant].to_numpy()).all()
        assert copy["rul"].isna().all()
    again = Departures.of([rows], TWIN, SEED).added_to(rows)
    pd.testing.assert_frame_equal(again, found)


def test_few_runs_have_enough_copies_to_choose_by_and_many_one_for_each_four_windows():
    for machines, of_each in ((1, MOST_COPIES), (6, 10), (40, 3)):
        rows = recorded(machines)
        found = Departures.of([rows], TWIN, SEED)
        made = found.added_to(rows.iloc[:120])["asset"]
        assert made[is_made(made)].nunique() == of_each


@pytest.mark.parametrize("kind", CHANGES)
def test_each_kind_of_departure_changes_what_it_says(kind):
    generator, whole = np.random.default_rng(1), np.sin(np.arange(400) / 9)
    after = whole[100:130].copy()
    found = CHANGES[kind](after, whole, float(whole.std()), generator)
    assert found.shape == after.shape
    step = found - after
    match kind:
        case "shift":
            assert np.ptp(step) < 1e-9
            assert abs(step[0]) >= 2 * whole.std()
        case "drift":
            assert step[0] == 0
            assert abs(step[-1]) >= 4 * whole.std()
        case "stuck":
            assert (found == after[0]).all()
        case "noise":
            assert step.std() > whole.std()
        case _:
            assert np.isin(found, whole).all()
            assert not np.allclose(found, after)


def test_values_stay_within_the_limits_of_the_contract():
    low = {"pressure": 3.5, "vibration": 0.5}
    channels = {n: one.model_dump() | {"min": low.get(n, one.min)} for n, one in TWIN.channels.items()}
    tight = Twin.model_validate(TWIN.model_dump() | {"channels": channels})
    rows = recorded()
    found = Departures.of([rows], tight, SEED).added_to(rows)
    assert found["pressure"].min() >= 3.5
    assert found["vibration"].min() >= 0.5


def test_a_copy_is_in_the_split_of_its_run_and_scales_nothing(tmp_path):
    rows = recorded()
    counts = prepare(rows, TWIN, PREPARE, tmp_path)
    folds = json.loads((tmp_path / "splits.json").read_text())
    assert counts["development"] + counts["held out"] == 12
    copies = {name: fold for name, fold in folds.items() if is_copy(name)}
    assert copies
    assert all(fold == folds[copied_from(name)] for name, fold in copies.items())
    development = Development.load(tmp_path, TWIN, PREPARE)
    split = development.hold_out(0)
    assert not development.made[split.rows].any(), "the scaling is of what was recorded"
    assert len(development.recorded.values) == (~development.made).sum()
    held_out = pd.read_parquet(tmp_path / "test.parquet").groupby("asset")["fault_health"].last()
    assert set(held_out) == {0, 1}
    assert asset_of("m01#2~departed-3") == "m01"


def test_a_recorded_run_is_cut_once_per_window_and_machines_of_one_row_only_shift():
    rows = recorded(2)
    ends = draw_cuts(rows, TWIN, 4, SEED)
    assert len(ends) > 2 * 8
    single = Twin.model_validate(TWIN.model_dump() | {"window": {"length": 1}})
    snapshot = recorded(40, 1)
    spread = Departures(single, np.array([1.0, np.nan, 1.0, np.nan]), SEED)
    found = spread.added_to(snapshot)
    made = found[is_made(found["asset"])]
    assert (made["fault_health"] == 1).all()
    own = snapshot.set_index("asset").loc[made["asset"].map(copied_from)]
    moved = np.abs(made[["pressure", "vibration"]].to_numpy() - own[["pressure", "vibration"]].to_numpy()).max(axis=1)
    assert moved.min() >= 1.9


def test_a_machine_whose_own_name_has_such_a_sign_is_no_copy(tmp_path):
    rows = recorded().assign(asset=lambda frame: frame["asset"] + "~1")
    prepare(rows, TWIN, PREPARE, tmp_path)
    assert not Development.load(tmp_path, TWIN, PREPARE).made[: 120 * 6].any()
