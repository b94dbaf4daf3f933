"""Signals of failing data sources: what each measures, and that a healthy fleet breaks none."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from foretwin.contract.policy import CasePolicy, Quality
from foretwin.twin.monitoring.data_quality import LIMITS
from foretwin.twin.monitoring.run import MonitorSettings, monitor
from foretwin.twin.store.telemetry import quarantine
from foretwin.wire.readings import Rejected
from support.monitored_fleet import PUMP, live_through, look, machines, monitored_project
from support.stored_readings import store_rows

pytestmark = pytest.mark.dated

ON_SQLITE = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
POLICY = PUMP.model_copy(
    update={"quality": Quality(max_stuck_rows=6, may_be_constant=("c2",)), "cases": CasePolicy(stale_after=6)}
)


def found(store, root, policy=POLICY, now=None):
    report = monitor(store, root, policy, MonitorSettings(), now or datetime.now(UTC))
    return {(one["name"], one["of"]): one for one in report["signals"]}


@pytest.fixture
def root(tmp_path):
    return monitored_project(tmp_path)


@ON_SQLITE
def test_a_healthy_fleet_breaks_none(store, root):
    live_through(store, root, machines(6, 20, seed=3))
    signals = found(store, root)
    assert {name for name, _ in signals} == set(LIMITS) - {"quarantine"}
    assert not any(one["broken"] for one in signals.values())
    assert ("stuck", "c2") not in signals  # it may be constant


@ON_SQLITE
def test_readings_that_lack_a_channel(store, root):
    rows = machines(4, 20, seed=3)
    live_through(store, root, rows[rows["time"] < 10])
    store_rows(store, PUMP, rows[rows["time"] >= 10], datetime.now(UTC), ["speed", "c2"])
    signals = found(store, root)
    assert signals["missing", "c1"]["value"] == 0.5
    assert signals["missing", "c1"]["broken"]
    assert "50.0% of the recent readings lack c1" in signals["missing", "c1"]["sentence"]
    assert not signals["missing", "speed"]["broken"]


@ON_SQLITE
def test_readings_that_did_not_come(store, root):
    rows = machines(5, 20, seed=3)
    live_through(store, root, rows[~rows["time"].isin([4, 5, 6, 12])])
    gaps = found(store, root)["gaps", ""]
    assert (gaps["value"], gaps["broken"]) == (pytest.approx(0.2), True)
    assert gaps["sentence"] == "20.0% of the recent readings did not come (limit 10%)"


@ON_SQLITE
def test_a_sensor_that_stands_still_is_named_with_its_assets(store, root):
    rows = machines(5, 20, seed=3)
    rows.loc[(rows["asset"] == "P-2") & (rows["time"] >= 13), ["c1", "c2"]] = np.float32(0.1)
    rows.loc[(rows["asset"] == "P-3") & (rows["time"] >= 14), "c1"] = np.float32(0.1)  # six times: it may
    live_through(store, root, rows)
    stuck = found(store, root)["stuck", "c1"]
    assert (stuck["value"], stuck["broken"], stuck["assets"]) == (0.2, True, ["P-2"])


def test_what_was_set_aside_by_reason(store, root):
    live_through(store, root, machines(5, 18, seed=3))
    now = datetime.now(UTC)
    with store.write() as connection:
        rejected = [
            Rejected("pump", "P-1", "channels.c1", "range", "is 2000", json.dumps({"time": i})) for i in range(10)
        ]
        quarantine.add_quarantined(connection, "http", rejected, now)
        quarantine.add_quarantined(connection, "http", [Rejected("fan", "F-1", "c1", "range", "", "x")], now)
        old = Rejected("pump", "P-1", "time", "clock", "", "old")
        (one,) = quarantine.add_quarantined(connection, "http", [old], now - timedelta(days=9)).kept
        assert one == old
    signals = found(store, root)
    assert signals["quarantine", "range"]["value"] == pytest.approx(0.1)
    assert signals["quarantine", "range"]["broken"]
    assert ("quarantine", "clock") not in signals


def test_scores_outside_the_range_of_training(store, root):
    rows = machines(5, 20, seed=3)
    rows.loc[rows["asset"].isin(["P-1", "P-2"]), "c1"] = np.float32(9)
    live_through(store, root, rows)
    outside = found(store, root)["out_of_training_range", "c1"]
    assert (outside["value"], outside["broken"]) == (0.4, True)


@ON_SQLITE
def test_machines_older_than_those_of_training_are_told(store, root):
    rows = machines(5, 20, seed=3, start=70)  # those of training reached 79 h
    live_through(store, root, rows[rows["asset"].isin(["P-1", "P-2"]) | (rows["time"] < 79)])
    outside = found(store, root)["out_of_training_range", "age"]
    assert (outside["value"], outside["broken"]) == (0.4, True)
    assert outside["sentence"] == "40.0% of the recent scores saw in age what no machine in training showed (limit 20%)"


@ON_SQLITE
def test_silent_assets_are_counted_where_the_clock_is_one_of_time(store, root):
    live_through(store, root, machines(4, 20, seed=3), datetime.now(UTC) - timedelta(hours=7))
    live_through(store, root, machines(6, 20, seed=3, prefix="R"))
    silent = found(store, root)["silent", ""]
    assert (silent["value"], silent["broken"], silent["assets"]) == (0.4, True, [f"P-{i}" for i in range(1, 5)])
    assert ("silent", "") not in found(store, root, PUMP)
    assert look(store, root)["case"] is None  # a failing source is no drift of the model
