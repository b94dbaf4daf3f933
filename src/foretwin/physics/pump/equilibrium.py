"""Equilibrium of motor, friction and fluid within seconds: speed and flow."""

from collections.abc import Callable

import numpy as np

from foretwin.errors import BadInput
from foretwin.physics.pump.quantities import PUBLISHED, Array, Duty, Operation, Pump, State

Curve = Callable[[Array], tuple[Array, Array]]  # of a quantity and its derivative

NEAR_STEPS = 4  # from an operation at the same duty and an hour's wear away, which is within 1 % or so
NEWTON_STEPS = 8  # a fixed number, so that a pump's result does not depend on the other pumps; 5 suffice


def operate(state: State, duty: Duty, pump: Pump = PUBLISHED, near: Operation | None = None) -> Operation:
    """Solve for the speed and flow at which the torques balance; BadInput where the motor would stall or is at rest.

    `near` is the operation of the same pumps at the same duty before a little wear: a start that needs fewer steps.
    Where one of them has worn too much for that, all are solved without it.

    Newton's method on the slip s, from s = 0: the motor's torque less the load is increasing and concave in s up to
    the breakdown slip, so the iteration approaches the stable solution from below and does not jump over it.
    """
    if near is None:
        slip, steps = np.zeros(np.broadcast(state.impeller_area, duty.supply_speed).shape), NEWTON_STEPS
    else:
        slip, steps = 1 - near.speed / duty.supply_speed, NEAR_STEPS
    with np.errstate(all="ignore"):  # pumps without a solution are rejected below
        motor_at, flow_at = _motor_torque(duty, pump), _flow(state, duty, pump)
        load_at = _load_torque(flow_at, state, duty, pump)
        for _ in range(steps):
            motor, motor_slope = motor_at(slip)
            load, load_slope = load_at(duty.supply_speed * (1 - slip))
            slip = slip + (load - motor) / (motor_slope + duty.supply_speed * load_slope)
        speed = duty.supply_speed * (1 - slip)
        load = load_at(speed)[0]
        torque = motor_at(slip)[0]
    # Beyond the breakdown slip the torque falls as the motor slows: it would stop, or crawl and overheat.
    breakdown = pump.rotor_resistance / np.hypot(pump.stator_resistance, duty.supply_speed * pump.inductance)
    runs = (np.abs(torque - load) < 1e-6 * np.abs(load)) & (slip < breakdown) & (duty.supply_speed > 0)
    if not runs.all() and near is not None:
        return operate(state, duty, pump)
    if not runs.all():
        which = f"pump {np.argmin(runs)} (from 0, of {runs.size})"
        raise BadInput("duty", f"{which} has no steady speed; command one above 0, or reduce its load")
    flow = flow_at(speed)[0]
    current_squared = torque * slip * duty.supply_speed / (pump.phases * pump.pole_pairs * pump.rotor_resistance)
    return Operation(
        speed=speed,
        flow=flow,
        discharge_flow=np.maximum(0, flow - _leak(duty, pump)),
        torque=torque,
        power=torque * duty.supply_speed / pump.pole_pairs + pump.phases * pump.stator_resistance * current_squared,
    )


def _motor_torque(duty: Duty, pump: Pump) -> Curve:
    """Return the torque of the induction motor, N m, and its derivative, as a function of the slip."""
    scale = pump.phases * pump.pole_pairs * pump.rotor_resistance * duty.voltage**2 / duty.supply_speed
    reactance = duty.supply_speed * pump.inductance
    resistance_slope, reactance_slope = 2 * pump.stator_resistance, 2 * reactance**2

    def at(slip: Array) -> tuple[Array, Array]:
        ohmic = pump.stator_resistance * slip + pump.rotor_resistance
        square = ohmic**2 + (reactance * slip) ** 2
        square_slope = resistance_slope * ohmic + reactance_slope * slip
        return scale * slip / square, scale * (square - slip * square_slope) / square**2

    return at


def _load_torque(flow_at: Curve, state: State, duty: Duty, pump: Pump) -> Curve:
    """Return the load torque of friction and fluid, N m, and its derivative, as a function of the speed."""
    friction = pump.shaft_friction + state.thrust_friction + state.radial_friction
    leak, flow_slope_twice, speed_slope = _leak(duty, pump), 2 * pump.torque_flow, 2 * pump.torque_speed

    def at(speed: Array) -> tuple[Array, Array]:
        inner, flow_slope = flow_at(speed)
        flow, mixed = np.maximum(0, inner - leak), pump.torque_mixed * speed
        fluid = pump.torque_speed * speed**2 + mixed * flow - pump.torque_flow * flow**2
        by_flow = mixed - flow_slope_twice * flow
        by_speed = speed_slope * speed + pump.torque_mixed * flow
        return friction * speed + fluid, friction + by_speed + by_flow * flow_slope

    return at


def _flow(state: State, duty: Duty, pump: Pump) -> Curve:
    """Return the flow through the impeller, m3/s, and its derivative, as a function of the speed.

    The positive root of Q^2 = c^2 (A w^2 + b w Q + suction - discharge). A pump too slow to lift its column moves
    nothing, as if behind a check valve; the published form would let it run backwards.
    """
    square, mixed = pump.flow_coefficient**2, pump.flow_coefficient**2 * pump.pressure_mixed
    area_slope = 2 * square * state.impeller_area

    def at(speed: Array) -> tuple[Array, Array]:
        surplus, linear = state.impeller_area * speed**2 + duty.suction - duty.discharge, mixed * speed
        root = np.sqrt(linear**2 + 4 * square * np.maximum(surplus, 0))
        flow = (linear + root) / 2
        slope = (mixed * flow + area_slope * speed) / root
        return np.where(surplus > 0, flow, 0), np.where(surplus > 0, slope, 0)

    return at


def _leak(duty: Duty, pump: Pump) -> Array:
    """Return the internal leak between discharge and suction, m3/s, by which the pump's flow is less."""
    difference = duty.suction - duty.discharge
    leak: Array = pump.leak_coefficient * np.sqrt(np.abs(difference)) * np.sign(difference)
    return leak
