"""Baselines of machines' own in the scoring loop: kept in the store, over a restart, only while no case is open."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select

from foretwin.champion.champion import keep_champion, load_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BadInput
from foretwin.predictor.inputs import read_frame
from foretwin.project.paths import Paths
from foretwin.twin.cases.feedback import Verdict, Work, give_verdict, record_maintenance
from foretwin.twin.explanation import explain_present
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.own_offsets import offsets_of
from foretwin.twin.store.summaries import own_offsets
from foretwin.twin.store.tables import cases
from support.differing_fleet import LENGTH, WARM_UP, WINDOWS, differing_rows, differing_twin, save_differing_bundle
from support.stored_readings import NOON, count, store_rows

TWIN = differing_twin()
CONTRACTS = {"press": TWIN}


@pytest.fixture
def root(shared, tmp_path):
    folder = shared("differing", lambda folder: save_differing_bundle(folder, TWIN))
    digest = load_digest(folder)
    keep_champion(Paths(tmp_path, "press"), folder / "bundle", ModelIdentity("foretwin-press", "1", "run", digest))
    return tmp_path


def load_digest(folder):
    from foretwin.predictor.bundle import verify

    return verify(folder / "bundle")


def follow(store, root, rows, hours, restart_at=None):
    """Store and score hour by hour; return the assets' numbers."""
    watching, ids = Watching(store, root, WatchSettings()), {}
    for hour in hours:
        if hour == restart_at:
            watching.owner.close()
            watching = Watching(store, root, WatchSettings())
        ids = store_rows(store, TWIN, rows[rows["time"] == hour], NOON + timedelta(hours=hour))
        score_once(watching, lambda now=NOON + timedelta(hours=hour): now)
    watching.owner.close()
    return ids


def said(store, number, time):
    with store.read() as connection:
        found = scores.history(connection, number, None, None, 1000)
    return next(one for one in found if one.time == time)


def kept(store, number):
    with store.read() as connection:
        return offsets_of(connection, [number]).get(number)


def test_the_loop_says_what_a_file_of_the_same_rows_is_told_and_a_restart_changes_nothing(store, root):
    rows = differing_rows(TWIN, 3, 5)
    ids = follow(store, root, rows, range(1, 24), restart_at=LENGTH + 5)
    bundle = load_champion(root, "press").bundle
    for hour in (LENGTH, LENGTH + 6, WARM_UP, WARM_UP + 1, 23):
        expected = bundle.answer(read_frame(rows[rows["time"] <= hour], TWIN)).frame().set_index("asset")
        for name, number in ids.items():
            score = said(store, number, hour)
            wanted = [expected.at[name, f"p_health_{one}"] for one in ("normal", "departed")]
            np.testing.assert_allclose(list(score.faults["health"].values()), wanted, rtol=0, atol=1e-6)
            assert score.warnings == expected.at[name, "warnings"]
    assert count(store, own_offsets) == 3
    name, number = next(iter(ids.items()))
    told, last = explain_present(store, root, CONTRACTS, name)["questions"]["health"], said(store, number, 23)
    assert told["prediction"] == pytest.approx(last.faults["health"][told["answer"]], abs=1e-6), "by its own baseline"
    assert {(kept(store, number).windows, kept(store, number).until) for number in ids.values()} == {(WINDOWS, WARM_UP)}


def test_while_a_case_is_open_nothing_is_learnt_and_what_a_verdict_calls_no_fault_is_normal(store, root):
    rows = differing_rows(TWIN, 2, 6)
    broken, other = rows["asset"].unique()
    moved = rows.assign(flow=rows["flow"] + 60 * ((rows["asset"] == broken) & (rows["time"] <= 2 * LENGTH)))
    ids = follow(store, root, moved, range(1, LENGTH * 2 + 1))
    assert kept(store, ids[broken]).windows == 0, "it was looked at"
    assert kept(store, ids[other]).windows == WINDOWS
    with store.read() as connection:
        (case,) = connection.execute(select(cases.c.id).where(cases.c.asset == ids[broken])).scalars()
    follow(store, root, rows, range(LENGTH * 2 + 1, LENGTH * 3 + 1))
    assert kept(store, ids[broken]).windows == 1, "it has recovered"

    rows = differing_rows(TWIN, 1, 7)
    moved, name = rows.assign(flow=rows["flow"] + 60), rows["asset"].iat[0]
    ids = follow(store, root, moved, range(1, LENGTH + 1))
    with store.read() as connection:
        (case,) = connection.execute(select(cases.c.id).where(cases.c.asset == ids[name])).scalars()
    give_verdict(store, CONTRACTS, case, Verdict(verdict="no_fault_found"), "someone", NOON)
    follow(store, root, moved, range(LENGTH + 1, 3 * LENGTH + 2))
    assert kept(store, ids[name]).windows == WINDOWS
    assert kept(store, ids[name]).channels["flow"][0] > 50
    score = said(store, ids[name], 3 * LENGTH + 1)
    assert score.diagnosis["health"] == "normal"
    assert score.warnings == [one for one in score.warnings if not one.startswith("fleet_baseline")]


def test_a_sensor_that_was_changed_is_learnt_anew_and_a_new_life_begins_without_any(store, root):
    rows = differing_rows(TWIN, 1, 8)
    name = rows["asset"].iat[0]
    ids = follow(store, root, rows, range(1, WARM_UP + 2))
    before = kept(store, ids[name])
    for work, field in (
        (Work(kind="sensor_replaced"), "is missing; there is heat, flow"),
        (Work(kind="sensor_replaced", channel="load"), "load is no sensor of press"),
        (Work(kind="inspection", channel="flow"), "goes with sensor_replaced or sensor_recalibrated"),
    ):
        with pytest.raises(BadInput, match=field):
            record_maintenance(store, CONTRACTS, name, work, "someone", NOON)
    assert kept(store, ids[name]) == before
    done = record_maintenance(store, CONTRACTS, name, Work(kind="sensor_replaced", channel="flow"), "someone", NOON)
    assert (done["channel"], done["next_run"]) == ("flow", None)
    after = kept(store, ids[name])
    others = {one: value for one, value in before.channels.items() if one != "flow"}
    assert after == replace(before, windows=0, until=WARM_UP + 1, channels=others)
    moved = rows.assign(flow=rows["flow"] + 0.8)
    follow(store, root, moved, range(WARM_UP + 2, 2 * WARM_UP + 3))
    assert kept(store, ids[name]).channels["flow"][0] == pytest.approx(before.channels["flow"][0] + 0.8, abs=0.15)
    first = said(store, ids[name], WARM_UP + 2).warnings
    assert f"fleet_baseline: 0 of the {WINDOWS} windows of the machine's own baseline" in first
    follow(store, root, rows.assign(run=2), range(1, LENGTH + 1))
    assert (kept(store, ids[name]).run, kept(store, ids[name]).windows) == (2, 1)
