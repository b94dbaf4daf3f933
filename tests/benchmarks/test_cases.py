"""Figures of cases of a fleet whose alarms are known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.accuracy import cases
from benchmarks.accuracy.followed_cases import YEAR, Alarms
from benchmarks.accuracy.intervals import mean_interval
from benchmarks.render.cases import CASES
from foretwin.contract.lead_times import longest_lead_time
from foretwin.project.paths import Paths
from support.archives import ROOT


def test_a_failure_is_caught_a_lead_time_ahead_and_an_alarm_two_before_the_end_is_false():
    pump = Paths(ROOT, "pump").load_contract()
    lead = longest_lead_time(pump)
    assert lead == 72
    hours = np.arange(301.0)
    fleet = pd.concat(
        [pd.DataFrame({"asset": name, "time": hours, "rul": 300 - hours}) for name in "abc"]
        + [pd.DataFrame({"asset": "d", "time": hours, "rul": np.nan})]
    )
    told = {
        "a": Alarms((220.0,), stands=True),  # in time
        "b": Alarms((100.0, 290.0), stands=True),  # a false alarm, and one that comes too late
        "d": Alarms((10.0,), stands=True),  # a pump that did not fail
    }
    found = cases.figures(told, fleet, pump)
    assert found["failures"] == 3
    assert found["caught_a_lead_time_ahead"] == pytest.approx(1 / 3)
    assert found["median_warning"] == 10.0
    assert found["false_alarms_per_machine_year"] == pytest.approx(2 / 1200 * YEAR)
    prices = pump.costs
    expected = (prices.planned + 2 * prices.failure + 2 * prices.inspection) / 3
    assert found["cost_per_failure"] == pytest.approx(expected)

    summed = {"served": cases._summed_up([found, found])}
    report = {"lead_time": lead, "currency": "EUR", "fleets": 2, "pumps": 4, "failures": 6, "models": summed}
    assert "| served | 33.3% (33.3% to 33.3%) |" in CASES["cases"](report)


def test_the_interval_of_a_mean_is_wider_of_fewer_fleets():
    mean, (low, high) = mean_interval([1.0, 2.0, 3.0])
    assert (mean, low) == (2.0, pytest.approx(2 - 4.303 / 3**0.5, abs=1e-3))
    many, (lower, upper) = mean_interval([1.0, 2.0, 3.0] * 10)
    assert many == 2.0
    assert upper - lower < high - low
