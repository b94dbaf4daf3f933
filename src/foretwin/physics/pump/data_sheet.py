"""Accuracy of the pump's sensors, as on a data sheet."""

from typing import NamedTuple


class Sensor(NamedTuple):
    """Accuracy of a sensor: noise of each reading, a bias of the same size per pump, and resolution."""

    share: float  # standard deviation, relative to the reading
    absolute: float  # standard deviation, in the channel's unit
    step: float  # in the channel's unit


SENSORS = {
    "speed": Sensor(0, 2, 0.1),
    "flow": Sensor(0.015, 0, 0.01),
    "thrust_temperature": Sensor(0, 0.9, 0.01),
    "radial_temperature": Sensor(0, 0.9, 0.01),
    "oil_temperature": Sensor(0, 0.9, 0.01),
    "motor_power": Sensor(0.012, 0, 0.01),
    "vibration": Sensor(0.10, 0, 0.001),
    "suction_pressure": Sensor(0.005, 0, 0.001),
    "discharge_pressure": Sensor(0.005, 0, 0.001),
}
