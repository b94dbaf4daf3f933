"""What became of runs and cases, by the rules of `foretwin.twin.kpis`: one rule, one short history."""

import pytest

from support.kpis_fleet import END, IMPELLER, THRUST, on, outcomes, report, total

NONE = {"count": 0, "of": 0, "share": None}


def test_a_failure_that_a_case_stood_before_is_foreseen(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", THRUST, 30, on(1, 11, 6)), "run_ended", on(1, 20))

    found = total(store)

    assert outcomes(found) == (1, 0, 0, 0)
    assert found["failures"]["foreseen_share"] == {"count": 1, "of": 1, "share": 1.0}
    # 70 h from the opening to the failure; the bearing set takes 48 h.
    assert found["lead_time"] == {
        "count": 1,
        "lower_quartile": 70,
        "median": 70,
        "upper_quartile": 70,
        "in_time": {"count": 1, "of": 1, "share": 1.0},
    }
    assert found["cases"]["answered"]["run_ended"] == 1


def test_a_failure_that_maintenance_tells_of_is_foreseen_by_the_open_case(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    case = fleet.alarm("P-1", THRUST, 60, on(1, 12, 12))
    fleet.work("P-1", "run_ended", on(1, 20))
    fleet.closes(case, "new_run", on(1, 21))

    found = total(store)

    assert outcomes(found) == (1, 0, 0, 0)
    assert found["lead_time"]["in_time"] == {"count": 0, "of": 1, "share": 0.0}  # 40 h: the part would come too late
    assert found["cases"]["unanswered"] == {"recovered": 0, "new_run": 1}
    assert found["false_alarms"] == NONE


def test_a_case_that_opens_with_the_failure_foresees_nothing(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", THRUST, 100, on(1, 14, 4)), "run_ended", on(1, 20))

    found = total(store)

    assert outcomes(found) == (0, 1, 0, 0)
    assert (found["failures"]["missed_after_alarm"], found["lead_time"]["count"]) == (0, 0)
    assert found["lead_time"]["median"] is None


@pytest.mark.parametrize("fallen", ["recovered", "no_fault_found"])
def test_a_case_that_was_withdrawn_or_found_wrong_foresees_nothing(fleet, store, fallen):
    fleet.lives("P-1", on(1, 10), 100)
    case = fleet.alarm("P-1", THRUST, 30, on(1, 11, 6))
    if fallen == "recovered":
        fleet.closes(case, "recovered", on(1, 12))
    else:
        fleet.answers(case, "no_fault_found", on(1, 12))
    fleet.work("P-1", "run_ended", on(1, 20))

    found = total(store)

    assert outcomes(found) == (0, 1, 0, 0)
    assert found["failures"]["missed_after_alarm"] == 1
    false_alarms = 0 if fallen == "recovered" else 1
    assert (found["false_alarms"]["count"], found["cases"]["unanswered"]["recovered"]) == (
        false_alarms,
        1 - false_alarms,
    )


def test_a_case_that_recovered_but_was_answered_all_the_same_stands(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    case = fleet.alarm("P-1", THRUST, 30, on(1, 11, 6))
    fleet.closes(case, "recovered", on(1, 12))
    fleet.answers(case, "run_ended", on(1, 20))

    found = total(store)

    assert outcomes(found) == (1, 0, 0, 0)
    assert found["cases"]["unanswered"]["recovered"] == 0


def test_a_confirmed_fault_is_avoided_until_its_run_fails(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.answers(fleet.alarm("P-1", THRUST, 30, on(1, 11, 6)), "confirmed", on(1, 12), time=40)
    assert outcomes(total(store)) == (0, 0, 1, 0)
    assert report(store)["periods"][0]["avoided"] == 1

    fleet.work("P-1", "run_ended", on(3, 5))

    assert outcomes(total(store)) == (1, 0, 0, 0)
    january, _, march = report(store)["periods"][:3]
    assert (outcomes(january), outcomes(march)) == ((0, 0, 0, 0), (1, 0, 0, 0))
    assert january["cases"]["answered"]["confirmed"] == 1


def test_several_cases_and_exchanges_of_a_run_count_once(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    first = fleet.alarm("P-1", THRUST, 30, on(1, 11, 6))
    second = fleet.alarm("P-1", IMPELLER, 40, on(1, 11, 16))
    fleet.answers(first, "part_replaced", on(1, 20))
    fleet.answers(second, "part_replaced", on(2, 20))

    found = report(store)

    assert outcomes(found["total"]) == (0, 0, 1, 0)
    assert [one["avoided"] for one in found["periods"][:2]] == [1, 0]
    assert [one["cases"]["answered"]["part_replaced"] for one in found["periods"][:2]] == [1, 1]
    assert found["total"]["cost"]["with"] == 2500


def test_the_end_that_comes_first_in_the_run_decides(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    first = fleet.alarm("P-1", THRUST, 30, on(1, 11, 6))
    second = fleet.alarm("P-1", IMPELLER, 40, on(1, 11, 16))
    fleet.answers(first, "part_replaced", on(1, 20), time=100)
    fleet.answers(second, "run_ended", on(1, 21), time=90)

    assert outcomes(total(store)) == (1, 0, 0, 0)


def test_an_exchange_that_no_case_called_for_is_neither_missed_nor_avoided(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    case = fleet.alarm("P-1", THRUST, 30, on(1, 11, 6))
    fleet.answers(case, "other_fault", on(1, 12), fault=IMPELLER)
    fleet.work("P-1", "part_replaced", on(1, 20), part="overhaul kit")

    found = total(store)

    assert outcomes(found) == (0, 0, 0, 1)
    assert found["cost"]["with"] == 2500 + 300
    assert found["cost"]["saved"] == {"value": -300, "low": -300, "high": -300}


def test_a_part_that_was_fitted_before_the_first_reading_ends_no_run(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    fleet.work("P-1", "run_ended", on(1, 20))
    fleet.work("P-1", "part_replaced", on(1, 21), part="overhaul kit")  # the next run has no reading yet
    fleet.lives("P-1", on(1, 22), 50, run=2)
    assert outcomes(total(store)) == (0, 1, 0, 0)

    fleet.work("P-1", "run_ended", on(2, 1))

    assert outcomes(total(store)) == (0, 2, 0, 0)


def test_a_merged_case_counts_with_the_one_that_it_merged_into(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    early = fleet.alarm("P-1", END, 20, on(1, 31, 23))
    named = fleet.alarm("P-1", THRUST, 60, on(2, 1, 1))
    fleet.closes(early, "merged", on(2, 1, 1), into=named)

    january, february = report(store, now=on(2, 20))["periods"]
    assert (january["cases"]["opened"], january["cases"]["open"]) == (1, 1)
    assert (february["cases"]["opened"], february["cases"]["open"]) == (0, 1)

    fleet.answers(named, "run_ended", on(2, 3))

    found = total(store)
    assert (found["lead_time"]["median"], found["lead_time"]["in_time"]["count"]) == (80, 1)
    assert (found["cases"]["opened"], found["cases"]["open"]) == (1, 0)
    assert sum(found["cases"]["answered"].values()) == 1


def test_of_a_verdict_on_a_merged_case_and_one_on_the_other_one_counts(fleet, store):
    fleet.lives("P-1", on(1, 10), 100)
    early, named = fleet.alarm("P-1", END, 20, on(1, 11)), fleet.alarm("P-1", THRUST, 60, on(1, 12))
    fleet.closes(early, "merged", on(1, 12), into=named)
    fleet.closes(named, "recovered", on(1, 13))
    fleet.answers(early, "no_fault_found", on(1, 14))
    assert total(store)["false_alarms"] == {"count": 1, "of": 1, "share": 1.0}
    assert total(store)["cases"]["unanswered"]["recovered"] == 0

    fleet.answers(named, "confirmed", on(1, 15))

    found = total(store)
    assert found["false_alarms"] == {"count": 0, "of": 1, "share": 0.0}
    assert outcomes(found) == (0, 0, 1, 0)
