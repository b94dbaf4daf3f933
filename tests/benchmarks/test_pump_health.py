"""Warnings and false alarms of pumps followed by the rules of cases, on answers that are known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import pump_health
from benchmarks.accuracy.followed_cases import YEAR, Alarms, alarms_of
from benchmarks.accuracy.pump_health import LEAD
from benchmarks.render import health
from foretwin.contract.twin import Health, Twin
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
    told = {"P-0": Alarms((160.0,), stands=True), "P-1": Alarms((190.0,), stands=True), "P-2": Alarms((100.0,))}
    found = pump_health.figures(told, truth, pump)  # in time, too late, early and closed again
    assert found["warned"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["median_warning"] == 200 - 160
    assert found["false_alarms"] == 1
    assert found["false_alarms_per_machine_year"] == pytest.approx(YEAR / 450, abs=0.01)
    low, high = found["warned_interval"]
    assert low < found["warned"] < high
    report = {"candidates": {"served": found}, "floors": {"always": found}, "lead": LEAD, "budget": 1.0}
    assert "| served | 33.3%" in health.pump(report)


def departures(pump: Twin, chances: list[float], warnings: list[str]) -> Alarms:
    """The alarms of a pump without labels, by its chances of a departure hour by hour."""
    remedy = {"part": "seal", "instruction": "look at it", "lead_time": 24}
    axis = Health.model_validate({"false_alarms": 1, "remedy": remedy}).axis
    contract = pump.model_copy(update={"rul": None, "faults": {"health": axis}})
    hours = np.arange(len(chances)) * 1.0
    said = {"p_health_normal": 1 - np.array(chances), "p_health_departed": chances}
    return alarms_of(pd.DataFrame({"time": hours, **said, "warnings": [warnings] * len(hours)}), contract)


def test_cases_open_and_close_by_the_rules_of_the_living_twin(pump):
    chances = [0.1, 0.9, 0.6, 0.1, 0.9, 0.9]
    assert departures(pump, chances, []) == Alarms((1.0, 4.0), stands=True)
    assert departures(pump, chances, ["short_history: 3 of 60 rows"]) == Alarms()
    assert Alarms((1.0, 4.0), stands=True).warning(10.0) == 6.0
    assert Alarms((1.0,)).warning(10.0) == 0.0
