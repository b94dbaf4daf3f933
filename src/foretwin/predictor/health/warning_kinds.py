"""Kinds of a score's warnings, which begin with them and a colon; apart, so that the store needs no arrays for them."""

from collections.abc import Sequence

OFF, UNKNOWN_REGIME, CHECK_FUNCTION = "off", "unknown_regime", "check_function"
SILENT = (OFF, UNKNOWN_REGIME)  # nothing is said of the machine
OUTSIDE, SHORT_HISTORY = "out_of_training_range", "short_history"


def says(word: str, warnings: Sequence[str]) -> bool:
    """Return whether one of the warnings is of this kind."""
    return any(one.startswith(f"{word}: ") for one in warnings)
