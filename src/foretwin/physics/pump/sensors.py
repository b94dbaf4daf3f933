"""Ideal readings of a pump without sensor errors, in the units of its contract."""

import numpy as np

from foretwin.physics.pump.equilibrium import operate
from foretwin.physics.pump.life import Operate
from foretwin.physics.pump.quantities import (
    KELVIN_AT_ZERO_CELSIUS,
    PASCALS_PER_BAR,
    PUBLISHED,
    RADIANS_PER_RPM,
    Array,
    Duty,
    Operation,
    Pump,
    State,
)


def wear_shares(state: State, pump: Pump = PUBLISHED) -> Array:
    """Return relative loss of impeller area, relative growth of thrust and of radial friction, (3, N); 0 = new."""
    return np.stack(
        [
            1 - state.impeller_area / pump.new_area,
            state.thrust_friction / pump.new_thrust_friction - 1,
            state.radial_friction / pump.new_radial_friction - 1,
        ]
    )


def vibration(state: State, operation: Operation, pump: Pump = PUBLISHED) -> Array:
    """Return the vibration velocity of the casing, mm/s RMS: an empirical formula of our own, without published source.

    1.8 mm/s for a new pump at rated speed, growing with the square of the speed and with each part's wear.
    """
    impeller, thrust, radial = wear_shares(state, pump)
    worn: Array = 1 + 3 * impeller + 0.5 * thrust + 0.25 * radial
    return 1.8 * (operation.speed / pump.rated_speed) ** 2 * worn


def readings(state: State, duty: Duty, pump: Pump = PUBLISHED, running: Operate = operate) -> dict[str, Array]:
    """Compute ideal readings in the units of the pump's contract: rpm, m3/h, deg C, kW, mm/s, bar.

    `running` gives speed and flow.
    """
    operation = running(state, duty, pump)
    return {
        "speed": operation.speed / RADIANS_PER_RPM,
        "flow": operation.discharge_flow * 3600,
        "thrust_temperature": state.thrust_temperature - KELVIN_AT_ZERO_CELSIUS,
        "radial_temperature": state.radial_temperature - KELVIN_AT_ZERO_CELSIUS,
        "oil_temperature": state.oil_temperature - KELVIN_AT_ZERO_CELSIUS,
        "motor_power": operation.power / 1000,
        "vibration": vibration(state, operation, pump),
        "suction_pressure": duty.suction / PASCALS_PER_BAR,
        "discharge_pressure": duty.discharge / PASCALS_PER_BAR,
    }
