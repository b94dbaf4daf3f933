"""Temperatures and wear of a pump from one hour to the next, and its end of life."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from foretwin.physics.pump.equilibrium import operate
from foretwin.physics.pump.quantities import PUBLISHED, Array, Duty, Operation, Pump, State, WearRates

Operate = Callable[[State, Duty, Pump], Operation]
LIMITS = ("impeller_area", "thrust_temperature", "radial_temperature", "oil_temperature")


def new_state(parts: Array, duty: Duty, pump: Pump = PUBLISHED) -> State:
    """Create pumps warm at `duty`; `parts` (3, N): area, thrust, radial friction relative to a new part's, 1 = new."""
    wear = parts * np.array([[pump.new_area], [pump.new_thrust_friction], [pump.new_radial_friction]])
    cold = np.full_like(wear, pump.rated_ambient)
    return settle(State(*wear, *cold), duty, pump)


def step(
    state: State,
    duty: Duty,
    rates: WearRates,
    seconds: float = 3600,
    pump: Pump = PUBLISHED,
    running: Operate = operate,
) -> State:
    """Advance the state by `seconds` of constant duty and wear rates, about an hour; `running` gives speed and flow."""
    begin = running(state, duty, pump)
    end = running(_wear(state, begin, begin, rates, seconds), duty, pump)
    worn = _wear(state, begin, end, rates, seconds)
    inverse, decay = _thermal_system(pump, seconds)
    before = _settled(inverse, begin.speed**2, state, duty, pump)
    after = _settled(inverse, end.speed**2, worn, duty, pump)
    # A linear system driven by a ramp trails the temperature it would settle at by a constant lag.
    lag = _apply(inverse, (after - before) / seconds)
    return _with_temperatures(worn, after + lag + _apply(decay, _temperatures(state) - before - lag))


def wear(state: State, duty: Duty, rates: WearRates, seconds: float = 3600, pump: Pump = PUBLISHED) -> State:
    """Advance the wear alone, at unchanged temperatures, which wear does not depend on: faster than `step`."""
    begin = operate(state, duty, pump)
    end = operate(_wear(state, begin, begin, rates, seconds), duty, pump, near=begin)
    return _wear(state, begin, end, rates, seconds)


def settle(state: State, duty: Duty, pump: Pump = PUBLISHED) -> State:
    """Return the same wear at the steady temperatures of `duty`."""
    inverse = _thermal_system(pump, 0)[0]
    return _with_temperatures(state, _settled(inverse, operate(state, duty, pump).speed ** 2, state, duty, pump))


def limits_met(state: State, pump: Pump = PUBLISHED) -> NDArray[np.bool_]:
    """Return which of `LIMITS` the state has reached, bool (4, N)."""
    return np.stack(
        [
            state.impeller_area <= pump.area_limit,
            state.thrust_temperature >= pump.bearing_limit,
            state.radial_temperature >= pump.bearing_limit,
            state.oil_temperature >= pump.oil_limit,
        ]
    )


def life_ended(state: State, pump: Pump = PUBLISHED) -> NDArray[np.bool_]:
    """Return whether a limit is met at the steady temperatures of the rated duty, bool (N,).

    At the rated duty the wear alone decides, not the speed and weather of the last hours.
    """
    return np.asarray(limits_met(settle(state, Duty.rated(pump), pump), pump).any(axis=0))


def _wear(state: State, begin: Operation, end: Operation, rates: WearRates, seconds: float) -> State:
    """Wear the parts of the state, by the mean of Q^2 and w^2 at both ends of the step."""
    flow_squared = (begin.flow**2 + end.flow**2) / 2
    speed_squared = (begin.speed**2 + end.speed**2) / 2
    return replace(
        state,
        impeller_area=np.maximum(0, state.impeller_area - rates.impeller * flow_squared * seconds),
        thrust_friction=state.thrust_friction * np.exp(rates.thrust * speed_squared * seconds),
        radial_friction=state.radial_friction * np.exp(rates.radial * speed_squared * seconds),
    )


@lru_cache(maxsize=16)
def _thermal_system(pump: Pump, seconds: float) -> tuple[Array, Array]:
    """Return the inverse of M, s, and exp(M seconds), both (3, 3), for T' = M T + h with T = (thrust, radial, oil)."""
    system = np.array(
        [
            [-(pump.thrust_to_ambient + pump.thrust_to_oil), 0, pump.thrust_to_oil],
            [0, -(pump.radial_to_ambient + pump.radial_to_oil), pump.radial_to_oil],
            [pump.oil_to_thrust, pump.oil_to_radial, -(pump.oil_to_thrust + pump.oil_to_radial + pump.oil_to_ambient)],
        ]
    )
    system /= np.array([pump.thrust_capacity, pump.radial_capacity, pump.oil_capacity])[:, None]
    values, vectors = np.linalg.eig(system)
    inverse = np.linalg.inv(vectors)
    return (vectors / values) @ inverse, (vectors * np.exp(values * seconds)) @ inverse


def _settled(inverse: Array, speed_squared: Array, state: State, duty: Duty, pump: Pump) -> Array:
    """Solve for the steady temperatures (3, N), K, at which heat from friction and ambient equals heat lost."""
    heat = [
        (state.thrust_friction * speed_squared + pump.thrust_to_ambient * duty.ambient) / pump.thrust_capacity,
        (state.radial_friction * speed_squared + pump.radial_to_ambient * duty.ambient) / pump.radial_capacity,
        pump.oil_to_ambient * duty.ambient / pump.oil_capacity + 0 * speed_squared,
    ]
    return _apply(inverse, -np.stack(heat))


def _apply(matrix: Array, values: Array) -> Array:
    """Multiply (3, 3) by (3, N), term by term: a matrix product's rounding could depend on N."""
    return np.stack([row[0] * values[0] + row[1] * values[1] + row[2] * values[2] for row in matrix])


def _temperatures(state: State) -> Array:
    """Stack the temperatures (3, N) of thrust bearing, radial bearing and oil, K."""
    return np.stack([state.thrust_temperature, state.radial_temperature, state.oil_temperature])


def _with_temperatures(state: State, temperatures: Array) -> State:
    thrust, radial, oil = temperatures
    return replace(state, thrust_temperature=thrust, radial_temperature=radial, oil_temperature=oil)
