"""A decoded scoring call, whatever its media type."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from foretwin.champion.champion import Champion
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.predictor.inputs import ModelInputs

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
