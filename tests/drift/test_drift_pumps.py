"""What drift is caught on simulated pumps that the reference has not seen, and that clean fleets are silent."""

import numpy as np
import pytest

from benchmarks.accuracy.drift_power import SHIFT, fleets, healthy_lives
from foretwin.drift import compare
from support.drift_fleet import pump_project, reference_of, shifted
from support.pump_lives import pump_twin

CHANNELS = pump_twin().channel_names
PRESSURES = ("suction_pressure", "discharge_pressure")
CLEAN = 20


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return reference_of(*pump_project(tmp_path_factory.mktemp("pumps")))


@pytest.fixture(scope="module")
def lives():
    return healthy_lives(560, seed=4007, contract=pump_twin())


def caught(reference, fleet, name: str, number: int, before: bool = True) -> list[str]:
    """The channels that are named when this one is shifted, up or down."""
    channel = CHANNELS.index(name)
    by = SHIFT * reference.scale.deviation[channel] * (1 if number % 2 else -1)
    earlier = fleet.earlier if before else None
    verdict = compare(reference, fleet.assets, shifted(fleet.values, channel, by), earlier)
    assert verdict.readings == 500
    return [one.name for one in verdict.channels if one.drifted]


def test_twenty_clean_fleets_are_silent(reference, lives):
    some = fleets(lives, 20, 25, CLEAN)
    assert len(some) == CLEAN
    for fleet in some:
        for earlier in (fleet.earlier, None):
            verdict = compare(reference, fleet.assets, fleet.values, earlier)
            assert verdict.enough
            assert not verdict.drifted, [one for one in verdict.channels if one.drifted]


def test_clean_fleets_of_other_sizes_and_ages_are_silent(reference, lives):
    ages = [life[10 * (number % 4) :] for number, life in enumerate(lives)]
    for pumps, hours in ((5, 20), (10, 50), (50, 10), (100, 5), (200, 25)):
        for fleet in fleets(ages, pumps, hours, 4):
            assert not compare(reference, fleet.assets, fleet.values, fleet.earlier).drifted


@pytest.mark.parametrize("name", CHANNELS[1:])
def test_half_a_standard_deviation_is_caught_within_500_readings_of_50_pumps(reference, lives, name):
    some = fleets(lives, 50, 10, 8)
    assert [caught(reference, fleet, name, number) for number, fleet in enumerate(some)] == [[name]] * 8


@pytest.mark.parametrize("name", [name for name in CHANNELS[1:] if name not in PRESSURES])
def test_and_of_20_pumps(reference, lives, name):
    some = fleets(lives, 20, 25, 8)
    assert [caught(reference, fleet, name, number) for number, fleet in enumerate(some)] == [[name]] * 8


@pytest.mark.parametrize("name", PRESSURES)
def test_of_20_pumps_a_pressure_that_wanders_by_itself_is_caught_more_often_than_not(reference, lives, name):
    """The pressures of a pump keep their value for about 50 h: a day of 20 pumps is 20 independent values."""
    found = [caught(reference, fleet, name, number) for number, fleet in enumerate(fleets(lives, 20, 25, 10))]
    assert sum(names == [name] for names in found) > 5
    assert all(names in ([name], []) for names in found), "or nothing is named: never another channel"


def test_without_earlier_readings_what_other_channels_explain_is_caught_and_a_sensor_of_its_own_is_not(
    reference, lives
):
    """Each pump's flow meter has a bias of its own, as large as its noise: 20 meters may all be a little high."""
    some = fleets(lives, 20, 25, 8)
    for name in ("radial_temperature", "oil_temperature"):
        assert all(caught(reference, fleet, name, number, before=False) == [name] for number, fleet in enumerate(some))
    assert any(not caught(reference, fleet, "flow", number, before=False) for number, fleet in enumerate(some))


def test_a_fleet_that_always_was_different_is_caught_where_it_is_far_enough(reference, lives):
    fleet = fleets(lives, 20, 25, 1)[0]
    channel, pumps = CHANNELS.index("vibration"), np.unique(fleet.assets)
    by = 1.5 * reference.scale.deviation[channel]
    earlier = (fleet.earlier[0], shifted(fleet.earlier[1], channel, by))
    verdict = compare(reference, fleet.assets, shifted(fleet.values, channel, by), earlier)
    found = verdict.channels[channel]
    assert [one.name for one in verdict.channels if one.drifted] == ["vibration"]
    assert (found.change, verdict.assets) == (False, len(pumps))
    assert found.shift == pytest.approx(1.5, abs=0.6)


def test_another_speed_is_a_change_of_operation(reference, lives):
    fleet = fleets(lives, 20, 25, 1)[0]
    verdict = compare(reference, fleet.assets, shifted(fleet.values, 0, 40), fleet.earlier)
    found = verdict.channels[0]
    assert (found.name, found.drifted, found.shift) == ("commanded_speed", True, 0)
    assert found.psi > found.limit


def test_another_mix_of_speeds_is_none(reference, lives):
    fleet = fleets(lives, 100, 25, 1)[0]
    fast = fleet.values[:, 0] > 3600
    mixed = compare(reference, fleet.assets[fast], fleet.values[fast], fleet.earlier)
    assert mixed.enough
    assert not mixed.drifted


def test_a_wider_spread_is_caught_by_psi_alone(reference, lives):
    fleet = fleets(lives, 50, 10, 1)[0]
    channel = CHANNELS.index("vibration")
    noise = np.random.default_rng(1).normal(0, 2.5 * reference.scale.deviation[channel], len(fleet.values))
    values = np.copy(fleet.values)
    values[:, channel] += (noise - noise.mean()).astype(np.float32)
    found = compare(reference, fleet.assets, values, fleet.earlier).channels[channel]
    assert (found.name, found.drifted) == ("vibration", True)
    assert found.psi > found.limit
    assert abs(found.shift) < found.shift_limit
