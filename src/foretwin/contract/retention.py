"""How long the store keeps what it is told about the machines of a twin, and in what detail.

Policy, like the costs: no part of what a model is trained under. Nothing is dropped before it was written to the
archive and read back from there.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from foretwin.contract.parts import ContractPart

FOREVER: Literal["forever"] = "forever"
Days = Annotated[int, Field(ge=1, le=36_500)]
Term = Days | Literal["forever"]
Share = Annotated[float, Field(ge=0, le=1)]


class ScoreRetention(ContractPart):
    """Which scores are kept: those that differ from the last one kept, or all; the newest of an asset always."""

    days: Term = 400
    keep: Literal["changed", "all"] = Field(default="changed", description="`all`: none is thinned out")
    rul_change: Share = Field(default=0.1, description="share of the RUL's cap by which RUL or interval must differ")
    probability_change: Share = Field(default=0.3, description="by which the probability of a class must differ")
    longest_gap: Annotated[float, Field(gt=0)] = Field(default=60, description="minutes between two that are kept")


class Retention(ContractPart):
    """Terms in days, counted from receipt; `forever` keeps."""

    readings: Term = Field(default=30, description="raw; then mean, min and max of each hour")
    hours: Term = Field(default=FOREVER, description="these; then how many readings came in each hour, for ever")
    scores: ScoreRetention = ScoreRetention()
    events: Term = Field(default=90, description="with their deliveries, once none is waiting")
    quarantine: Term = 90
    waveforms: Term = Field(default=30, description="snapshots of waveforms that are kept; then they are removed")
    audit: Term = FOREVER

    def __str__(self) -> str:
        terms = {name: getattr(self, name) for name in ("readings", "hours", "events", "quarantine", "audit")}
        terms["scores"] = self.scores.days
        dropped = [f"{name} after {days} days" for name, days in terms.items() if days != FOREVER]
        thinned = ["of scores those that changed are kept"] if self.scores.keep == "changed" else []
        told = "; ".join([*([f"archived and dropped are {', '.join(dropped)}"] if dropped else []), *thinned])
        return told or "everything is kept"


def length_of(term: Term) -> timedelta | None:
    """Return a term as a length of time; None for ever."""
    return None if term == FOREVER else timedelta(days=term)
