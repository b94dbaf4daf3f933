"""The figures of the Tennessee Eastman process, on methods whose answers are known."""

import numpy as np
import pytest

from benchmarks.accuracy import tep
from benchmarks.accuracy.autoencoder import fit_autoencoder
from benchmarks.render import health


def runs() -> dict[str, np.ndarray]:
    """Fault-free noise, and runs that move by five of its standard deviations when the fault begins."""
    generator = np.random.default_rng(1)
    made = {"d00_te": generator.normal(size=(960, 52))}
    for fault in tep.FAULTS:
        rows = generator.normal(size=(960, 52))
        rows[tep.FIRST_FAULTY :] += 5.0 * (fault != 3)
        made[f"d{fault:02}_te"] = rows
    return made


def test_each_method_has_the_same_false_alarms_and_its_own_detections():
    rows = np.random.default_rng(2).normal(size=(500, 52))
    report = tep.measure({"level": lambda x: x.mean(axis=1)} | tep.row_methods(rows), runs())
    level, floors = report["candidates"]["level"], report["floors"]
    assert level["false_alarm_rate"] == pytest.approx(tep.SHARE, abs=0.002)
    low, high = level["false_alarm_rate_interval"]
    assert low < level["false_alarm_rate"] < high
    assert level["by_fault"]["1"] == 1
    assert level["by_fault"]["3"] < 0.05
    assert level["delay"]["1"] == tep.MINUTES * (tep.PERSISTENT - 1)
    assert level["detection_rate_without_3_9_15"] == 1
    assert floors["always"]["detection_rate"] == floors["always"]["false_alarm_rate"] == 1
    assert floors["Q"]["detection_rate"] > 0.9
    told = {"copies": 4, "departed": 2, "told_right": 0.5, "told_as_sensor": 0.5}
    report["sensors"] = dict.fromkeys(("one_channel", "several_channels", "process_faults"), told)
    report |= {"injected": {"level": {"auroc": 0.9}}, "served": {"weights": {"level": 1.0}, "beside": {"network": 1.0}}}
    text = health.tep(report)
    assert "Served: level 100%, beside them network." in text
    assert "| level |" in text
    assert "| floor: dynamic Q |" in text


def test_a_delay_needs_several_rows_in_a_row():
    told = np.zeros(20, bool)
    told[[2, 5, 6]] = True
    assert tep.delay(told) is None
    told[10:13] = True
    assert tep.delay(told) == tep.MINUTES * 12


def test_the_autoencoder_tells_what_it_has_not_learnt_and_every_row_has_a_distance():
    generator = np.random.default_rng(4)
    load = np.repeat(generator.normal(size=(60, 1)), 4, axis=0)
    normal = load + generator.normal(0, 0.1, (240, 8))
    told = fit_autoencoder(normal, 8, epochs=8)
    moved = normal * np.where(np.arange(8) == 3, -1, 1)
    assert told(normal).shape == (240,)
    assert np.median(told(moved)) > 1.5 * np.median(told(normal)), "a channel that no longer goes with the others"
