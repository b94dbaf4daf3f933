"""Key figures out of both databases: the same, whatever the store, and of this twin's assets alone."""

from datetime import timedelta

import pytest

from foretwin.contract.twin import Twin
from foretwin.twin.kpis import counts
from foretwin.twin.kpis.counting import VERDICTS
from foretwin.twin.store import assets, erasure
from foretwin.twin.store.casework import audit, cases
from foretwin.twin.store.casework.cases import NewCase
from foretwin.twin.store.scoring import kpis as stored
from support.kpis_fleet import END, IMPELLER, PUMP, THRUST, Fleet, on, outcomes, report, total


@pytest.fixture
def fleet(store) -> Fleet:
    return Fleet(store)


def test_a_year_of_a_fleet(fleet, store):
    # P-1: foreseen by a case that an earlier one merged into, mended in 30 h, then confirmed and still running.
    fleet.lives("P-1", on(1, 10), 100)
    early, named = fleet.alarm("P-1", END, 20, on(1, 10, 20)), fleet.alarm("P-1", THRUST, 60, on(1, 12, 12))
    fleet.closes(early, "merged", on(1, 12, 12), into=named)
    fleet.answers(named, "run_ended", on(1, 15))
    fleet.lives("P-1", on(1, 14, 4 + 30), 60, run=2)
    fleet.answers(fleet.alarm("P-1", IMPELLER, 50, on(1, 17, 12), run=2), "confirmed", on(2, 1))
    # P-2: missed after a false alarm, then exchanged because of a case; its third run has only begun.
    fleet.lives("P-2", on(2, 10), 200)
    fleet.answers(fleet.alarm("P-2", THRUST, 30, on(2, 11, 6)), "no_fault_found", on(2, 12), time=48)
    fleet.work("P-2", "run_ended", on(2, 20))
    fleet.lives("P-2", on(2, 25), 10, run=2)
    fleet.answers(fleet.alarm("P-2", THRUST, 5, on(2, 25, 5), run=2), "part_replaced", on(3, 1))
    fleet.lives("P-2", on(3, 4), 10, run=3)
    # P-3: one that waits, one that recovered.
    fleet.lives("P-3", on(3, 10), 20)
    fleet.alarm("P-3", THRUST, 5, on(3, 10, 5))
    fleet.closes(fleet.alarm("P-3", IMPELLER, 6, on(3, 10, 6)), "recovered", on(3, 11))

    found = report(store, now=on(3, 20))

    assert [outcomes(one) for one in found["periods"]] == [(1, 0, 0, 0), (0, 1, 1, 0), (0, 0, 1, 0)]
    whole = found["total"]
    assert whole["failures"]["missed_after_alarm"] == 1
    assert (whole["lead_time"]["median"], whole["lead_time"]["in_time"]["share"]) == (80, 1.0)
    assert whole["false_alarms"] == {"count": 1, "of": 4, "share": 0.25}
    assert whole["cases"] == {
        "opened": 6,
        "answered": dict.fromkeys(VERDICTS, 1) | {"other_fault": 0, "sensor_fault": 0},
        "unanswered": {"recovered": 1, "new_run": 0},
        "open": 1,
    }
    assert [one["cases"]["open"] for one in found["periods"]] == [1, 1, 1]
    # Seen: 30 h after P-1's first run, 400 h - 200 h after P-2's first, 3 March to 4 March after its second.
    assert whole["availability"]["operating"] == 100 + 60 + 200 + 10 + 10 + 20
    assert (whole["availability"]["stops"], whole["availability"]["stops_measured"]) == (4, 3)
    assert whole["availability"]["downtime_assumed"] == 2 * 72 + 2 * 8
    assert whole["availability"]["downtime_measured"] == 30 + (15 * 24 - 200) + (7 * 24 - 10)
    assert whole["cost"]["with"] == 2 * 12000 + 2 * 2500 + 300
    assert whole["cost"]["saved"]["high"] == 2 * (12000 - 2500) - 300


def test_runs_ends_and_cases_come_in_one_order_in_many_parts(fleet, store, monkeypatch):
    monkeypatch.setattr(counts, "PIECE", 1)
    for run in (1, 2, 3):
        for name in ("P-2", "P-1"):  # so that no table has its rows in the order of the assets
            begin = on(run, 10)
            fleet.lives(name, begin, 100, run=run)
            case = fleet.alarm(name, THRUST, 20, begin + timedelta(hours=20), run=run)
            if (name, run) == ("P-1", 2):
                fleet.closes(case, "new_run", begin + timedelta(days=6))
            else:
                fleet.answers(case, "run_ended", begin + timedelta(days=6))
    with store.read() as connection:
        for told in (stored.ends, stored.answered_cases):
            keys = [(one.asset, one.run) for one in told(connection, [1, 2])]
            assert keys == sorted(keys)
            assert len(keys) == (5 if told is stored.ends else 6)

    assert [outcomes(one)[0] for one in report(store, now=on(3, 30))["periods"]] == [2, 1, 2]
    counts.keep_counts(store, "pump")
    assert [outcomes(one)[0] for one in report(store, now=on(3, 30))["periods"]] == [2, 1, 2]


def test_cases_of_the_whole_fleet_and_of_other_twins_are_not_counted(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    other = Fleet(store, Twin.model_validate(PUMP.model_dump() | {"name": "other"}))
    other.lives("O-1", on(1, 10), 100)
    other.answers(other.alarm("O-1", THRUST, 30, on(1, 11)), "run_ended", on(1, 20))
    with store.write() as connection:
        cases.insert(connection, NewCase("pump", None, None, "digest", "planned", None, {}), "watch", on(1, 11))

    found = total(store)

    assert outcomes(found) == (0, 0, 0, 0)
    assert (found["cases"]["opened"], found["cases"]["open"]) == (0, 0)
    assert found["availability"]["assumed"] == 1.0  # it ran, and nothing stopped it
    assert outcomes(total(store, other.twin)) == (1, 0, 0, 0)


def test_an_erased_asset_is_in_no_figure_and_the_report_says_so(fleet, store):
    for name in ("P-1", "P-2"):
        fleet.lives(name, on(1, 10), 100)
        fleet.answers(fleet.alarm(name, THRUST, 30, on(1, 11, 6)), "run_ended", on(1, 20))
    counts.keep_counts(store, "pump")
    with store.write() as connection:
        asset = assets.find_asset(connection, "P-1")
        erasure.erase(connection, asset)
        audit.record(connection, "ann", "asset.erased", {"number": asset.id}, on(2, 1), asset=asset.id)

    found = report(store)

    assert outcomes(found["total"]) == (1, 0, 0, 0)
    assert (found["total"]["cases"]["opened"], found["erased_assets"]) == (1, 1)
    assert any(sentence.startswith("1 assets") for sentence in found["assumptions"])
