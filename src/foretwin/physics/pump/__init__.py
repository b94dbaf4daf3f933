"""The centrifugal pump of Daigle and Goebel, solved over many pumps at once.

Source of the equations: M. Daigle and K. Goebel, "Model-based prognostics with concurrent damage progression
processes", IEEE Transactions on Systems, Man, and Cybernetics: Systems 43(4), 535-546, 2013: an induction motor
drives an impeller on a thrust and a radial bearing, which share their oil; the impeller's area and both bearings'
friction wear. `Pump` holds the parameter values published with NASA's ProgPy. Only `vibration` is ours.

The equations live on three time scales, and each is solved on its own, so that a step is an hour instead of a second:

    seconds   shaft speed and flow     their equilibrium: flow in closed form, speed by Newton's method
    minutes   three temperatures       exact step of a linear system whose friction heat changes linearly
    hours     area and friction        friction exactly at the mean squared speed, area by Heun's rule

Every array is float64, in SI units, of shape (N,) for N pumps or broadcastable to it. Nothing is modified in place.
"""

from foretwin.physics.pump.equilibrium import operate
from foretwin.physics.pump.life import LIMITS, life_ended, limits_met, new_state, settle, step, wear
from foretwin.physics.pump.quantities import PUBLISHED, Duty, Operation, Pump, State, WearRates
from foretwin.physics.pump.sensors import readings, vibration, wear_shares
from foretwin.physics.pump.worn_parts import SHOWN_BY, wear_allowances, worn_parts

__all__ = [
    "LIMITS",
    "PUBLISHED",
    "SHOWN_BY",
    "Duty",
    "Operation",
    "Pump",
    "State",
    "WearRates",
    "life_ended",
    "limits_met",
    "new_state",
    "operate",
    "readings",
    "settle",
    "step",
    "vibration",
    "wear",
    "wear_allowances",
    "wear_shares",
    "worn_parts",
]
