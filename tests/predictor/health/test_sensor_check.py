"""A failing sensor is told from a failing machine: one channel that the others contradict, or that stands still."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical
from foretwin.dataset.windows import Histories
from foretwin.predictor.health.sensor_check import JudgedWindows, SensorCheck, sensor_warnings
from foretwin.predictor.healthy_baseline import RegimeCentres
from support.small_fleet import REMEDY

ONE_REGIME = RegimeCentres((), np.zeros((1, 0), np.float32), np.zeros(0, np.float32)).nearest
LENGTH = 10
TWIN = Twin.model_validate(
    {
        "name": "twins",
        "title": "A machine with sensors that tell each other, and one of its own",
        "source": {"kind": "pump", "assets": 12, "seed": 1},
        "clock": {"unit": "h", "step": 1, "counts_from_start": False},
        "channels": {
            "speed": {"unit": "rpm", "role": "setting", "min": -1e4, "max": 1e4},
            **{name: {"unit": "K", "role": "sensor", "min": -1e4, "max": 1e4} for name in ("inlet", "oil", "outlet")},
            "vibration": {"unit": "mm/s", "role": "sensor", "min": -1e4, "max": 1e4},
        },
        "health": {"remedy": REMEDY, "false_alarms": 20},
        "window": {"length": LENGTH, "shortest": LENGTH},
    }
)


def histories(count: int, seed: int) -> Histories:
    """Machines whose three temperatures follow load and speed, and whose vibration follows the speed alone."""
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(count):
        load, speed = generator.normal(0, 1, (2, 60))
        content = {"asset": f"m{number}", "run": 1, "time": np.arange(1.0, 61), "speed": 100 + 10 * speed}
        for name, gain in (("inlet", 1.0), ("oil", 1.5), ("outlet", 2.0)):
            content[name] = 300 + gain * load + 0.5 * speed + generator.normal(0, 0.1, 60)
        parts.append(pd.DataFrame(content | {"vibration": 3 + speed + generator.normal(0, 0.3, 60)}))
    return Histories.from_rows(canonical(pd.concat(parts, ignore_index=True), TWIN), TWIN)


@pytest.fixture(scope="module")
def sensors() -> SensorCheck:
    return SensorCheck.fit(histories(12, 1), TWIN, ONE_REGIME)


def windows(seed: int = 2):
    whole = histories(30, seed)
    return whole.cut(np.arange(59, len(whole.first), 60), LENGTH)


def judge(sensors: SensorCheck, x: np.ndarray) -> dict[int, str]:
    """What is told of windows that count as departed wherever a channel is far from what it was, or still."""
    clean = windows()

    def predict(asked):
        far = np.abs(asked.x.mean(axis=1) - clean.x.mean(axis=(0, 1))) / clean.x.std(axis=(0, 1))
        still = (asked.x[:, 1:] == asked.x[:, :-1]).all(axis=1)
        return {"health": np.where((far > 1.5).any(axis=1) | still.any(axis=1), "departed", "normal")}

    judged = JudgedWindows(replace(clean, x=x), predict, np.ones(len(x), bool))
    return sensor_warnings(TWIN, sensors, ONE_REGIME, judged, np.arange(len(x)))


def test_channels_that_others_tell_are_known_and_those_that_only_settings_tell_are_not(sensors: SensorCheck):
    assert sensors.told.tolist() == [False, True, True, True, False]
    again = SensorCheck.from_dict(sensors.to_dict())
    for name in ("mean", "scale", "weights", "spread", "told", "range", "still", "jump", "scatter"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sensors, name))
    before = {name: one for name, one in sensors.to_dict().items() if name not in ("jump", "scatter")}
    assert np.isinf(SensorCheck.from_dict(before).jump).all(), "a bundle of a version before"


def test_a_sensor_that_the_others_contradict_is_named(sensors: SensorCheck):
    x = windows().x.copy()
    x[:, :, 2] += 6
    found = judge(sensors, x)
    assert len(found) >= 0.9 * len(x)
    assert set(found.values()) == {"oil contradicts the other channels"}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("shift", "jumps"),
        ("noise", "scatters"),
        ("stuck", "stands still"),
        ("drift", "contradicts the other channels"),
    ],
)
def test_a_channel_that_departs_alone_bears_the_signature_of_a_failing_sensor_or_none(sensors, kind, told):
    x, generator = windows().x.copy(), np.random.default_rng(3)
    late = x[:, 3:, 2]
    changed = {
        "shift": late + 9,
        "noise": late + generator.normal(0, 12, late.shape),
        "stuck": np.broadcast_to(late[:, :1], late.shape),
        "drift": late + np.linspace(5, 8, late.shape[1]),
    }
    if kind == "drift":  # it began before the window
        x[:, :3, 2] += 5
    x[:, 3:, 2] = changed[kind]
    found = judge(sensors, x)
    assert len(found) >= 0.5 * len(x)
    counts = pd.Series(list(found.values())).value_counts()
    assert counts.index[0] == f"oil {told}"
    assert counts.iloc[0] >= 0.9 * counts.sum()


def test_a_machine_whose_channels_depart_together_is_no_sensor(sensors: SensorCheck):
    x = windows().x.copy()
    x[:, :, 1:4] += np.array([6.0, 9.0, 12.0], np.float32)  # as a load that nobody saw would
    assert judge(sensors, x) == {}
    x = windows().x.copy()
    x[:, :, 1] += 6
    x[:, :, 3] -= 6
    assert judge(sensors, x) == {}


def test_a_channel_that_only_the_machine_could_explain_is_no_sensor(sensors: SensorCheck):
    x = windows().x.copy()
    x[:, :, 4] += 6
    assert judge(sensors, x) == {}


def test_a_sensor_that_stands_still_within_its_range_is_named_whatever_it_measures(sensors: SensorCheck):
    x = windows().x.copy()
    x[:, :, 4] = 3.2
    found = judge(sensors, x)
    assert set(found.values()) == {"vibration stands still"}
    assert len(found) >= 0.9 * len(x)
    x[:, :, 4] = sensors.range[1, 4]
    assert judge(sensors, x) == {}, "at the end of its range a machine may hold it"
