"""Equilibrium of motor, friction and fluid within seconds: speed and flow."""

import numpy as np

from foretwin.errors import BadInput
from foretwin.physics.pump.quantities import PUBLISHED, Array, Duty, Operation, Pump, State

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
        for _ in range(steps):
            motor, motor_slope = _motor_torque(slip, duty, pump)
            load, load_slope = _load_torque(duty.supply_speed * (1 - slip), state, duty, pump)
            slip = slip + (load - motor) / (motor_slope + duty.supply_speed * load_slope)
        speed = duty.supply_speed * (1 - slip)
        load = _load_torque(speed, state, duty, pump)[0]
        torque = _motor_torque(slip, duty, pump)[0]
    # Beyond the breakdown slip the torque falls as the motor slows: it would stop, or crawl and overheat.
    breakdown = pump.rotor_resistance / np.hypot(pump.stator_resistance, duty.supply_speed * pump.inductance)
    runs = (np.abs(torque - load) < 1e-6 * np.abs(load)) & (slip < breakdown) & (duty.supply_speed > 0)
    if not runs.all() and near is not None:
        return operate(state, duty, pump)
    if not runs.all():
        which = f"pump {np.argmin(runs)} (from 0, of {runs.size})"
        raise BadInput("duty", f"{which} has no steady speed; command one above 0, or reduce its load")
    flow = _flow(speed, state, duty, pump)[0]
    current_squared = torque * slip * duty.supply_speed / (pump.phases * pump.pole_pairs * pump.rotor_resistance)
    return Operation(
        speed=speed,
        flow=flow,
        discharge_flow=_discharge_flow(flow, duty, pump),
        torque=torque,
        power=torque * duty.supply_speed / pump.pole_pairs + pump.phases * pump.stator_resistance * current_squared,
    )


def _motor_torque(slip: Array, duty: Duty, pump: Pump) -> tuple[Array, Array]:
    """Return the torque of the induction motor, N m, and its derivative by the slip."""
    scale = pump.phases * pump.pole_pairs * pump.rotor_resistance * duty.voltage**2 / duty.supply_speed
    ohmic = pump.stator_resistance * slip + pump.rotor_resistance
    reactance = duty.supply_speed * pump.inductance
    square = ohmic**2 + (reactance * slip) ** 2
    square_slope = 2 * pump.stator_resistance * ohmic + 2 * reactance**2 * slip
    return scale * slip / square, scale * (square - slip * square_slope) / square**2


def _load_torque(speed: Array, state: State, duty: Duty, pump: Pump) -> tuple[Array, Array]:
    """Return the load torque of friction and fluid at `speed`, N m, and its derivative by the speed."""
    friction = pump.shaft_friction + state.thrust_friction + state.radial_friction
    flow, flow_slope = _flow(speed, state, duty, pump)
    flow = _discharge_flow(flow, duty, pump)
    fluid = pump.torque_speed * speed**2 + pump.torque_mixed * speed * flow - pump.torque_flow * flow**2
    by_flow = pump.torque_mixed * speed - 2 * pump.torque_flow * flow
    by_speed = 2 * pump.torque_speed * speed + pump.torque_mixed * flow
    return friction * speed + fluid, friction + by_speed + by_flow * flow_slope


def _flow(speed: Array, state: State, duty: Duty, pump: Pump) -> tuple[Array, Array]:
    """Return the flow through the impeller, m3/s, and its derivative by the speed.

    The positive root of Q^2 = c^2 (A w^2 + b w Q + suction - discharge). A pump too slow to lift its column moves
    nothing, as if behind a check valve; the published form would let it run backwards.
    """
    square, mixed = pump.flow_coefficient**2, pump.flow_coefficient**2 * pump.pressure_mixed
    surplus = state.impeller_area * speed**2 + duty.suction - duty.discharge
    root = np.sqrt((mixed * speed) ** 2 + 4 * square * np.maximum(surplus, 0))
    flow = (mixed * speed + root) / 2
    slope = (mixed * flow + 2 * square * state.impeller_area * speed) / root
    return np.where(surplus > 0, flow, 0), np.where(surplus > 0, slope, 0)


def _discharge_flow(flow: Array, duty: Duty, pump: Pump) -> Array:
    """Return the flow that leaves the pump, m3/s, after the internal leak between discharge and suction."""
    difference = duty.suction - duty.discharge
    leak = pump.leak_coefficient * np.sqrt(np.abs(difference)) * np.sign(difference)
    return np.maximum(0, flow - leak)
