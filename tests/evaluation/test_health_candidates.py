"""Candidates for health: each tells what is far from normal, and they are judged on departures in copies alone."""

from pathlib import Path

import numpy as np
import pytest

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.table import canonical
from foretwin.evaluation.health_candidates import health_distances, judge_candidates
from foretwin.metrics import threshold
from support.small_fleet import PREPARE, REMEDY, fleet_rows, fleet_twin, prepared

NAMES = list(health_distances(1))


def windows(count: int, seed: int) -> np.ndarray:
    """Windows of twelve features that follow three hidden ones, with little noise."""
    generator = np.random.default_rng(seed)
    hidden = generator.normal(size=(count, 3))
    return hidden @ np.random.default_rng(0).normal(size=(3, 12)) + generator.normal(0, 0.1, (count, 12))


@pytest.mark.parametrize("name", NAMES)
def test_what_moved_far_is_farther_than_what_is_normal(name):
    distance = health_distances(1)[name].fit(windows(600, 1))
    calm, moved = distance(windows(300, 2)), distance(windows(300, 3) + 8)
    assert calm.shape == moved.shape == (300,)
    assert np.mean(moved > threshold(calm, 0.05)) > 0.95


@pytest.mark.parametrize("name", ["principal_components", "kernel_regression"])
def test_a_channel_that_parts_from_the_others_is_told_though_its_values_are_usual(name):
    distance = health_distances(1)[name].fit(windows(3000, 1))
    parted = windows(300, 2)
    parted[:, 4] = np.random.default_rng(5).permutation(parted[:, 4])
    assert np.mean(distance(parted) > threshold(distance(windows(300, 3)), 0.05)) > 0.4


def test_the_threshold_leaves_the_share_with_one_more_alarm():
    assert threshold(np.arange(100.0), 0.05) == 95
    assert threshold(np.arange(10.0), 0.01) == 9, "too few to allow any"


def test_they_are_judged_on_folds_that_they_have_not_seen(tmp_path: Path):
    health = {"remedy": REMEDY, "false_alarms": 20}
    twin = Twin.model_validate(fleet_twin("faults").model_dump() | {"faults": {}, "health": health})
    rows = fleet_rows(fleet_twin("faults"), 24)
    development = prepared(tmp_path, twin, canonical(rows[rows["time"] < 25], twin))
    found = judge_candidates(development, twin, 1)
    assert set(found) == set(NAMES)
    assert [one["auroc"] for one in found.values()] == sorted((one["auroc"] for one in found.values()), reverse=True)
    assert next(iter(found.values()))["auroc"] > 0.8
    for one in found.values():
        assert one["false_alarm_rate"] <= alarm_share(twin) + 1 / one["normal"]
    own = Development.load(tmp_path, twin, PREPARE)
    assert found == judge_candidates(own, twin, 1), "repeatable"
