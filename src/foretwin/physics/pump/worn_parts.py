"""Wear that a single row of readings shows, solved from the published equations without a filter.

Speed and flow settle within seconds and the temperatures nearly so within an hour (`equilibrium`, `life`). In their
steady state three equations have one unknown each:

    impeller area A      Q^2 = c^2 (A w^2 + b w Q + suction - discharge)
    bearing friction r   r w^2 = H1 (T - ambient) + H2 (T - oil)              for the thrust and the radial bearing

The internal leak, below a thousandth of a m3/h, is left out. What sensors miss, readings of many hours average.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from foretwin.physics.pump.life import life_ended, new_state
from foretwin.physics.pump.quantities import PASCALS_PER_BAR, PUBLISHED, RADIANS_PER_RPM, Array, Duty, Pump

SHOWN_BY = (
    "speed",
    "flow",
    "ambient_temperature",
    "thrust_temperature",
    "radial_temperature",
    "oil_temperature",
    "suction_pressure",
    "discharge_pressure",
)
MOST_GROWTH = 20.0  # of a bearing's friction; long before, the life has ended


def worn_parts(readings: Mapping[str, Any], pump: Pump = PUBLISHED) -> tuple[Any, Any, Any]:
    """Return impeller area, Pa s2, thrust and radial friction, N m s, that readings `SHOWN_BY` show.

    Readings, in the units of the pump's contract, are arrays of one shape, of NumPy or PyTorch alike: only their
    arithmetic is used. A pump at rest shows nothing: its speed must not be 0.
    """
    speed, flow = readings["speed"] * RADIANS_PER_RPM, readings["flow"] / 3600
    lift = (readings["discharge_pressure"] - readings["suction_pressure"]) * PASCALS_PER_BAR
    area = (flow**2 / pump.flow_coefficient**2 - pump.pressure_mixed * speed * flow + lift) / speed**2
    thrust, radial = (readings[f"{bearing}_temperature"] for bearing in ("thrust", "radial"))
    ambient, oil = readings["ambient_temperature"], readings["oil_temperature"]
    thrust_heat = pump.thrust_to_ambient * (thrust - ambient) + pump.thrust_to_oil * (thrust - oil)
    radial_heat = pump.radial_to_ambient * (radial - ambient) + pump.radial_to_oil * (radial - oil)
    return area, thrust_heat / speed**2, radial_heat / speed**2


@lru_cache(maxsize=4)
def wear_allowances(pump: Pump = PUBLISHED) -> tuple[float, float, float]:
    """Return the wear of one part that ends the life of an otherwise new pump.

    Of the impeller it is the area lost, Pa s2; of each bearing the growth of its friction's logarithm.
    """
    rated = Duty.rated(pump)
    factors = np.geomspace(1, MOST_GROWTH, 4000)
    same = np.ones_like(factors)

    def growth(parts: list[Array]) -> float:
        ended = life_ended(new_state(np.stack(parts), rated, pump), pump)
        return float(np.log(factors[np.argmax(ended)]))

    return pump.new_area - pump.area_limit, growth([same, factors, same]), growth([same, same, factors])
