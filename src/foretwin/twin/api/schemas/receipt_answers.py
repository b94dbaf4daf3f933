"""Schemas of answers about what was sent: readings and events."""

from pydantic import BaseModel

from foretwin.twin.api.schemas.asset_answers import AgedAnswer


class RefusedReading(BaseModel):
    """Why a reading was set aside."""

    field: str
    reason: str
    detail: str


class ReceiptAnswer(AgedAnswer):
    """What became of the readings of one call."""

    asset: str
    stored: int
    duplicates: int
    late: int
    gaps: int
    quarantined: int
    counted_only: int
    rejected: list[RefusedReading]


class EventsAnswer(AgedAnswer):
    """What became of the events of one call."""

    asset: str
    stored: int
    duplicates: int
    late: int
    ignored: int
