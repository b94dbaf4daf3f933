"""The pump's parameters, inputs, states, wear rates and outputs, each with its unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RADIANS_PER_RPM = np.pi / 30
KELVIN_AT_ZERO_CELSIUS = 273.15
PASCALS_PER_BAR = 1e5


@dataclass(frozen=True)
class Pump:
    """The published parameters of one type of pump, with their units."""

    phases: float = 3  # n, of the supply
    pole_pairs: float = 1  # p
    stator_resistance: float = 0.36  # R1, ohm
    rotor_resistance: float = 0.076  # R2, ohm
    inductance: float = 0.00063  # L1, H
    rated_speed: float = 3600 * RADIANS_PER_RPM  # synchronous, rad/s
    rated_voltage: float = 471.2389  # V; below rated speed the drive keeps voltage / speed constant
    shaft_friction: float = 0.008  # r, N m s, without the bearings
    torque_speed: float = 0.00149204  # a0, N m s2
    torque_mixed: float = 5.77703  # a1, N s2/m2
    torque_flow: float = 9179.4  # a2, N s2/m5
    pressure_mixed: float = 17984.6  # b, Pa s2/m3
    flow_coefficient: float = 8.24123e-5  # c, m3/s/sqrt(Pa)
    leak_coefficient: float = 1e-10  # cLeak * ALeak, m3/s/sqrt(Pa)
    thrust_capacity: float = 7.3  # mcThrust, J/K
    thrust_to_ambient: float = 0.0034  # HThrust1, W/K
    thrust_to_oil: float = 0.0026  # HThrust2, W/K
    radial_capacity: float = 2.4  # mcRadial, J/K
    radial_to_ambient: float = 0.0018  # HRadial1, W/K
    radial_to_oil: float = 0.020  # HRadial2, W/K
    oil_capacity: float = 8000  # mcOil, J/K
    oil_to_thrust: float = 1.0  # HOil1, W/K; published so, though it is not HThrust2
    oil_to_radial: float = 3.0  # HOil2, W/K
    oil_to_ambient: float = 1.5  # HOil3, W/K
    new_area: float = 12.7084  # A of a new impeller, called an area; it enters as pressure = A speed^2: Pa s2
    new_thrust_friction: float = 1.4e-6  # rThrust of a new bearing, N m s
    new_radial_friction: float = 1.8e-6  # rRadial of a new bearing, N m s
    area_limit: float = 9.5  # Pa s2, failed at or below
    bearing_limit: float = 370  # K, failed at or above
    oil_limit: float = 350  # K, failed at or above
    rated_ambient: float = 290  # K
    rated_suction: float = 239179  # Pa
    rated_discharge: float = 928654  # Pa


PUBLISHED = Pump()


@dataclass(frozen=True)
class Duty:
    """Inputs of the pumps: supply, ambient temperature and pressures."""

    supply_speed: Array  # synchronous speed of the supply, rad/s
    voltage: Array  # V
    ambient: Array  # K
    suction: Array  # Pa
    discharge: Array  # Pa

    @classmethod
    def from_settings(cls, settings: Mapping[str, Array], pump: Pump = PUBLISHED) -> Self:
        """Build from contract units: commanded_speed rpm, ambient_temperature deg C, suction_/discharge_pressure bar.

        The drive keeps voltage / speed at its rated value. A pressure that is absent is the rated one.
        """
        supply_speed = np.asarray(settings["commanded_speed"], np.float64) * RADIANS_PER_RPM
        suction = settings.get("suction_pressure", pump.rated_suction / PASCALS_PER_BAR)
        discharge = settings.get("discharge_pressure", pump.rated_discharge / PASCALS_PER_BAR)
        return cls(
            supply_speed=supply_speed,
            voltage=supply_speed * (pump.rated_voltage / pump.rated_speed),
            ambient=np.asarray(settings["ambient_temperature"], np.float64) + KELVIN_AT_ZERO_CELSIUS,
            suction=np.asarray(suction, np.float64) * PASCALS_PER_BAR,
            discharge=np.asarray(discharge, np.float64) * PASCALS_PER_BAR,
        )

    @classmethod
    def rated(cls, pump: Pump = PUBLISHED) -> Self:
        """Return the duty at which end of life is judged."""
        values = (pump.rated_speed, pump.rated_voltage, pump.rated_ambient, pump.rated_suction, pump.rated_discharge)
        return cls(*(np.asarray(value, np.float64) for value in values))


@dataclass(frozen=True)
class State:
    """State of the pumps from one hour to the next: wear and temperatures."""

    impeller_area: Array  # Pa s2, falls with wear
    thrust_friction: Array  # N m s, grows with wear
    radial_friction: Array  # N m s, grows with wear
    thrust_temperature: Array  # K
    radial_temperature: Array  # K
    oil_temperature: Array  # K


@dataclass(frozen=True)
class WearRates:
    """Wear rates of the parts: A' = -impeller Q^2, r' = rate r w^2 for each bearing."""

    impeller: Array  # Pa s7/m6 per s: published name wA
    thrust: Array  # s per rad2: wThrust
    radial: Array  # s per rad2: wRadial


@dataclass(frozen=True)
class Operation:
    """Outputs of the pumps, which follow a change of duty within seconds."""

    speed: Array  # of the shaft, rad/s
    flow: Array  # through the impeller, m3/s
    discharge_flow: Array  # that leaves the pump, m3/s
    torque: Array  # of the motor, N m
    power: Array  # electrical, drawn by the motor, W
