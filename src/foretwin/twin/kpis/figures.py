"""Derive figures from counts: shares with their totals, quartiles, availability, and cost as a range.

A figure that is not defined is None, and none has more decimals than what it was made from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from typing import Any

import numpy as np

from foretwin.contract.policy import Costs
from foretwin.contract.twin import Twin
from foretwin.twin.kpis.counting import FAILURES, REPAIRS, UNANSWERED, VERDICTS, Tally

Figures = dict[str, Any]
RIGHT = ("confirmed", "part_replaced", "run_ended")  # verdicts that say that the alarm was
# Verdicts of a visit that repaired nothing of what it was made for.
VISITS = ("other_fault", "no_fault_found", "sensor_fault")
NORMAL_975 = 1.959963984540054
MANY = 100  # from so many on, a share has a decimal of a percent


@dataclass(frozen=True)
class Precision:
    """The share of answered alarms that were right; None without any."""

    value: float | None
    low: float | None

    @classmethod
    def of(cls, tally: Tally) -> "Precision":
        """Return it with the lower end of its 95 % interval by Wilson's score (Wilson, 1927), for few alarms too."""
        right, answered = sum(tally.alarms[name] for name in RIGHT), sum(tally.alarms[name] for name in VERDICTS)
        if answered == 0:
            return cls(None, None)
        p, z = right / answered, NORMAL_975
        middle = p + z * z / (2 * answered)
        spread = z * sqrt(p * (1 - p) / answered + z * z / (4 * answered * answered))
        return cls(p, max(0.0, (middle - spread) / (1 + z * z / answered)))


def tally_figures(tally: Tally, contract: Twin, precision: Precision) -> Figures:
    """Return the figures of one tally; `precision` is of the whole report, so that costs of its periods add up."""
    failures = sum(tally.outcomes[kind] for kind in FAILURES)
    answered = sum(tally.alarms[name] for name in VERDICTS)
    return {
        "failures": {
            "count": failures,
            "foreseen": tally.outcomes["foreseen"],
            "missed": tally.outcomes["missed"],
            "missed_after_alarm": tally.missed_after_alarm,
            "foreseen_share": _share(tally.outcomes["foreseen"], failures),
        },
        "avoided": tally.outcomes["avoided"],
        "replaced": tally.outcomes["replaced"],
        "lead_time": _lead_time(tally, contract),
        "false_alarms": _share(tally.alarms["no_fault_found"], answered),
        "cases": {
            "opened": tally.alarms["opened"],
            "answered": {name: tally.alarms[name] for name in VERDICTS},
            "unanswered": {name: tally.alarms[name] for name in UNANSWERED},
            "open": tally.open,
        },
        "availability": _availability(tally, contract),
        "cost": None if contract.costs is None else _cost(tally, contract.costs, precision),
    }


def _share(count: int, of: int) -> Figures:
    return {"count": count, "of": of, "share": None if of == 0 else round(count / of, 2 if of < MANY else 3)}


def _lead_time(tally: Tally, contract: Twin) -> Figures:
    """Return quartiles of the lead time in the clock's unit."""
    names, places = ("lower_quartile", "median", "upper_quartile"), max(decimals(contract.clock.step), 0)
    known = np.quantile(tally.lead_times, (0.25, 0.5, 0.75)).tolist() if tally.lead_times else [None] * 3
    quartiles = {name: _rounded(value, places) for name, value in zip(names, known, strict=True)}
    return {"count": len(tally.lead_times), **quartiles, "in_time": _share(tally.in_time, tally.with_part)}


