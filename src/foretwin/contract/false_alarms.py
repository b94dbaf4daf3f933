"""Budget of false alarms: how often health may be told as departed although nothing has."""

from foretwin.contract.twin import Twin

YEAR = 365.25 * 86_400  # s
STEPS = 10_000  # of a clock that counts no time, in the place of a year


def alarm_share(contract: Twin) -> float:
    """Return the share of windows that may be false alarms; 0 where the contract does not ask for health."""
    budget = contract.health.false_alarms if contract.health else 0.0
    return min(1.0, budget / chances_a_year(contract))


def chances_a_year(contract: Twin) -> float:
    """Return how many windows that share no row a machine has in a year, or in STEPS of a clock without time.

    Each is one chance of an alarm, which lasts about as long as the window that it is seen in.
    """
    length, seconds = contract.window.length, contract.clock.seconds
    return STEPS / length if seconds is None else YEAR / (length * contract.clock.step * seconds)
