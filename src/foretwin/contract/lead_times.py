"""Lead times of a contract: how early a planner has to know, and how much the time after it counts."""

from foretwin.contract.twin import Twin

LATE_WEIGHT = 3.0  # of a window within the longest lead time, beside 1 of an earlier one: there a planner decides


def longest_lead_time(contract: Twin) -> float:
    """Return the longest delivery time of the contract's parts; a fifth of the cap where it names none."""
    remedies = [remedy for axis in contract.faults.values() for remedy in axis.classes.values() if remedy]
    remedies += [contract.rul.remedy] if contract.rul and contract.rul.remedy else []
    longest = max((remedy.lead_time for remedy in remedies), default=0.0)
    return longest or (contract.rul.cap / 5 if contract.rul else 1.0)
