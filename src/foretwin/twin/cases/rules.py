"""Decide from a score and the open cases when a case opens, escalates, merges or closes; pure functions.

A fault is named `<axis>.<class>`; `end_of_life` is an asset that nears its end without a fault that has a name. What
opens a case and what closes it are two limits, so that an estimate which hovers at one of them changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from foretwin.contract.twin import DEPARTED, HEALTH, Remedy, Twin
from foretwin.predictor.health.warning_kinds import SHORT_HISTORY, SILENT, failing_sensor, says
from foretwin.twin.store.scoring.scores import Score

END_OF_LIFE = "end_of_life"
DEPARTURE = f"{HEALTH}.{DEPARTED}"
DIGEST = "digest"  # the one case of a fleet in which too many would open at once
DRIFT = "drift"  # the one case of a fleet whose readings or scores left what its champion was trained on
PLANNED = "planned"  # the part is expected in time
URGENT = "urgent"  # it is not
HEADROOM = 4 / 3  # closing limit over opening limit, where the contract names none that is above it


@dataclass(frozen=True)
class OpenCase:
    """The facts of an open or acknowledged case that decisions need."""

    id: int
    fault: str
    state: str
    severity: str
    run: int


@dataclass(frozen=True)
class Open:
    """Open a new case."""

    fault: str
    severity: str


@dataclass(frozen=True)
class Escalate:
    """Make a planned case urgent; never the reverse."""

    case: OpenCase


@dataclass(frozen=True)
class Merge:
    """Merge a case of an end of life, or of a departure, into the open case of the fault `into`, which has a name."""

    case: OpenCase
    into: str


@dataclass(frozen=True)
class Close:
    """Close a case."""

    case: OpenCase
    because: Literal["recovered", "new_run"]


@dataclass(frozen=True)
class Refresh:
    """Update the numbers of a case that stays as it is."""

    case: OpenCase


Change = Open | Escalate | Merge | Close | Refresh


def decide_cases(open_cases: Sequence[OpenCase], score: Score, contract: Twin) -> list[Change]:
    """Return the changes that a score of one asset makes to its open cases.

    Merges come after the opening that they need. A score of an earlier run than a case speaks of a life that is over
    and changes nothing.
    """
    if any(case.run > score.run for case in open_cases):
        return []
    over: list[Change] = [Close(case, "new_run") for case in open_cases if case.run < score.run]
    present = [case for case in open_cases if case.run == score.run]
    healed = [case for case in present if recovers(case.fault, score, contract)]
    staying = [case for case in present if case not in healed]
    named, found = _named(staying, score, contract)
    changes = [*over, *(Close(case, "recovered") for case in healed)]
    changes += [Open(fault, severity(fault, score, contract)) for fault in found]
    for case in staying:
        into = next((fault for fault in named if _says_more(fault, case.fault)), None)
        if into is not None:
            changes.append(Merge(case, into))
        elif case.severity == PLANNED and severity(case.fault, score, contract) == URGENT:
            changes.append(Escalate(case))
        else:
            changes.append(Refresh(case))
    if not named and not any(case.fault == END_OF_LIFE for case in staying) and _opens_end_of_life(score, contract):
        changes.append(Open(END_OF_LIFE, severity(END_OF_LIFE, score, contract)))
    return changes


def _named(staying: Sequence[OpenCase], score: Score, contract: Twin) -> tuple[list[str], list[str]]:
    """Return the faults that a machine has, and those of them that no case is open about.

    Open cases come first: what merges goes on in one of them rather than in a case that may have to wait. A departure
    is none beside a fault with a name, which explains it.
    """
    faults = [case.fault for case in staying if case.fault != END_OF_LIFE]
    found = [fault for fault in present_faults(score, contract) if fault not in faults]
    if any(_says_more(fault, DEPARTURE) for fault in (*faults, *found)):
        found = [fault for fault in found if fault != DEPARTURE]
    return sorted([*faults, *found], key=lambda fault: fault == DEPARTURE), found


def _says_more(fault: str, other: str) -> bool:
    """Whether a fault names what another case is about: any fault an end of life, and one with a name a departure."""
    return other == END_OF_LIFE or (other == DEPARTURE and fault not in (DEPARTURE, END_OF_LIFE))


def recovers(fault: str, score: Score, contract: Twin) -> bool:
    """Whether a score clears the fault of an open case.

    It is where neither the fault is still probable nor the asset still close to its end. A fault of which the score
    says nothing, as after a change of the contract, does not recover.
    """
    if fault != END_OF_LIFE:
        probability = probability_of(score, fault)
        if fault == DEPARTURE and any(says(word, score.warnings) for word in (*SILENT, SHORT_HISTORY)):
            return False  # nothing is said of it now
        if probability is None or probability >= contract.cases.close_probability:
            return False
        if contract.rul is None or score.rul_low is None:
            return True
    elif contract.rul is None or score.rul_low is None:
        return False
    opens_at = limit(contract, fault)
    return score.rul_low > (opens_at if _is_capped(score, contract) else closing_limit(contract, fault))


def present_faults(score: Score, contract: Twin) -> list[str]:
    """Return the faults probable enough to open a case, the most probable first."""
    known = [(probability_of(score, fault), fault) for fault in faults_of(contract) if not _is_excused(score, fault)]
    present = [(p, fault) for p, fault in known if p is not None and p >= contract.cases.open_probability]
    return [fault for _, fault in sorted(present, key=lambda one: -one[0])]


def _is_excused(score: Score, fault: str) -> bool:
    """Whether a departure opens no case: of few rows, at a standstill, in an unknown regime, where a sensor fails.

    A channel that departs alone without the signature of a failing sensor opens one: of its sensor or the machine.
    """
    if fault != DEPARTURE:
        return False
    return any(says(word, score.warnings) for word in (*SILENT, SHORT_HISTORY)) or bool(failing_sensor(score.warnings))


def probability_of(score: Score, fault: str) -> float | None:
    """Return the probability of a fault; None for an end of life or a fault without a probability."""
    axis, _, name = fault.partition(".")
    return score.faults.get(axis, {}).get(name)


def faults_of(contract: Twin) -> list[str]:
    """Return every fault that has a remedy, in the contract's order."""
    return [f"{axis}.{name}" for axis in contract.axes for name in contract.classes(axis)[1:]]


