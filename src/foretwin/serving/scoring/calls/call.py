"""A decoded scoring call, whatever its media type."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from foretwin.champion.champion import Champion
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.predictor.inputs import ModelInputs

ODD_STEP = 20  # times the contract's step, or a part of it: hours differ from days by 24, from minutes by 60
AHEAD = timedelta(minutes=5)  # by which a sender's clock may be wrong


@dataclass(frozen=True)
class ScoreCall:
    """A scoring call and its champion, which answers all of it even if another takes over meanwhile."""

    champion: Champion
    tracks: ModelInputs
    observed_at: tuple[datetime | None, ...]  # (A,) when each asset's last reading was taken, where the caller says so

    @property
    def contract(self) -> Twin:
        """The contract of the twin that is asked for."""
        return self.champion.bundle.contract

    def find_odd_clock(self) -> tuple[int, float] | None:
        """Return the first asset whose times cannot be in the contract's unit, and its usual step; None where all can.

        The usual step is the median of three rows or more, since a machine may have stood still in between.
        """
        tracks, step = self.tracks, self.contract.clock.step
        time, ends = tracks.histories.time, tracks.ends
        first = tracks.histories.first[ends]
        spans, steps = (time[ends] - time[first]).tolist(), (ends - first).tolist()
        for i, (span, count) in enumerate(zip(spans, steps, strict=True)):
            if count > 1 and not step / ODD_STEP * count < span < ODD_STEP * step * count:
                usual = float(np.median(np.diff(time[first[i] : ends[i] + 1])))
                if usual >= ODD_STEP * step or usual <= step / ODD_STEP:
                    return i, usual
        return None

    def odd_clock(self, field: str, usual: float) -> BadInput:
        """Return the error for times in another unit."""
        clock = self.contract.clock
        reason = f"usually advances by {usual:g}, {clock.step:g} is this twin's step: times are in {clock.unit}"
        return BadInput(field, reason)

    def ages(self, now: datetime) -> list[float | None]:
        """Return (A,) the age of each asset's data, s."""
        return [None if at is None else max((now - at).total_seconds(), 0.0) for at in self.observed_at]


def check_moment(at: datetime, field: str) -> datetime:
    """Return a past moment with a time zone; else BadInput."""
    if at.tzinfo is None:
        raise BadInput(field, "has no zone; a moment such as 2026-11-21T12:00:00Z is needed")
    if at > datetime.now(UTC) + AHEAD:
        raise BadInput(field, "lies in the future")
    return at
