"""Frequencies at which a rolling bearing is struck, from its geometry."""

import math

from foretwin.contract.waveforms import SHAFT, Bearing


def strikes_per_turn(bearing: Bearing | None, part: str) -> float:
    """Return how often a part of the bearing is struck in one turn of the shaft, the outer ring standing still.

    With r = d / D cos(angle): outer race n/2 (1 - r), inner race n/2 (1 + r), ball D/(2 d) (1 - r^2), cage (1 - r) / 2
    (Randall and Antoni 2011, eq. 1 to 4). `ball` is the ball's own turning; a pit strikes twice in it. The shaft: 1.
    """
    if part == SHAFT or bearing is None:
        return 1.0
    ratio = bearing.ball_diameter / bearing.pitch_diameter * math.cos(math.radians(bearing.contact_angle))
    return {
        "outer_race": bearing.balls / 2 * (1 - ratio),
        "inner_race": bearing.balls / 2 * (1 + ratio),
        "ball": bearing.pitch_diameter / (2 * bearing.ball_diameter) * (1 - ratio**2),
        "cage": (1 - ratio) / 2,
    }[part]
