"""What healthy machines show, by regime and, in a cycle, by row; and what is kept of it in a bundle."""

import json
from dataclasses import replace

import numpy as np
import pytest

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical
from foretwin.dataset.windows import Histories
from foretwin.predictor import healthy_baseline
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres, healthy_rows
from support.small_fleet import CAP, fleet_rows, fleet_twin
from support.tiny_bundle import random_rows, tiny_twin

ONE = RegimeCentres((), np.zeros((1, 0), np.float32), np.zeros(0, np.float32))
DUTY = RegimeCentres((1,), np.array([[1000], [2000]], np.float32), np.array([500], np.float32))


def histories_of(twin: Twin, rul: list[float], faults: list[list[int]]) -> Histories:
    """Runs of four rows; the value of the first channel is the row's number, of the second ten times that."""
    count = len(rul)
    number = np.arange(count)
    values = np.zeros((count, len(twin.channels)), np.float32)
    values[:, 0], values[:, 1] = number, 10 * number
    return Histories(
        values=values,
        time=(number % 4 + 1).astype(float),
        rul=np.array(rul, np.float32),
        faults=np.array(faults, np.int8).reshape(count, len(twin.axes)),
        first=number - number % 4,
    )


@pytest.mark.parametrize(
    ("rul", "faults", "rows", "healthy"),
    [
        (True, False, [(100, []), (99, []), (np.nan, []), (250, [])], [True, False, True, True]),
        (True, True, [(100, [0, 0]), (100, [1, 0]), (np.nan, [-1, -1]), (5, [0, 0])], [True, False, True, False]),
        (False, True, [(np.nan, [0, 0]), (np.nan, [0, 1]), (np.nan, [0, -1]), (9, [0, 0])], [True, False, False, True]),
    ],
)
def test_a_row_is_healthy_where_nothing_is_known_to_be_wrong(rul, faults, rows, healthy):
    twin = tiny_twin(rul=rul, faults=faults)
    histories = histories_of(twin, [life for life, _ in rows], [classes for _, classes in rows])
    assert healthy_rows(histories, twin).tolist() == healthy


@pytest.mark.parametrize("rows", [4, 11])
def test_many_rows_are_read_a_part_at_a_time_with_the_same_result_bit_by_bit(monkeypatch, rows):
    twin = tiny_twin(faults=False, length=4)
    twin = twin.model_copy(update={"window": twin.window.model_copy(update={"shortest": 4})})
    histories = histories_of(twin, [*np.arange(60.0, 100.0), *[200.0] * 8], [[]] * 48)
    histories.values[:] = np.random.default_rng(1).normal(size=histories.values.shape) * 1e3
    histories.values[5:9, 2] = np.nan
    whole = HealthyBaseline.fit(histories, twin, DUTY).to_dict()
    monkeypatch.setattr(healthy_baseline, "AT_ONCE", rows)
    assert HealthyBaseline.fit(histories, twin, DUTY).to_dict() == whole


def test_a_level_is_the_mean_of_the_healthy_rows_of_its_regime_as_are_the_ages():
    twin = fleet_twin("rul")
    rows = fleet_rows(twin)
    reference = HealthyBaseline.fit(Histories.from_rows(rows, twin), twin, DUTY)
    healthy = rows[rows["rul"] >= CAP]
    assert len(healthy) < len(rows)
    for regime, fast in enumerate([False, True]):
        part = healthy[(healthy["duty"] > 1500) == fast]
        expected = part[list(twin.channel_names)].mean()
        np.testing.assert_allclose(reference.healthy[regime, 0], expected, rtol=1e-4)
    assert reference.age == pytest.approx(healthy["time"].mean())


def test_without_healthy_rows_all_rows_of_the_regime_count_and_without_those_all_rows():
    twin = tiny_twin(faults=False)
    three = RegimeCentres((1,), np.array([[0], [60], [999]], np.float32), np.ones(1, np.float32))
    histories = histories_of(twin, [100, 100, 50, 50, 50, 50, 50, 50], [[]] * 8)  # the second channel is 0, 10, ... 70
    levels = HealthyBaseline.fit(histories, twin, three).healthy[:, 0, 0]
    assert levels.tolist() == [0.5, np.mean([4, 5, 6, 7]), np.mean(range(8))]
    ill = HealthyBaseline.fit(replace(histories, rul=np.full(8, 50, np.float32)), twin, ONE)
    assert ill.healthy[0, 0, 0] == np.mean(range(8))
    assert ill.age == 2.5


def test_where_each_run_is_one_cycle_its_rows_have_levels_of_their_own():
    twin = fleet_twin("rul", length=4, whole=True)
    histories = histories_of(twin, [100, 100, 100, 100, 100, 100, 100, 100, 5, 5, 5, 5], [[]] * 12)
    cyclic = HealthyBaseline.fit(histories, twin, ONE)
    assert cyclic.healthy[0, :, 0].tolist() == [2, 3, 4, 5]
    window = histories.values[:4]
    np.testing.assert_array_equal(cyclic.healthy_readings(window)[:, 0], [2, 3, 4, 5])
    padded = fleet_twin("rul", length=4)
    assert HealthyBaseline.fit(histories, padded, ONE).healthy[0, :, 0].tolist() == [3.5]
    longer = fleet_twin("rul", length=3, whole=True)
    assert HealthyBaseline.fit(histories, longer, ONE).healthy.shape[1] == 1


def test_a_reading_is_replaced_within_the_regime_of_its_own_row():
    twin = fleet_twin("rul")
    reference = HealthyBaseline.fit(Histories.from_rows(fleet_rows(twin), twin), twin, DUTY)
    window = np.array([[0, 1100, 0, 0], [0, 1900, 0, 0], [0, 1000, 0, 0]], np.float32)
    np.testing.assert_array_equal(reference.healthy_readings(window), reference.healthy[[0, 1, 0], 0])


def test_the_nearest_regime_is_told_by_the_settings_own_scales():
    regimes = RegimeCentres((2, 0), np.array([[0, 0], [10, 1000]], np.float32), np.array([10, 1000], np.float32))
    rows = np.array([[400, 7, 9], [600, 7, 1], [900, 7, 9]], np.float32)
    assert regimes.nearest(rows).tolist() == [1, 0, 1]


def test_ranges_are_the_lowest_and_highest_readings():
    twin = tiny_twin()
    rows = canonical(random_rows(twin, {"a": 30, "b": 30}), twin)
    reference = HealthyBaseline.fit(Histories.from_rows(rows, twin), twin, ONE)
    expected = rows[list(twin.channel_names)].agg(["min", "max"])
    np.testing.assert_array_equal(reference.ranges, expected.to_numpy(np.float32))


def test_it_comes_back_from_json_as_it_was():
    twin = fleet_twin()
    reference = HealthyBaseline.fit(Histories.from_rows(fleet_rows(twin), twin), twin, DUTY)
    again = HealthyBaseline.from_dict(json.loads(json.dumps(reference.to_dict())))
    for name in ("ranges", "healthy"):
        np.testing.assert_array_equal(getattr(again, name), getattr(reference, name))
    np.testing.assert_array_equal(again.regimes.centres, DUTY.centres)
    np.testing.assert_array_equal(again.regimes.spread, DUTY.spread)
    assert (again.regimes.settings, again.age) == (DUTY.settings, reference.age)
    assert again.healthy.dtype == again.ranges.dtype == np.float32
