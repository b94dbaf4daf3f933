"""Derive labels of a run from its verdicts and maintenance.

A verdict speaks of some readings of its run: of a fault from the opening of its case to its own time, of a healthy
axis up to its own time, of a failure for the whole run. All other readings keep unknown labels.

Where health is asked for, a machine with any fault has departed. Of one that departed, a verdict says what it was: the
fault that it names and no other, or none on any axis.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from foretwin.contract.questions import is_health
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.labels.censoring import outlived_cap
from foretwin.dataset.table import FAULT_UNKNOWN, fault_column
from foretwin.twin.store.telemetry.history import NO_FAULT_FOUND, PART_REPLACED, RUN_ENDED, Finding, end_of

OF_ITS_CASE = ("confirmed", PART_REPLACED)  # these mean the case's fault where they name no other


def label(run: pd.DataFrame, findings: Sequence[Finding], contract: Twin) -> pd.DataFrame:
    """Label the rows of one run, in order of time, with the columns `rul` and `fault_<axis>` of the canonical table.

    `findings` are about this run, in the order in which they became known: of two that contradict each other the
    later counts, and a fault that was found counts more than none found. A run ends with the first failure or
    exchange of a part; rows after that are left out. RUL is 0 at the last row before a failure.
    """
    end = end_of(findings)
    if end is not None:
        run = run[run["time"] <= end.time]
    time = run["time"].to_numpy(np.float64)
    rul = np.full(len(run), np.nan)
    if end is not None and end.kind == RUN_ENDED and contract.rul is not None and len(run):
        rul = time[-1] - time
    classes = {axis: np.full(len(run), FAULT_UNKNOWN, np.int8) for axis in contract.axes}
    for finding in findings:
        since = -np.inf if finding.kind == NO_FAULT_FOUND else _since(finding)
        for axis in _healthy(finding, contract):
            classes[axis][(since <= time) & (time <= finding.time)] = 0
    for finding in findings:
        for axis, number in _faulty(finding, contract):
            classes[axis][(_since(finding) <= time) & (time <= finding.time)] = number
    return run.assign(rul=rul, **{fault_column(axis): codes for axis, codes in classes.items()})


def is_labelled(rows: pd.DataFrame, contract: Twin) -> "pd.Series[bool]":
    """Return for each row of whole runs whether it has any label; to have outlived the cap is one."""
    known = rows["rul"].notna() | outlived_cap(rows, contract)
    for axis in contract.axes:
        known |= rows[fault_column(axis)] != FAULT_UNKNOWN
    return known


def _since(finding: Finding) -> float:
    """Return since when a fault is known to have been there."""
    return np.inf if finding.since is None else finding.since


def _healthy(finding: Finding, contract: Twin) -> list[str]:
    """Return the axes on which nothing was found."""
    case, found = _place(finding.case_fault, contract), _place(_fault(finding), contract)
    if case is None:
        return []
    if finding.kind == NO_FAULT_FOUND:
        return list(contract.axes) if is_health(case[0], contract) else [case[0]]
    if found is None or not is_health(case[0], contract) or is_health(found[0], contract):
        return []
    return [axis for axis in contract.axes if axis not in (HEALTH, found[0])]


def _faulty(finding: Finding, contract: Twin) -> list[tuple[str, int]]:
    """Return the axes on which a fault was found, with the number of its class."""
    place = _place(_fault(finding), contract)
    if place is None:
        return []
    departed = [] if contract.health is None or is_health(place[0], contract) else [(HEALTH, 1)]
    return [place, *departed]


def _fault(finding: Finding) -> str | None:
    """Return the fault that was found, `<axis>.<class>`."""
    if finding.kind == NO_FAULT_FOUND:
        return None
    return finding.fault or (finding.case_fault if finding.kind in OF_ITS_CASE else None)


def _place(fault: str | None, contract: Twin) -> tuple[str, int] | None:
    """Return axis and number of the class; None for what is no class of the contract, such as `end_of_life`."""
    axis, _, name = (fault or "").partition(".")
    if axis not in contract.faults or name not in contract.classes(axis):
        return None
    return axis, contract.classes(axis).index(name)
