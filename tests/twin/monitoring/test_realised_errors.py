"""What became true: errors, coverage, lead times, missed failures and false alarms, worked by hand on real stores."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from foretwin.champion.identity import ModelIdentity
from foretwin.metrics import phm08
from foretwin.twin.cases import feedback
from foretwin.twin.cases.feedback import Verdict, Work
from foretwin.twin.monitoring import realised_errors
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase, Numbers
from foretwin.twin.store.scoring import monitoring, scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.telemetry import history
from foretwin.twin.store.telemetry.history import Finding
from support.live_project import PUMP
from support.monitored_fleet import machines
from support.stored_readings import store_rows

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONTRACTS = {"pump": PUMP}


class Past:
    """Pumps P-1, P-2, ... with readings of times 0 to 9, and what scores, technicians and time said of them."""

    def __init__(self, store, pumps: int) -> None:
        self.store = store
        self.ids = store_rows(store, PUMP, machines(pumps, 10, seed=1), NOON)

    def scored(self, name: str, time: float, rul: float, version: str = "3", half: float = 2.0) -> None:
        with self.store.write() as connection:
            identity = ModelIdentity("foretwin-pump", version, "run", version * 8)
            model = scores.model_id(connection, "pump", identity, PUMP.digest, NOON, 0.9)
            said = (rul, rul - half, rul + half)
            scores.add_scores(connection, [Score(self.ids[name], 1, time, model, NOON, 1, 8, *said, {}, {}, [])])

    def case(self, name: str, opened: float, fault: str = "mode.wear") -> int:
        with self.store.write() as connection:
            identity = ModelIdentity("foretwin-pump", "3", "run", "3" * 8)
            model = scores.model_id(connection, "pump", identity, PUMP.digest, NOON, 0.9)
            numbers = Numbers(opened, NOON, model, 5.0, 3.0, 7.0, 0.9)
            case = cases.insert(
                connection, NewCase("pump", self.ids[name], 1, fault, "planned", numbers, {}), "watch", NOON
            )
        return case.id

    def told(self, case: int, verdict: str) -> None:
        feedback.give_verdict(self.store, CONTRACTS, case, Verdict(verdict=verdict), "ann", NOON)

    def done(self, name: str, kind: str = "run_ended", **more) -> None:
        feedback.record_maintenance(self.store, CONTRACTS, name, Work(kind=kind, **more), "ann", NOON)

    def recovered(self, case: int) -> None:
        with self.store.write() as connection:
            cases.close(connection, cases.find_case(connection, case), "recovered", "watch", NOON)

    def summary(self):
        with self.store.read() as connection:
            failed = history.failed_runs(history.findings(connection, "pump"))
            found = realised_errors.compare_with_failures(
                connection, PUMP, failed, monitoring.cases_of_runs(connection, "pump")
            )
            known = scores.models(connection, found.models)
            return realised_errors.summary(found, monitoring.alarms(connection, "pump", None), known)


def test_scores_of_failed_runs_are_held_against_the_life_that_was_left(store):
    past = Past(store, 3)
    past.scored("P-1", 5, rul=5)  # 4 h were left: late by one, inside
    past.scored("P-1", 7, rul=5)  # 2 h: late by three, outside
    past.scored("P-2", 9, rul=-0.0)  # the last hour
    past.scored("P-3", 9, rul=50)  # not failed: tells nothing
    past.scored("P-2", 8, rul=0, version="4")  # early by one, by another model
    past.done("P-1")
    past.done("P-2")
    found = past.summary()
    assert [model["version"] for model in found["models"]] == ["4", "3"]
    three = found["models"][1]
    assert (three["runs"], three["scores"], found["failures"]) == (2, 3, 2)
    assert three["rmse"] == pytest.approx(np.sqrt(10 / 3))
    assert three["rmse_low"] == pytest.approx(0)  # both draws are of P-2
    assert three["rmse_high"] == pytest.approx(np.sqrt(5))
    assert three["coverage"] == pytest.approx(2 / 3)
    assert three["late_share"] == pytest.approx(2 / 3)
    cap = PUMP.rul.cap
    assert three["phm08_per_score"] == pytest.approx(phm08(np.array([5.0, 5, 0]), np.array([4.0, 2, 0]), cap) / 3)
    assert three["bands"] == {"0 to 20": {"scores": 3, "rmse": pytest.approx(np.sqrt(10 / 3))}}


def test_a_failure_with_a_case_before_was_foreseen_and_the_others_were_missed(store):
    past = Past(store, 6)
    for name in past.ids:
        past.scored(name, 9, rul=1)
    past.told(past.case("P-1", opened=4), "run_ended")  # 5 h before its end
    past.done("P-2")  # nobody opened a case
    past.recovered(past.case("P-3", opened=2))
    past.done("P-3")  # the case had taken itself back
    past.told(past.case("P-4", opened=2), "no_fault_found")
    past.done("P-4")  # the case was called an error
    past.told(past.case("P-5", opened=2), "part_replaced")  # no failure
    found = past.summary()
    assert (found["failures"], found["missed_failures"]) == (4, 3)
    assert found["lead_time"] == {"lower_quartile": 5, "median": 5, "upper_quartile": 5}
    assert (found["closed_cases"], found["false_alarms"]) == (4, {"no_fault_found": 1, "recovered": 1})


def test_runs_that_nobody_scored_teach_nothing(store):
    past = Past(store, 1)
    past.done("P-1")
    found = past.summary()
    assert (found["failures"], found["missed_failures"], found["models"]) == (0, 0, [])
    assert found["lead_time"]["median"] is None


def test_only_what_is_younger_than_the_last_export_has_not_been_learnt(store):
    past = Past(store, 3)
    past.told(past.case("P-1", opened=4), "run_ended")  # a verdict, and the maintenance that follows from it: one run
    past.done("P-2", kind="inspection")
    past.done("P-3")
    with store.write() as connection:
        assert monitoring.runs_not_learnt(connection, "pump") == 2
        exported = history.Exported("pump", "d", [1, 3], 20, 20)
        history.add_export(connection, exported, NOON + timedelta(hours=1))
        assert monitoring.runs_not_learnt(connection, "pump") == 0


def test_a_run_ends_with_its_first_failure_or_exchange():
    def at(time, kind, asset=1):
        return Finding(asset, 1, time, kind)

    assert history.failed_runs([at(9, "run_ended"), at(5, "part_replaced")]) == {}
    assert history.failed_runs([at(5, "part_replaced"), at(5, "run_ended")]) == {(1, 1): 5}
    assert history.failed_runs([at(5, "confirmed"), at(7, "run_ended", 2), at(6, "run_ended", 2)]) == {(2, 1): 6}


def test_limits_break_with_enough_runs_and_beyond_chance_alone():
    worse = {"runs": 12, "rmse": 24.0, "rmse_low": 20.0, "rmse_high": 28.0, "coverage": 0.7, "level": 0.9}
    error, interval = realised_errors.limits_broken("3", worse, 17.0, "h")
    assert "version 3 was off by 24 h (RMSE) over 12 runs that failed" in error
    assert "held 70% of the truths of 12 runs that failed: below 80%" in interval
    assert realised_errors.limits_broken("3", worse | {"runs": 9}, 17.0, "h") == []
    assert (
        realised_errors.limits_broken("3", worse | {"coverage": 0.81}, 19.0, "h") == []
    )  # 20 may be 1.1 times 19 by chance
    assert realised_errors.limits_broken("3", worse | {"coverage": 0.81}, None, "h") == []
