"""Schemas of answers about what is due, which parts it needs, which models say so, and who used how much."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


class DueCase(BaseModel):
    """A case that is due; `due_at` is the day for which it is planned, else its latest safe date."""

    id: int
    twin: str
    asset: str | None
    site: str
    fault: str
    state: str
    severity: str
    assignee: str | None
    due_at: datetime | None
    planned_for: datetime | None
    latest_safe_date: datetime | None
    undated: str | None
    is_late: bool
    rul_low: float | None
    snoozed_until: datetime | None
    part: str | None
    lead_time: float | None
    unit: str | None


class CalendarAnswer(BaseModel):
    """What is due by its dates, what has none, and whether there is more than one answer holds."""

    items: list[DueCase]
    undated: list[DueCase]
    more: bool


class NeedAnswer(BaseModel):
    """How many are needed: where every machine ends late, as expected, early."""

    least: int
    expected: int
    most: int


class PartNeed(BaseModel):
    """The need of a part at a site, and the machines that need it, the first ones first."""

    site: str
    part: str
    twin: str
    in_30_days: NeedAnswer
    in_90_days: NeedAnswer
    assets: list[str]


class PartsAnswer(BaseModel):
    """The needs by site and part, and the twins of which nothing can be said."""

    items: list[PartNeed]
    left_out: list[str]


class ModelHead(BaseModel):
    """The champion of a twin, since when, and why; null where it has none."""

    twin: str
    title: str
    unit: str
    name: str | None
    version: str | None
    run: str | None
    digest: str | None
    promoted_at: datetime | None
    commit: str | None
    reasons: list[str]
    figures: dict[str, float]


class ModelsAnswer(BaseModel):
    """The champions."""

    items: list[ModelHead]


class CandidateFigures(BaseModel):
    """A candidate and its figures on held-out machines."""

    name: str
    figures: dict[str, float]


class BandFigures(BaseModel):
    """Errors at windows with so much life left, in the clock's unit: `bias` is what was said less what was true.

    `coverage` is the share within the interval; `late_side` that of ends before it.
    """

    band: str
    count: int
    rmse: float
    bias: float
    coverage: float
    late_side: float


class TrialAnswer(BaseModel):
    """What is tried beside the champion: in shadow, or answering for `assets` machines.

    `compared` is how the monitor saw the two at `compared_at`, differences as what was said beside less what was
    served.
    """

    mode: str
    since: datetime
    version: str | None
    digest: str | None
    assets: int | None
    compared_at: datetime | None
    compared: list[dict[str, Any]]


class ChampionAnswer(ModelHead):
    """A champion beside what it was measured against, what is tried beside it, and where it comes from.

    `bands` has the errors by what was truly left (`bands`), and by what was said (`bands_predicted`).
    """

    candidates: list[CandidateFigures]
    bands: dict[str, list[BandFigures]]
    measured_on: dict[str, int]
    trial: TrialAnswer | None
    lineage: dict[str, Any]
    has_card: bool


class LedgerLine(BaseModel):
    """A decision about a champion."""

    at: datetime
    action: str
    version: str
    bundle: str
    run: str
    champion_before: str | None
    champion: str | None
    reasons: list[str]
    actor: str
    reason: str | None


class LedgerAnswer(BaseModel):
    """The decisions, the newest first."""

    items: list[LedgerLine]


class UsageLine(BaseModel):
    """What an owner's machines of one twin used in a month of UTC; a month that `is_over` changes no more."""

    month: str
    owner: str
    twin: str
    readings: int
    scores: int
    is_over: bool


class UsageAnswer(BaseModel):
    """The usage, the newest month first."""

    items: list[UsageLine]


class TypeJob(BaseModel):
    """The making of a machine type; `message` says why it failed, or what the gate said.

    `columns` is what was said that columns mean.
    """

    twin: str
    step: Literal["looking", "drafted", "building", "champion", "refused", "failed"]
    by: str
    started_at: datetime
    finished_at: datetime | None
    message: str
    columns: dict[str, str]


class UploadedColumn(BaseModel):
    """A column of an uploaded file, what it was taken for (empty: left out), that in one word, and its first values."""

    name: str
    meaning: str
    called: str
    examples: list[str]


class TypeJobAnswer(BaseModel):
    """The job, the end of its log, and the draft where one waits for a person."""

    job: TypeJob | None
    log: str
    draft: dict[str, Any] | None
    columns: list[UploadedColumn]
