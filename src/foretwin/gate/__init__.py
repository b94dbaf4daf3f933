"""The gate: decide whether a candidate may replace the champion. Pure functions of predictions on held-out windows.

A candidate must beat the baselines named in params.yaml; it must be significantly better than the champion on at least
one figure and on none worse than allowed, nor in any slice; a blend must not be surely worse than any candidate that
it could be made of, on any question; and it must keep the limits on interval coverage, late predictions, latency,
bundle size and contract. Significance is estimated by resampling assets.
"""

from foretwin.gate.blend_rule import candidate_checks
from foretwin.gate.compatibility import obstacles
from foretwin.gate.decision import Candidate, Decision, Rival, decide, unchanged
from foretwin.gate.figures import Check
from foretwin.gate.hard_limits import slowdown_check
from foretwin.gate.leaks import leak_checks

__all__ = [
    "Candidate",
    "Check",
    "Decision",
    "Rival",
    "candidate_checks",
    "decide",
    "leak_checks",
    "obstacles",
    "slowdown_check",
    "unchanged",
]
