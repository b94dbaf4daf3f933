"""Warnings and false alarms of pumps followed by the rules of cases, on answers that are known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import pump_health
from benchmarks.accuracy.pump_health import LEAD, YEAR
from benchmarks.render import health
from foretwin.project.paths import Paths
from support.archives import ROOT


@pytest.fixture(scope="module")
def pump():
    return Paths(ROOT, "pump").load_contract()


def worn_pumps(ends: list[int], onset: int) -> pd.DataFrame:
    """Pumps that fail at their last hour, worn from `onset` on."""
    parts = []
    for number, end in enumerate(ends):
        hours = np.arange(end + 1)
        parts.append(
            pd.DataFrame(
                {"asset": f"P-{number}", "time": hours * 1.0, "rul": end - hours, "fault_mode": hours >= onset}
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_a_failure_is_warned_of_by_a_case_that_stays_open_a_day_before_it(pump):
    truth = worn_pumps([200, 200, 200], onset=150)
    cases = [[160.0], [190.0], [100.0]]  # in time, too late, open early and closed again
    found = pump_health._figures(cases, [True, True, False], truth, pump)
    assert found["warned"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["median_warning"] == 200 - 160
    assert found["false_alarms"] == 1
    assert found["false_alarms_per_machine_year"] == pytest.approx(YEAR / 450, abs=0.01)
    low, high = found["warned_interval"]
    assert low < found["warned"] < high
    report = {"candidates": {"served": found}, "floors": {"always": found}, "lead": LEAD, "budget": 1.0}
    assert "| served | 33.3%" in health.pump(report)


def test_cases_open_and_close_by_the_rules_of_the_living_twin():
    contract = Paths(ROOT, "pump").load_contract()
    departed = np.array([0.1, 0.9, 0.6, 0.1, 0.9, 0.9])
    assert "health" not in contract.axes
    fan = contract.model_copy(update={"rul": None, "faults": pump_health_axes()})
    hours, is_open = pump_health._cases(fan, np.arange(6.0), departed, [[]] * 6)
    assert (hours, is_open) == ([1.0, 4.0], True)
    few = [["short_history: 3 of 60 rows"]] * 6
    assert pump_health._cases(fan, np.arange(6.0), departed, few) == ([], False)


def pump_health_axes() -> dict:
    """The axis of a contract that asks for health alone."""
    from foretwin.contract.twin import Health

    remedy = {"part": "seal", "instruction": "look at it", "lead_time": 24}
    return {"health": Health.model_validate({"false_alarms": 1, "remedy": remedy}).axis}
