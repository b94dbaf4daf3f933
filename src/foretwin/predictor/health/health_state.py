"""What a score says of health: an index from 0 to 100, and a word.

The words of NAMUR NE 107: `good`; `maintenance_required`, where the machine has departed from normal; `failure`, where
its RUL says besides that the part comes too late; `off_specification`, where the answer is near the limit or readings
are outside of what machines of the training showed; `check_function`, where a sensor fails rather than the machine.
Two answers of their own say that nothing is said: `off`, at a standstill, and `unknown_regime`. The index is the
calibrated chance in percent that nothing has departed; where nothing is said, it counts for nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import DEPARTED, HEALTH, NORMAL, UNKNOWN, Twin
from foretwin.dataset.windows import Windows
from foretwin.predictor.health.warning_kinds import CHECK_FUNCTION, OFF, OUTSIDE, SILENT, UNKNOWN_REGIME, says
from foretwin.predictor.known_settings import KnownSettings

STATES = ("good", "off_specification", CHECK_FUNCTION, "maintenance_required", "failure", *SILENT)
INDEX, STATE = "health_index", "health_state"  # columns of tables of scores
FLEET_BASELINE = "fleet_baseline"  # the fleet's judgement answers, although the contract asks for each machine's own
OWN, FLEET = "own", "fleet"
BASELINE = "health_baseline"  # column of tables of scores: by which of them


class ScoreTold(Protocol):
    """A score, as the service or the store has it."""

    @property
    def faults(self) -> Mapping[str, Mapping[str, float]]:
        """Return axis -> class -> probability."""

    @property
    def diagnosis(self) -> Mapping[str, str]:
        """Return axis -> class or unknown."""

    @property
    def warnings(self) -> Sequence[str]:
        """Return its warnings."""

    @property
    def rul(self) -> float | None:
        """Return the RUL, in the contract's unit."""

    @property
    def rul_low(self) -> float | None:
        """Return the lower end of its interval."""


def health_answer(told: ScoreTold, contract: Twin) -> dict[str, Any] | None:
    """Return index, state and the baseline of a score; None where it has no health, as one of an older model."""
    if contract.health is None or HEALTH not in told.faults:
        return None
    late = told.rul is not None and told.rul_low is not None and comes_late(contract, told.rul, told.rul_low)
    state = health_word(told.diagnosis.get(HEALTH, UNKNOWN), told.warnings, late)
    answer = {"index": index_of(told.faults[HEALTH][NORMAL]), "state": state}
    return answer | ({"baseline": baseline_of(told.warnings)} if contract.health.baseline else {})


def baseline_of(warnings: Sequence[str]) -> str:
    """Return whether the machine's own baseline answered or the fleet's, of a score whose contract asks for its own."""
    return FLEET if says(FLEET_BASELINE, warnings) else OWN


def index_of(normal: float) -> float:
    """Return the index of a calibrated probability of normal."""
    return round(100 * normal, 1)


def health_word(answer: str, warnings: Sequence[str], late: bool) -> str:
    """Return the word of an answer on the axis, its score's warnings, and whether the part would come too late."""
    for word in (*SILENT, CHECK_FUNCTION):
        if says(word, warnings):
            return word
    if answer == DEPARTED:
        return "failure" if late else "maintenance_required"
    return "off_specification" if answer == UNKNOWN or says(OUTSIDE, warnings) else "good"


def comes_late(contract: Twin, rul: float, low: float) -> bool:
    """Return whether the part of health's remedy would come later than the RUL and its lower end say, in the middle."""
    if contract.health is None or contract.rul is None or rul >= contract.rul.cap:
        return False
    return (rul + low) / 2 <= contract.health.remedy.lead_time


def health_warnings(contract: Twin, settings: KnownSettings | None, windows: Windows) -> list[list[str]]:
    """Return what keeps N windows from being judged: a standstill, or settings at which no machine was seen."""
    still = stands_still(windows, contract)
    rule = contract.health.off if contract.health else {}
    standing = " and ".join(f"{name} at most {most:g}" for name, most in rule.items())
    found = [[f"{OFF}: {standing}"] if one else [] for one in still.tolist()]
    if settings is None:
        return found
    names = ", ".join(contract.channel_names[i] for i in settings.channels)
    for i in np.flatnonzero(settings.beyond(windows.x, windows.mask) & ~still).tolist():
        found[i].append(f"{UNKNOWN_REGIME}: {names}")
    return found


def stands_still(windows: Windows, contract: Twin) -> NDArray[np.bool_]:
    """Return which of N windows end at a standstill, by the contract's rule."""
    rule = contract.health.off if contract.health else {}
    if not rule:
        return np.zeros(len(windows.x), np.bool_)
    newest = windows.x[:, -1, [contract.channel_names.index(name) for name in rule]]
    return np.asarray((newest <= np.array(list(rule.values()))).all(axis=1))


def health_columns(
    contract: Twin, columns: Mapping[str, NDArray[Any]], warnings: Sequence[Sequence[str]]
) -> dict[str, NDArray[Any]]:
    """Return the columns of health, each (N,), of a table's columns and the warnings of its scores."""
    silent = np.array([any(says(word, one) for word in SILENT) for one in warnings], bool)
    answers = np.where(silent, UNKNOWN, columns[HEALTH]).astype(object)
    rul, low = columns.get("rul"), columns.get("rul_low")
    states = np.empty(len(answers), object)
    for i, one in enumerate(warnings):
        late = rul is not None and low is not None and comes_late(contract, float(rul[i]), float(low[i]))
        states[i] = health_word(answers[i], one, late)
    index = np.array([index_of(normal) for normal in columns[f"p_{HEALTH}_{NORMAL}"].tolist()], np.float64)
    found = {HEALTH: answers, INDEX: index, STATE: states}
    if contract.health is not None and contract.health.baseline:
        found[BASELINE] = np.array([baseline_of(one) for one in warnings], dtype=object)
    return found