def severity(fault: str, score: Score, contract: Twin) -> str:
    """Return `urgent` where the part may well come too late, else `planned`.

    That is judged halfway between the lower end of the RUL's interval and the RUL itself: held against the lower end,
    by which a case opens, almost every case would open as urgent and none would come before another; held against the
    RUL itself, half of them would become urgent once it is too late to order.
    """
    remedy = remedy_of(contract, fault)
    if remedy is None or score.rul is None or score.rul_low is None or _is_capped(score, contract):
        return PLANNED
    return URGENT if _halfway(score.rul_low, score.rul) <= remedy.lead_time else PLANNED


def limit(contract: Twin, fault: str) -> float:
    """Return the lower RUL bound, in the clock's unit, at or below which a case opens."""
    remedy = remedy_of(contract, fault)
    return max(contract.cases.open_below or 0.0, remedy.lead_time if remedy else 0.0)


def closing_limit(contract: Twin, fault: str) -> float:
    """Return the lower RUL bound above which a case closes; above `limit`, unless that is 0."""
    opens_at, closes_above = limit(contract, fault), contract.cases.close_above
    return closes_above if closes_above is not None and closes_above > opens_at else opens_at * HEADROOM


def remedy_of(contract: Twin, fault: str) -> Remedy | None:
    """Return the remedy of a fault; None for an unknown or healthy class, and for a fleet's case."""
    if fault == END_OF_LIFE:
        return contract.rul.remedy if contract.rul else None
    axis, _, name = fault.partition(".")
    return contract.faults[axis].classes.get(name) if axis in contract.faults else None


def _opens_end_of_life(score: Score, contract: Twin) -> bool:
    """Whether the end is near: its earliest moment within the limit, and not all later ones open.

    The lower end is set by machines that do fail before the cap, so that it is low for healthy ones too; of these the
    interval reaches the cap, "that or more". Where it does, halfway between lower end and RUL has to be within the
    limit, as where an answer is so unsure that its interval always reaches the cap.
    """
    if contract.rul is None or score.rul is None or score.rul_low is None or _is_capped(score, contract):
        return False
    opens_at = limit(contract, END_OF_LIFE)
    ends_before_cap = score.rul_high is not None and score.rul_high < contract.rul.cap
    return score.rul_low <= opens_at and (ends_before_cap or _halfway(score.rul_low, score.rul) <= opens_at)


def _halfway(low: float, rul: float) -> float:
    return (low + rul) / 2


def _is_capped(score: Score, contract: Twin) -> bool:
    """Whether the RUL is at the cap, which means "that or more"."""
    return contract.rul is not None and score.rul is not None and score.rul >= contract.rul.cap
