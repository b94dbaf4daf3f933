"""Drift of readings and scores of machines in healthy life, against the development machines of the bundle.

`profile` freezes the reference (stage `drift`), `compare` and `scores` compare with it; numpy alone.
"""

from foretwin.drift.compare import ChannelDrift, DriftVerdict, compare
from foretwin.drift.profile import DriftReference
from foretwin.drift.scores import ScoreDrift, compare_scores, says_healthy

__all__ = [
    "ChannelDrift",
    "DriftReference",
    "DriftVerdict",
    "ScoreDrift",
    "compare",
    "compare_scores",
    "says_healthy",
]
