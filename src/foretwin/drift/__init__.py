"""Whether machines in healthy life still show what the bundle's development machines showed: drift of readings, scores.

`reference` freezes what is compared with (stage `drift`), `comparison` compares; numpy alone.
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
