"""Kinds of a score's warnings, which begin with them and a colon; apart, so that the store needs no arrays for them."""

from collections.abc import Sequence

OFF, UNKNOWN_REGIME, CHECK_FUNCTION = "off", "unknown_regime", "check_function"
SILENT = (OFF, UNKNOWN_REGIME)  # nothing is said of the machine
OUTSIDE, SHORT_HISTORY = "out_of_training_range", "short_history"
STANDS_STILL, JUMPS, SCATTERS, ALONE = "stands still", "jumps", "scatters", "contradicts the other channels"
SIGNATURES = (STANDS_STILL, JUMPS, SCATTERS)  # of a sensor that fails, at the end of what `check_function` says


def says(word: str, warnings: Sequence[str]) -> bool:
    """Return whether one of the warnings is of this kind."""
    return any(one.startswith(f"{word}: ") for one in warnings)


def failing_sensor(warnings: Sequence[str]) -> str | None:
    """Return the warning that says how a sensor fails: it is no case about the machine."""
    return next((one for one in warnings if says(CHECK_FUNCTION, [one]) and one.endswith(SIGNATURES)), None)


def lone_channel(warnings: Sequence[str]) -> str | None:
    """Return the channel that departs alone without the signature of a failing sensor: that, or the part it watches."""
    head, tail = f"{CHECK_FUNCTION}: ", f" {ALONE}"
    found = next((one for one in warnings if one.startswith(head) and one.endswith(tail)), None)
    return None if found is None else found.removeprefix(head).removesuffix(tail)
