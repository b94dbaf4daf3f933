"""Availability, cost and periods of the key figures, worked out by hand; and that periods add up to the whole."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foretwin.contract.policy import Costs
from foretwin.errors import BadInput
from foretwin.twin.store import open_store
from support.kpis_fleet import PUMP, THRUST, Fleet, on, outcomes, report, total, without_costs

NONE = {"count": 0, "of": 0, "share": None}


def test_availability_is_operation_over_operation_and_downtime(fleet, store):
    for name in ("P-1", "P-2"):
        fleet.lives(name, on(1, 10), 100)
        fleet.work(name, "run_ended", on(1, 15))
    assert total(store)["availability"] == {
        "assumed": round(200 / (200 + 2 * 72), 3),
        "measured": None,
        "operating": 200,
        "downtime_assumed": 144,
        "downtime_measured": None,
        "stops": 2,
        "stops_measured": 0,
    }

    fleet.lives("P-1", on(1, 14, 4 + 30), 56, run=2)  # 30 h after its last reading

    found = total(store)["availability"]
    assert (found["stops_measured"], found["downtime_measured"], found["operating"]) == (1, 30, 256)
    assert found["assumed"] == round(256 / (256 + 144), 3)
    assert found["measured"] == round(256 / (256 + 30 + 72), 3)
    assert total(store, without_costs())["availability"]["measured"] is None  # the other stop is not known


def test_the_downtime_of_a_replayed_fleet_cannot_be_seen(fleet, store):
    fleet.lives("P-1", on(1, 10), 100, pace=36_000)
    fleet.work("P-1", "run_ended", on(1, 10, 1))
    fleet.lives("P-1", on(1, 10, 2), 100, run=2, pace=36_000)

    found = total(store)["availability"]

    assert (found["stops_measured"], found["measured"]) == (0, None)
    assert (found["operating"], found["assumed"]) == (200, round(200 / 272, 3))


def test_a_run_operates_in_the_periods_in_which_its_readings_came(fleet, store):
    fleet.lives("P-1", on(1, 31), 72)  # one day of January, two of February

    found = report(store, now=on(2, 20))["periods"]

    assert [one["availability"]["operating"] for one in found] == [24, 48]


def test_cost_is_told_as_a_range_by_how_often_alarms_were_right(fleet, store):
    for i, verdict in enumerate(["part_replaced"] * 3 + ["no_fault_found"]):
        fleet.lives(f"P-{i}", on(1, 10), 100)
        fleet.answers(fleet.alarm(f"P-{i}", THRUST, 30, on(1, 11, 6)), verdict, on(1, 20))

    found = report(store)

    # Wilson's interval of 3 of 4 begins at 0.300642. The costs are known to a hundred, and so is what they lead to.
    assert found["total"]["cost"] == {
        "with": 3 * 2500 + 300,
        "without": {"value": 27000, "low": 10800, "high": 36000},  # low: 3 * 0.300642 * 12000 = 10823
        "saved": {"value": 19200, "low": 3000, "high": 28200},
    }
    assert any("75%" in sentence and "30%" in sentence for sentence in found["assumptions"])
    assert any("assumed for a simulated fleet" in sentence for sentence in found["assumptions"])


def test_a_failure_that_was_foreseen_costs_as_much_as_any(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", THRUST, 30, on(1, 11, 6)), "run_ended", on(1, 20))

    assert total(store)["cost"] == {
        "with": 12000,
        "without": {"value": 12000, "low": 12000, "high": 12000},
        "saved": {"value": 0, "low": 0, "high": 0},
    }


def test_without_costs_the_report_says_what_to_write_where(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.work("P-1", "run_ended", on(1, 15))

    found = report(store, without_costs())

    assert found["costs"] is found["total"]["cost"] is found["total"]["availability"]["assumed"] is None
    (advice,) = [sentence for sentence in found["assumptions"] if "twin.yaml" in sentence]
    assert "data/pump/twin.yaml" in advice
    assert all(name in advice for name in Costs.model_fields)


def test_figures_have_no_more_decimals_than_the_costs(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", THRUST, 30, on(1, 11, 6)), "no_fault_found", on(1, 20))
    costs = PUMP.costs.model_copy(update={"inspection": 299.5})

    saved = total(store, PUMP.model_copy(update={"costs": costs}))["cost"]["saved"]

    assert saved == {"value": -299.5, "low": -299.5, "high": -299.5}
    assert isinstance(total(store)["cost"]["saved"]["value"], int)


def test_a_fleet_without_assets_has_no_figure_that_is_not_defined(store):
    found = report(store)

    assert [one["name"] for one in found["periods"]] == ["2026-12"]
    assert found["total"]["failures"]["foreseen_share"] == found["total"]["false_alarms"] == NONE
    assert found["total"]["availability"]["assumed"] is None
    assert found["total"]["cost"]["saved"] == {"value": 0, "low": 0, "high": 0}


@pytest.mark.parametrize(
    ("length", "names"),
    [
        ("month", ["2026-01", "2026-02"]),
        ("week", ["2026-W05", "2026-W06"]),
        ("day", ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"]),
        ("all", ["2026-01-30 to 2026-02-02"]),
    ],
)
def test_periods_cover_the_days_that_are_asked_for(fleet, store, length, names):
    found = report(store, length=length, since=date(2026, 1, 30), until=date(2026, 2, 2))["periods"]

    assert [one["name"] for one in found] == names
    assert (found[0]["since"], found[-1]["until"]) == ("2026-01-30", "2026-02-02")
    for one, following in pairwise(found):
        assert date.fromisoformat(one["until"]) + timedelta(days=1) == date.fromisoformat(following["since"])


def test_both_days_belong_to_the_period_and_the_running_one_says_so(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.work("P-1", "run_ended", on(1, 20, 23.99))
    day = date(2026, 1, 20)
    assert outcomes(total(store, since=day, until=day)) == (0, 1, 0, 0)
    assert outcomes(total(store, since=day + timedelta(days=1))) == (0, 0, 0, 0)
    assert outcomes(total(store, until=day - timedelta(days=1))) == (0, 0, 0, 0)
    assert [one["is_over"] for one in report(store, now=on(2, 1))["periods"]] == [True, False]


def test_open_cases_are_those_at_the_end_of_each_period(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.lives("P-2", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", THRUST, 30, on(1, 11)), "confirmed", on(2, 20))
    fleet.alarm("P-2", THRUST, 30, on(3, 3))

    asked = {"since": date(2026, 2, 1), "until": date(2026, 4, 30)}
    assert [one["cases"]["open"] for one in report(store, **asked)["periods"]] == [0, 1, 1]
    assert report(store, since=date(2026, 1, 12), until=date(2026, 1, 31))["total"]["cases"]["open"] == 1


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"since": date(2026, 2, 2), "until": date(2026, 2, 1)}, "since"),
        ({"since": date(2027, 2, 2)}, "since"),
        ({"length": "day", "since": date(1999, 1, 1)}, "period"),
    ],
)
def test_periods_that_are_none_or_too_many_are_refused(fleet, store, asked, field):
    with pytest.raises(BadInput) as refusal:
        report(store, **asked)
    assert refusal.value.field == field


SCRIPTS = st.lists(
    st.tuples(
        st.integers(0, 80),  # the day on which the run begins
        st.integers(1, 900),  # hours
        st.sampled_from(["", "recovered", "confirmed", "no_fault_found", "part_replaced", "run_ended", "open"]),
        st.integers(1, 900),  # the hour at which its case opens
        st.sampled_from(["", "run_ended", "part_replaced"]),
    ),
    min_size=1,
    max_size=5,
)
SUMMED = (
    ("failures", "foreseen"),
    ("failures", "missed"),
    ("failures", "missed_after_alarm"),
    ("avoided",),
    ("replaced",),
    ("lead_time", "count"),
    ("lead_time", "in_time", "count"),
    ("false_alarms", "count"),
    ("false_alarms", "of"),
    ("cases", "opened"),
    ("cases", "unanswered", "recovered"),
    ("availability", "operating"),
    ("availability", "stops"),
    ("cost", "with"),
    ("cost", "saved", "high"),
)


def pick(figures: dict, path: tuple[str, ...]) -> float:
    for name in path:
        figures = figures[name]
    return figures


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(scripts=SCRIPTS)
def test_sums_over_periods_equal_the_whole(tmp_path_factory, scripts):
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('sums')}/twins.db")
    fleet = Fleet(store)
    for i, (day, hours, fate, opened, end) in enumerate(scripts):
        name, begin = f"P-{i}", on(1, 1) + timedelta(days=day)
        fleet.lives(name, begin, hours)
        if fate:
            case = fleet.alarm(name, THRUST, min(opened, hours), begin + timedelta(hours=min(opened, hours)))
            later = begin + timedelta(hours=hours + 7)
            if fate == "recovered":
                fleet.closes(case, "recovered", later)
            elif fate != "open":
                fleet.answers(case, fate, later)
        if end and fate not in ("part_replaced", "run_ended"):
            part = {"part": "overhaul kit"} if end == "part_replaced" else {}
            fleet.work(name, end, begin + timedelta(hours=hours + 50), **part)
    whole = total(store)
    endings = sum(fate in ("part_replaced", "run_ended", "confirmed") or bool(end) for *_, fate, _, end in scripts)
    assert sum(outcomes(whole)) == endings, "each run that something became of has one outcome"
    for length in ("month", "week", "day"):
        found = report(store, length=length)
        for path in SUMMED:
            summed = sum(pick(one, path) for one in found["periods"])
            off = len(found["periods"]) if path == ("availability", "operating") else 0  # each is rounded to the hour
            assert summed == pytest.approx(pick(whole, path), abs=off + 1e-9), (length, path)
            assert pick(found["total"], path) == pick(whole, path), (length, path)
        assert found["total"]["lead_time"] == whole["lead_time"]
        assert found["periods"][-1]["cases"]["open"] == whole["cases"]["open"]
    store.close()
