"""Summarise simulated lives per option: RUL, survival, difference to the present duty, first failure.

Every figure comes from the same draws: draw 17 is the same machine with the same luck under each option.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.physics.degradation import RATED_RPM, DegradationModel
from foretwin.physics.pump import LIMITS
from foretwin.physics.pump.forecasting import Ends

SURVIVED = (24, 72, 168)  # h
POINTS = 51  # of the curve of survival, from now to the horizon
FAULTS = {  # limit of the physics -> class of the fault whose wear leads there
    "impeller_area": "impeller_wear",
    "thrust_temperature": "thrust_bearing",
    "radial_temperature": "radial_bearing",
}

Array = NDArray[np.float64]


def compare_options(
    asked: Mapping[str, Any], ends: Ends, forward: DegradationModel, contract: Twin
) -> list[dict[str, Any]]:
    """Return the options with their outlook, the longest RUL first.

    `asked` names the settings of each, in the order of the rows of `ends` (O, P); the first is the present duty, which
    says how far each draw is to be trusted.
    """
    weights = forward.weights(ends.left[0])
    left = np.minimum(ends.left, forward.horizon)
    common = {"level": forward.level, "unit": contract.clock.unit}
    outlooks = [
        {
            "name": name,
            "settings": settings,
            "rul": _rul(left[row], weights, forward) | common,
            "survival": [{"time": time, "probability": _share(left[row] > time, weights)} for time in SURVIVED],
            "difference": _difference(left[[row, 0]], weights, forward) | common if row else None,
            "fails_first": _fails_first(ends.limit[row], weights, contract),
            "curve": _curve(ends.left[row], weights, forward.horizon),
        }
        for row, (name, settings) in enumerate(asked.items())
    ]
    mean = left @ weights  # tells apart whose medians are the same, or beyond the horizon
    order = sorted(range(len(outlooks)), key=lambda row: (-outlooks[row]["rul"]["value"], -mean[row]))
    return [{"rank": rank} | outlooks[row] for rank, row in enumerate(order, start=1)]


def what_if_assumptions(forward: DegradationModel, hours: int) -> list[str]:
    """List the assumptions of the answer; `hours` of the machine's own duty were available."""
    still, moving = forward.pipe.still, forward.pipe.moving
    return [
        f"What an option leaves open, pressures included, goes on as in the last {hours} h of this machine, in pieces "
        "of up to a day.",
        f"A changed speed changes the discharge pressure as the pipe's curve does: the fleet's pressures differ by "
        f"{still:.2f} + {moving:.2f} (speed / {RATED_RPM:.0f} rpm)^2 bar.",
        "The wear of the next hours follows the pump's equations, at rates that go on to wander as in the fleet.",
        "A life ends when a limit would be met after a long stay at the rated duty, whatever the duty is by then.",
        "The run began with new parts, and nothing is repaired or replaced until its end.",
    ]


def _rul(left: Array, weights: Array, forward: DegradationModel) -> dict[str, Any]:
    """Return median and central interval; `at_least` marks figures cut off by the horizon."""
    figures = _figures(left, weights, forward.level)
    return {**figures, "at_least": [name for name, hours in figures.items() if hours >= forward.horizon]}


def _difference(left: Array, weights: Array, forward: DegradationModel) -> dict[str, Any]:
    """Return the hours that `left[0]` gains on `left[1]`, draw by draw; `cut` is the share hidden by the horizon."""
    cut = _share(left.max(axis=0) >= forward.horizon, weights)
    return {**_figures(left[0] - left[1], weights, forward.level), "cut": cut}


def _fails_first(limit: NDArray[np.int64], weights: Array, contract: Twin) -> list[dict[str, Any]]:
    """Return the limits that end the life, the likeliest first, with `fault` and `part` where the contract has them."""
    found = []
    for number, name in enumerate(LIMITS):
        probability = _share(limit == number, weights)
        if probability > 0:
            found.append({"limit": name, **_remedied(FAULTS.get(name), contract), "probability": probability})
    return sorted(found, key=lambda one: -one["probability"])


def _remedied(fault: str | None, contract: Twin) -> dict[str, str | None]:
    for axis in contract.axes:
        remedy = contract.faults[axis].classes.get(fault) if fault else None
        if remedy:
            return {"fault": f"{axis}.{fault}", "part": remedy.part}
    return {"fault": None, "part": None}


def _curve(left: Array, weights: Array, horizon: int) -> dict[str, list[float]]:
    """Return the probability to survive each of POINTS times."""
    times = np.linspace(0, horizon, POINTS)
    return {"time": times.tolist(), "probability": [_share(left > time, weights) for time in times]}


def _figures(values: Array, weights: Array, level: float) -> dict[str, float]:
    """Return median and central interval at `level` of weighted draws."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    wanted = {"value": 0.5, "low": (1 - level) / 2, "high": (1 + level) / 2}
    return {name: float(values[order][np.searchsorted(reached, share)]) for name, share in wanted.items()}


def _share(chosen: NDArray[np.bool_], weights: Array) -> float:
    return round(float(weights[chosen].sum()), 4)
