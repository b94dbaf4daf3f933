"""Schemas of answers about assets: description, readings, scores, thread, explanation, what-if, erasure."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from foretwin.contract.source import Source
from foretwin.contract.twin import Twin

Health = Literal["failure", "maintenance_required", "check_function", "off_specification", "good"]
HealthState = Literal[
    "good", "off_specification", "check_function", "maintenance_required", "failure", "off", "unknown_regime"
]


class AgedAnswer(BaseModel):
    """How old the newest reading is; `stale` is null where no contract says."""

    stale: bool | None
    age_seconds: float | None


class LastReading(BaseModel):
    """The newest reading."""

    time: float | None
    received_at: datetime


class Counters(BaseModel):
    """How many readings there were of each kind."""

    readings: int
    late: int
    duplicates: int
    gaps: int
    quarantined: int


class ModelAnswer(BaseModel):
    """Which model answered."""

    name: str
    version: str
    run: str
    digest: str


class RulAnswer(BaseModel):
    """Remaining useful life with its interval."""

    value: float
    low: float
    high: float
    level: float | None
    unit: str | None


class HealthAnswer(BaseModel):
    """What a score says of health: 100 is as normal as can be, and the state says whether the index counts."""

    index: float = Field(ge=0, le=100)
    state: HealthState
    baseline: Literal["own", "fleet"] | None = Field(
        default=None,
        description="by which it was judged; left out where the contract asks for no baseline of each machine",
    )


class ScoreAnswer(BaseModel):
    """What a model said of a window."""

    run: int
    time: float
    scored_at: datetime
    age: float
    rows: int
    faults: dict[str, dict[str, float]]
    diagnosis: dict[str, str]
    warnings: list[str]
    rul: RulAnswer | None = Field(default=None, description="left out where the twin has none")
    p_failure: dict[str, float] | None = Field(
        default=None,
        description="chance of a failure within each horizon of the contract; left out where it names none",
    )
    health: HealthAnswer | None = Field(default=None, description="left out where the contract asks for none")
    model: ModelAnswer


class AssetAnswer(AgedAnswer):
    """An asset."""

    asset: str
    twin: str
    serial_number: str | None
    location: str | None
    tags: dict[str, str]
    registered_at: datetime
    run: int
    last_reading: LastReading | None
    counters: Counters
    health: Health
    last_score: ScoreAnswer | None


class ShortCase(BaseModel):
    """A case that is open, in short."""

    id: int
    fault: str
    severity: str
    state: str


class FleetItem(AssetAnswer):
    """An asset in the list."""

    open_cases: int
    cases: list[ShortCase]


class FleetAnswer(BaseModel):
    """A page of assets; `next` is the path of the page that follows."""

    items: list[FleetItem]
    next: str | None


class PartAnswer(BaseModel):
    """A fitted part."""

    part: str
    serial_number: str | None
    provenance: str | None
    fitted_at: datetime
    removed_at: datetime | None = None


class CaseOfAsset(BaseModel):
    """A case; numbers are those of the score that speaks last for it."""

    id: int
    twin: str
    asset: str | None
    run: int | None
    fault: str
    state: Literal["open", "acknowledged", "planned", "waiting_for_part", "closed"]
    severity: Literal["planned", "urgent"]
    opened_at: datetime
    opened_time: float | None
    updated_at: datetime
    acknowledged_at: datetime | None
    assignee: str | None
    planned_for: datetime | None
    snoozed_until: datetime | None
    snoozed_because: str | None
    closed_at: datetime | None
    closed_because: str | None
    merged_into: int | None
    time: float | None
    scored_at: datetime | None
    rul: float | None
    rul_low: float | None
    rul_high: float | None
    probability: float | None
    latest_safe_date: datetime | None
    undated: str | None
    evidence: dict[str, Any]


class AssetDetail(AssetAnswer):
    """Everything about an asset that is known now."""

    parts: list[PartAnswer]
    open_cases: list[CaseOfAsset]


class ContractAnswer(Twin):
    """The contract of a twin, without where its data come from."""

    source: Source = Field(exclude=True)


class ReadingAnswer(BaseModel):
    """A reading."""

    run: int
    time: float
    received_at: datetime
    via: str
    channels: dict[str, float | str | None]


class ReadingsAnswer(AgedAnswer):
    """A page of readings."""

    asset: str
    items: list[ReadingAnswer]
    next: str | None


class ScoresAnswer(AgedAnswer):
    """A page of scores."""

    asset: str
    items: list[ScoreAnswer]
    next: str | None


class ThreadEntry(BaseModel):
    """Something that happened; `kind` says which other fields there are."""

    model_config = ConfigDict(extra="allow")

    at: datetime
    kind: Literal["readings", "score", "case", "verdict", "maintenance", "part", "audit"]


class ThreadAnswer(AgedAnswer):
    """What happened to an asset, newest last; `state` is what was known at the moment `at`."""

    asset: str
    twin: str
    entries: list[ThreadEntry]
    state: dict[str, Any] | None = None


class MaintenanceAnswer(AgedAnswer):
    """Maintenance as it was recorded; `next_run` is the run that began by it."""

    asset: str
    run: int
    time: float
    at: datetime
    kind: Literal["inspection", "part_replaced", "run_ended", "sensor_replaced", "sensor_recalibrated"]
    part: str | None
    channel: str | None
    serial_number: str | None
    provenance: str | None
    note: str | None
    actor: str
    next_run: int | None


class AttributionAnswer(BaseModel):
    """How far each channel moves one answer, from `base` to `prediction`."""

    answer: str
    unit: str
    base: float
    prediction: float
    contributions: dict[str, float]


class ExplanationAnswer(BaseModel):
    """Why the champion says what it says now, per question."""

    asset: str
    run: int
    time: float
    questions: dict[str, AttributionAnswer]
    twin: str
    model: ModelAnswer


class WhatIfAnswer(AgedAnswer):
    """Remaining life under each option, the longest first, `as now` among them."""

    asset: str
    twin: str
    as_of: dict[str, Any]
    options: list[dict[str, Any]]
    warnings: list[str]
    assumptions: list[str]
    model: dict[str, Any]


class ErasureCertificate(BaseModel):
    """What was erased, and what could not be."""

    schema_: int = Field(alias="schema")
    number: int
    asset_sha256: str
    twin: str
    at: datetime
    actor: str
    store: dict[str, Any]
    archive: dict[str, Any]
    history: str
    files: dict[str, Any]
    models: list[dict[str, Any]]
    not_touched: list[str]
    next: str
