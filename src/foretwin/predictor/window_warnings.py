"""Of what a score warns: readings that no machine of the training showed, short histories, gaps, an RUL at the cap."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.categories import UNKNOWN_CODE
from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Windows
from foretwin.predictor.health.warning_kinds import OUTSIDE, SHORT_HISTORY
from foretwin.predictor.healthy_baseline import HealthyBaseline


def window_warnings(
    contract: Twin, reference: HealthyBaseline, windows: Windows, due: Sequence[int], rul: NDArray[np.float64] | None
) -> NDArray[np.object_]:
    """Return the warnings of each score, (N,) lists of strings; `due` rows would each window hold without gaps."""
    low, high = reference.ranges
    far = (windows.x < low) | (windows.x > high)
    for channel, _ in contract.categories:
        far[:, :, channel] &= windows.x[:, :, channel] != UNKNOWN_CODE
    if contract.slot is not None or min(due) < windows.mask.shape[1]:
        far &= (windows.mask > 0)[:, :, None]
    found: list[list[str]] = [[] for _ in due]
    for i, channel in np.argwhere(far.any(axis=1)).tolist() if far.any() else ():
        found[i].append(f"{OUTSIDE}: {contract.channel_names[channel]}")
    for channel, _ in contract.categories:
        unknown = (windows.x[:, :, channel] == UNKNOWN_CODE) & (windows.mask > 0)
        for i in np.flatnonzero(unknown.any(axis=1)).tolist():
            found[i].append(f"unknown_category: {contract.channel_names[channel]}")
    cap = contract.rul.cap if contract.rul else np.inf
    length = windows.mask.shape[1]
    for i, count in enumerate(due):
        if count < length:
            found[i].append(f"{SHORT_HISTORY}: {count} of {length} rows")
        if rul is not None and rul[i] >= cap:
            found[i].append(f"rul_at_cap: {cap:g} {contract.clock.unit} or more")
    result = np.empty(len(found), dtype=object)
    for i, warnings in enumerate(found):  # one by one: numpy would make a matrix of them
        result[i] = warnings
    return result


def add_warnings(warnings: NDArray[np.object_], more: Sequence[Sequence[str]]) -> None:
    """Append further warnings to those of each score, (N,) lists."""
    for one, other in zip(warnings, more, strict=True):
        one.extend(other)


def lost_parts(contract: Twin, windows: Windows, seen: Sequence[int], due: Sequence[int]) -> list[list[str]]:
    """Return the warnings of gaps, of windows that count time: `seen` rows of those `due`, channels without a value."""
    names = [contract.channel_names[i] for i in contract.may_be_missing]
    known = ~np.isnan(windows.x[:, :, contract.may_be_missing]) & (windows.mask > 0)[:, :, None]
    found = []
    for i, (count, whole) in enumerate(zip(seen, due, strict=True)):
        lost = [f"channel_missing: {names[m]}" for m in np.flatnonzero(~known[i].any(axis=0)).tolist()]
        found.append([f"window_coverage: {count} of {whole} rows", *lost] if count < whole else lost)
    return found
