"""Machines are judged by their own first windows: what the fleet cannot tell is told, within the budget."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.health.own_baseline import FILE, OwnOffsets, next_ends
from foretwin.predictor.inputs import read_frame
from foretwin.predictor.shapley import explain
from support.differing_fleet import LENGTH, WARM_UP, WINDOWS, differing_rows, differing_twin, save_differing_bundle

TWIN = differing_twin()


@pytest.fixture(scope="module")
def bundle(shared) -> Bundle:
    return Bundle.load(shared("differing", lambda folder: save_differing_bundle(folder, TWIN)) / "bundle")


def at_each_row(bundle: Bundle, rows, own=None):
    """The scores at every row with a whole window, and how many rows of its run each has."""
    tracks = read_frame(rows, TWIN)
    ends = tracks.histories.ends(LENGTH)
    names = rows["asset"].to_numpy(object)[ends]
    each = replace(tracks, assets=names, runs=np.ones(len(ends), np.int64), ends=ends, own=own)
    return bundle.answer(each).frame(), tracks.histories.rows_so_far()[ends]


def test_what_is_a_tenth_of_what_machines_differ_by_is_told_and_false_alarms_keep_to_their_budget(bundle: Bundle):
    rows = differing_rows(TWIN, 60, 2)
    calm, place = at_each_row(bundle, rows)
    own = (calm["health_baseline"] == "own").to_numpy()
    assert not own[place <= WARM_UP].any()
    assert own[place > WARM_UP].mean() > 0.95, "but those that the fleet tells as departed in their first windows"
    assert (calm["health"][own] == "departed").mean() <= 1.5 * alarm_share(TWIN)
    late = rows["time"] > 60
    told, _ = at_each_row(bundle, rows.assign(flow=rows["flow"] + 0.5 * late, heat=rows["heat"] + 0.5 * late))
    last = told["time"] == 80
    assert (told["health"][last] == "departed").mean() > 0.95
    assert set(told["health_state"][last & (told["health"] == "departed")]) == {"maintenance_required"}
    fleet, _ = at_each_row(
        replace(bundle, own=None), rows.assign(flow=rows["flow"] + 0.5 * late, heat=rows["heat"] + 0.5 * late)
    )
    assert (fleet["health"][last] == "departed").mean() < 0.2
    assert fleet["warnings"].map(lambda told: any("none of each machine is learnt:" in one for one in told)).all()


def test_an_explanation_is_of_the_judgement_that_answers(bundle: Bundle):
    rows = differing_rows(TWIN, 1, 4)
    moved = rows.assign(flow=rows["flow"] + 0.6 * (rows["time"] > 60))
    told, scored = explain(bundle, moved).questions["health"], bundle.score(moved)
    assert scored["health_baseline"].tolist() == ["own"]
    assert told.answer == "departed"
    assert told.prediction == pytest.approx(scored["p_health_departed"][0])
    assert told.base + sum(told.contributions.values()) == pytest.approx(told.prediction)
    assert told.base < 0.2, "this machine as it was is normal"
    assert told.largest_first()[0][0] == "flow"
    assert explain(replace(bundle, own=None), moved).questions["health"].answer == "normal"


def test_before_the_warm_up_is_over_the_fleet_answers_and_says_so(bundle: Bundle):
    rows = differing_rows(TWIN, 1, 3)
    scores, place = at_each_row(bundle, rows)
    told = {
        int(count): [one for one in warnings if one.startswith("fleet_baseline")]
        for count, warnings in zip(place, scores["warnings"], strict=True)
    }
    assert told[LENGTH] == [f"fleet_baseline: 0 of the {WINDOWS} windows of the machine's own baseline"]
    assert told[WARM_UP] == [f"fleet_baseline: 1 of the {WINDOWS} windows of the machine's own baseline"]
    assert told[WARM_UP + 1] == []
    fleet, _ = at_each_row(replace(bundle, own=None), rows)
    before = place <= WARM_UP
    np.testing.assert_array_equal(scores["health_index"][before], fleet["health_index"][before])


def test_windows_that_the_fleet_tells_as_departed_do_not_count(bundle: Bundle):
    rows = differing_rows(TWIN, 1, 4)
    broken = rows["time"] <= LENGTH
    scores, place = at_each_row(bundle, rows.assign(flow=rows["flow"] + 60 * broken))
    assert scores["health"][place == LENGTH].tolist() == ["departed"]
    assert (scores["health_baseline"] == np.where(place > WARM_UP + LENGTH, "own", "fleet")).all()
    plain, _ = at_each_row(bundle, rows)
    own = place > WARM_UP + LENGTH
    assert (scores["health"][own] == plain["health"][own]).mean() > 0.9, "they have left no trace"


def test_offsets_that_somebody_keeps_answer_as_those_of_the_rows(bundle: Bundle):
    rows = differing_rows(TWIN, 3, 5)
    own = OwnOffsets.unknown(3, 3)
    whole, place = at_each_row(bundle, rows)
    for hour in range(LENGTH, 81):
        tracks = read_frame(rows[(rows["time"] <= hour) & (rows["time"] > hour - LENGTH)], TWIN)
        said = bundle.answer(replace(tracks, own=own)).frame()
        np.testing.assert_allclose(said["health_index"], whole["health_index"][place == hour], rtol=0, atol=1e-3)
        assert said["health_baseline"].tolist() == whole["health_baseline"][place == hour].tolist()
        due = next_ends(tracks.histories, tracks.ends, own.until, LENGTH) == tracks.ends
        if due.all() and not bundle.own.ready(own).any():
            windows = tracks.histories.cut(tracks.ends, LENGTH)
            own = bundle.own.levels.added(own, windows, np.full(3, float(hour)), np.ones(3, bool))
    assert own.windows.tolist() == [WINDOWS] * 3


def test_an_offset_is_what_settings_do_not_tell_shrunk_by_how_few_readings_there_are(bundle: Bundle):
    levels = bundle.own.levels
    rows = differing_rows(TWIN, 1, 6)
    moved = rows.assign(heat=rows["heat"] + 4, flow=rows["flow"] - 2, load=rows["load"])
    histories = [Histories.from_rows(one, TWIN) for one in (rows, moved)]
    ends = np.array([LENGTH - 1])
    (plain, _), (other, count) = (levels.window_means(one.cut(ends, LENGTH)) for one in histories)
    np.testing.assert_allclose(other - plain, [[0, 4, -2]], atol=1e-5)
    assert count.tolist() == [[LENGTH] * 3]
    few = OwnOffsets(np.array([1]), np.array([8.0]), np.array([[0, 2, 800]]), np.array([[0.0, 1.0, 1.0]]))
    shrunk = levels.shrunk(few)[0]
    assert shrunk[0] == 0
    assert 0.9 < shrunk[1] < shrunk[2] <= 1


def test_a_bundle_without_such_machines_says_that_none_is_learnt(tmp_path: Path):
    short = Twin.model_validate(TWIN.model_dump() | {"health": TWIN.health.model_dump() | {"baseline": 50}})
    save_differing_bundle(tmp_path, short, 12)
    assert not (tmp_path / "bundle" / FILE).exists()
    scores = Bundle.load(tmp_path / "bundle").score(differing_rows(short, 2, 7))
    assert scores["health_baseline"].tolist() == ["fleet"] * 2
    assert "not_learnt" in (tmp_path / "candidates" / "blend.json").read_text()