def _availability(tally: Tally, contract: Twin) -> Figures:
    """Return availability: `assumed` from the contract's downtimes, `measured` from those in the readings."""
    costs, places = contract.costs, max(decimals(contract.clock.step), 0)
    failures, repairs = (sum(tally.outcomes[kind] for kind in kinds) for kinds in (FAILURES, REPAIRS))
    unseen_failures = failures - sum(tally.measured[kind] for kind in FAILURES)
    unseen_repairs = repairs - sum(tally.measured[kind] for kind in REPAIRS)
    assumed, remaining = _downtime(failures, repairs, costs), _downtime(unseen_failures, unseen_repairs, costs)
    seen = sum(tally.measured.values())
    measured = None if seen == 0 or remaining is None else tally.downtime + remaining
    return {
        "assumed": _ratio(tally.operating, assumed),
        "measured": _ratio(tally.operating, measured),
        "operating": _rounded(tally.operating, places),
        "downtime_assumed": _rounded(assumed, places),
        "downtime_measured": _rounded(tally.downtime, places) if seen else None,
        "stops": failures + repairs,
        "stops_measured": seen,
    }


def _downtime(failures: int, repairs: int, costs: Costs | None) -> float | None:
    if failures + repairs == 0:
        return 0.0
    return None if costs is None else failures * costs.failure_downtime + repairs * costs.planned_downtime


def _ratio(operating: float, downtime: float | None) -> float | None:
    return None if downtime is None or operating <= 0 else round(operating / (operating + downtime), 3)


def _cost(tally: Tally, costs: Costs, precision: Precision) -> Figures:
    """Return the cost with the twin, and the range of what it would have been without.

    with = failures · failure + (avoided + replaced) · planned + visits · inspection;
    without = (failures + w · avoided) · failure + replaced · planned;
    saved = without − with = avoided · (w · failure − planned) − visits · inspection.
    """
    failures, avoided = sum(tally.outcomes[kind] for kind in FAILURES), tally.outcomes["avoided"]
    visits = sum(tally.alarms[name] for name in VISITS)
    repairs = avoided + tally.outcomes["replaced"]
    spent = failures * costs.failure + repairs * costs.planned + visits * costs.inspection
    places = max((decimals(value) for value in (costs.failure, costs.planned, costs.inspection) if value), default=0)
    saved = {}
    for name, would_have_failed in (("value", precision.value), ("low", precision.low), ("high", 1.0)):
        share = would_have_failed or 0.0  # None only where nothing was avoided
        saved[name] = avoided * (share * costs.failure - costs.planned) - visits * costs.inspection
    return {
        "with": _rounded(spent, places),
        "without": {name: _rounded(spent + value, places) for name, value in saved.items()},
        "saved": {name: _rounded(value, places) for name, value in saved.items()},
    }


def decimals(value: float) -> int:
    """Return how many decimals a number was written with, at most six; negative where it ends in zeros: 2500 has -2."""
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    return min(-exponent, 6) if isinstance(exponent, int) else 0


def _rounded(value: float | None, places: int) -> float | None:
    if value is None:
        return None
    return round(value, places) if places > 0 else round(round(value, places))


def kpi_assumptions(contract: Twin, precision: Precision) -> Sequence[str]:
    """List the assumptions behind the figures, as sentences."""
    unit, costs = contract.clock.unit, contract.costs
    told = [
        "A failure is a run that ended so; a run that somebody repaired without saying that it had failed is none.",
        f"Times are the machines' own, in {unit}; the operation of a run is spread evenly over the days in which its "
        "readings came in.",
    ]
    if costs is None:
        place = f"data/{contract.name}/twin.yaml"
        fields = "currency, failure, planned, inspection, failure_downtime, planned_downtime, source"
        return [*told, f"Cost and assumed downtime are not known: write `costs:` with {fields} into {place}."]
    source = f" ({costs.source})" if costs.source else ""
    told += [
        f"A failure costs {costs.failure:g} {costs.currency} and stops the machine for {costs.failure_downtime:g} "
        f"{unit}, foreseen or not; a planned repair costs {costs.planned:g} {costs.currency} and stops it for "
        f"{costs.planned_downtime:g} {unit}; a visit that finds nothing, or another fault, costs {costs.inspection:g} "
        f"{costs.currency}{source}."
    ]
    if precision.value is not None and precision.low is not None:
        told += [
            f"Not every avoided failure would have happened. Of the alarms that were answered, {precision.value:.0%} "
            f"were right: saved assumes that this share of the avoided failures would have happened; low "
            f"{precision.low:.0%} of them (the low end of its 95 % interval by Wilson's score), high all of them."
        ]
    return told
