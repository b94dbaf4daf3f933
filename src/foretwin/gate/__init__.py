"""The gate: whether a candidate may replace the champion. Pure decisions from predictions on held-out windows.

A candidate must beat the baselines that params.yaml names; it must be surely better than the champion somewhere and
nowhere worse, in no slice either; and it must keep to the limits of intervals, late predictions, time, size and
contract. What is known of chance comes from resampled assets.
"""

from foretwin.gate.compatibility import obstacles
from foretwin.gate.decision import Candidate, Decision, Rival, decide, unchanged
from foretwin.gate.figures import Check
from foretwin.gate.leaks import leak_checks

__all__ = ["Candidate", "Check", "Decision", "Rival", "decide", "leak_checks", "obstacles", "unchanged"]
