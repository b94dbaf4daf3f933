"""Wear that single rows show: exact in the steady state, near in each hour, and within the data sheet's errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from foretwin.physics.pump import (
    LIMITS,
    PUBLISHED,
    SHOWN_BY,
    Duty,
    State,
    life_ended,
    limits_met,
    new_state,
    readings,
    settle,
    step,
    wear_allowances,
    worn_parts,
)
from foretwin.physics.pump.data_sheet import SENSORS
from foretwin.physics.pump.quantities import WearRates

PUMPS = 300


def random_duty(generator: np.random.Generator) -> Duty:
    suction = generator.uniform(2.2, 2.6, PUMPS)
    return Duty.from_settings(
        {
            "commanded_speed": 3600 * generator.choice([0.90, 0.96, 1.02], PUMPS),
            "ambient_temperature": generator.uniform(0, 35, PUMPS),
            "suction_pressure": suction,
            "discharge_pressure": suction + generator.uniform(6, 7, PUMPS),
        }
    )


def worn(generator: np.random.Generator, duty: Duty) -> State:
    """Pumps anywhere between new and the end of their life."""
    parts = np.stack([generator.uniform(high, low, PUMPS) for high, low in ((0.75, 1.0), (1.0, 1.9), (1.0, 2.7))])
    return new_state(parts, duty)


def seen(state: State, duty: Duty) -> dict[str, np.ndarray]:
    shown = readings(state, duty) | {"ambient_temperature": duty.ambient - 273.15}
    return {name: shown[name] for name in SHOWN_BY}


def errors(found: tuple[np.ndarray, ...], state: State) -> np.ndarray:
    """Relative errors (3, N) of impeller area, thrust and radial friction."""
    true = np.stack([state.impeller_area, state.thrust_friction, state.radial_friction])
    return np.abs(np.stack(found) / true - 1)


def test_a_settled_pump_shows_its_wear_exactly_in_arrays_and_tensors_alike() -> None:
    generator = np.random.default_rng(1)
    duty = random_duty(generator)
    state = worn(generator, duty)
    shown = seen(state, duty)
    found = worn_parts(shown)
    assert errors(found, state).max() < 1e-4, "only the leak is left out"
    tensors = worn_parts({name: torch.from_numpy(values) for name, values in shown.items()})
    for one, other in zip(tensors, found, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-12)


def test_an_hour_after_any_change_of_duty_the_wear_is_seen_within_an_eighth() -> None:
    generator = np.random.default_rng(2)
    before, after = random_duty(generator), random_duty(generator)
    state = step(worn(generator, before), after, WearRates(*np.zeros((3, 1))))
    off = errors(worn_parts(seen(state, after)), state)
    assert off.max() < 0.125
    assert off.mean() < 0.02


def test_two_days_of_noisy_readings_show_the_wear_as_well_as_the_biases_allow() -> None:
    """The mean of 48 hours; a pump's own sensor biases stay: 1.5 % of the flow, 0.9 K of each temperature."""
    generator = np.random.default_rng(3)
    duty = random_duty(generator)
    state = worn(generator, duty)
    ideal = seen(state, duty)
    allowances = np.array(wear_allowances())[:, None]
    used = []
    bias = {name: generator.standard_normal(PUMPS) for name in SENSORS}
    for _ in range(48):
        noisy = dict(ideal)
        for name in set(SENSORS) & set(ideal):
            error = bias[name] + generator.standard_normal(PUMPS)
            noisy[name] = ideal[name] * (1 + SENSORS[name].share * error) + SENSORS[name].absolute * error
        area, thrust, radial = worn_parts(noisy)
        used.append(np.stack([-area, np.log(thrust), np.log(radial)]) / allowances)
    true = np.stack([-state.impeller_area, np.log(state.thrust_friction), np.log(state.radial_friction)]) / allowances
    spread = np.sqrt(np.mean((np.mean(used, axis=0) - true) ** 2, axis=1))
    assert (spread < [0.12, 0.06, 0.12]).all(), "in shares of the wear that ends a life"
    assert (np.std(used, axis=0).mean(axis=1) > 0.3 * spread).all(), "noise must matter, or the mean proves nothing"


@pytest.mark.parametrize("part", range(3))
def test_a_life_ends_where_one_part_has_used_its_allowance(part: int) -> None:
    rated = Duty.rated()
    allowed = wear_allowances()[part]
    for share, ends in ((0.99, False), (1.01, True)):
        state = new_state(np.ones((3, 1)), rated)
        if part == 0:
            state = replace(state, impeller_area=state.impeller_area - share * allowed)
        else:
            name = ("thrust_friction", "radial_friction")[part - 1]
            state = settle(replace(state, **{name: getattr(state, name) * np.exp(share * allowed)}), rated)
        assert life_ended(state)[0] == ends, (LIMITS, limits_met(settle(state, rated), PUBLISHED))
