"""Schemas of answers about what is kept: terms, the archive, holds."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class ArchivedKindAnswer(BaseModel):
    """What the archive holds of one kind of rows; `dropped` of them are no longer in the store, or were spared."""

    kind: str
    files: int
    rows: int
    dropped: int
    since: datetime
    until: datetime
    written_at: datetime


class ArchiveFileAnswer(BaseModel):
    """A file of the archive; `since` and `until` are the moments of its first and its last row."""

    kind: str
    file: str
    rows: int
    dropped: int
    since: datetime
    until: datetime
    written_at: datetime


class TwinRetention(BaseModel):
    """What is kept of a twin: `terms` in days or `forever`, as its contract says.

    `readings_stored` were ever stored, counted since a month; raw are those that were not dropped since.
    """

    twin: str
    title: str
    terms: dict[str, Any]
    readings_stored: int
    counted_since: str | None
    archive: list[ArchivedKindAnswer]
    last_files: list[ArchiveFileAnswer]


class RetentionAnswer(BaseModel):
    """What is kept of each twin."""

    items: list[TwinRetention]


class HoldAnswer(BaseModel):
    """A machine of which nothing ages out."""

    asset: str
    twin: str
    because: str
    actor: str
    at: datetime


class HoldsAnswer(BaseModel):
    """The holds, the newest first; `more` where there are others."""

    items: list[HoldAnswer]
    more: bool


class HeldAnswer(BaseModel):
    """Whether a machine is held now."""

    asset: str
    is_held: bool


class LiftedAnswer(HeldAnswer):
    """A machine whose hold has ended."""
