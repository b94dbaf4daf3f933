"""Schemas of answers about cases and whole plants: quarantine, deliveries, key figures, monitor, overview."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from foretwin.twin.api.schemas.asset_answers import CaseOfAsset, Health


class CaseAnswer(CaseOfAsset):
    """A case, with how old its asset's newest reading is; of a fleet's case that is left out."""

    stale: bool | None = None
    age_seconds: float | None = None


class CasesAnswer(BaseModel):
    """A page of cases."""

    items: list[CaseAnswer]
    next: str | None


class CommentAnswer(BaseModel):
    """What somebody said of a case."""

    id: int
    case: int
    asset: str | None
    at: datetime
    actor: str
    text: str


class CommentsAnswer(BaseModel):
    """All that was said of a case."""

    items: list[CommentAnswer]


class PhotoAnswer(BaseModel):
    """A photo of a case, with the size of its JPEG; `GET /v1/cases/{case}/photos/{id}` is the picture."""

    id: int
    case: int
    at: datetime
    actor: str
    width: int
    height: int
    bytes: int


class PhotosAnswer(BaseModel):
    """The photos of a case."""

    items: list[PhotoAnswer]


class PastCase(BaseModel):
    """A closed case of the same fault; `lasted` from its opening to the verdict, in the clock's unit."""

    id: int
    asset: str
    run: int
    severity: str
    opened_at: datetime
    closed_at: datetime
    verdict: str
    fault: str | None
    note: str | None
    lasted: float | None


class SimilarAnswer(BaseModel):
    """How cases of the same fault ended."""

    items: list[PastCase]


class ServiceRequestAnswer(BaseModel):
    """What a technician needs for the repair."""

    number: str
    issued_at: datetime
    severity: str
    state: str
    asset: dict[str, Any]
    fault: dict[str, Any]
    rul: dict[str, Any] | None
    latest_safe_date: datetime | None
    undated: str | None
    remaining: dict[str, Any] | None
    part: dict[str, Any]
    instruction: str
    skills: list[str]
    lead_time: dict[str, Any]
    window: dict[str, Any]
    model: dict[str, Any] | None
    links: dict[str, str]


class VerdictAnswer(BaseModel):
    """A verdict as it was kept; fields of an asset's run are left out for a fleet's case."""

    case: int
    verdict: str
    at: datetime
    actor: str
    note: str | None
    asset: str | None = None
    fault: str | None = None
    run: int | None = None
    time: float | None = None
    part: str | None = None
    serial_number: str | None = None
    next_run: int | None = None


class QuarantinedAnswer(BaseModel):
    """A reading or message that was set aside."""

    id: int
    received_at: datetime
    via: str
    twin: str | None
    asset: str | None
    field: str
    reason: str
    detail: str
    content: str
    readings: int
    digest: str
    released_at: datetime | None


class QuarantineAnswer(BaseModel):
    """A page of what was set aside."""

    items: list[QuarantinedAnswer]
    next: str | None


class ReleaseAnswer(BaseModel):
    """What became of a reading that was released."""

    stored: int
    duplicates: int
    late: int
    gaps: int


class DeliveryAnswer(BaseModel):
    """An event on its way to a target."""

    event: str
    target: str
    state: Literal["waiting", "delivered", "dead", "unknown"]
    attempts: int
    due_at: datetime
    error: str | None
    stream: str
    is_next: bool
    type: str
    subject: str
    at: datetime


class DeliveriesAnswer(BaseModel):
    """A page of deliveries."""

    items: list[DeliveryAnswer]
    next: str | None


class RevivalAnswer(BaseModel):
    """How many deliveries wait again."""

    revived: int


class AssetsByHealth(BaseModel):
    """How many assets of a twin there are with one word for their health."""

    twin: str
    health: Health
    assets: int
    silent: int
    unheard: int


class CasesBySeverity(BaseModel):
    """How many cases are open."""

    severity: str
    state: str
    cases: int


class BacklogAnswer(BaseModel):
    """Assets with readings that no score has seen, and since when the oldest waits."""

    assets: int
    since: datetime | None


class FailuresOfYear(BaseModel):
    """How many failures of a twin were foreseen and missed since a day; `is_complete` once every machine is counted."""

    twin: str
    since: date
    foreseen: int
    missed: int
    is_complete: bool


class OverviewAnswer(BaseModel):
    """Counts of everything that the caller may see; `owners` who sent something lately, none where they are many."""

    assets: list[AssetsByHealth]
    cases: list[CasesBySeverity]
    waiting_for_scores: BacklogAnswer
    newest_reading_at: datetime | None
    failures: list[FailuresOfYear]
    owners: list[str]


class KpiPeriod(BaseModel):
    """Key figures of one period, or of all together."""

    model_config = ConfigDict(extra="allow")

    failures: dict[str, Any]
    avoided: int
    replaced: int
    lead_time: dict[str, Any]
    false_alarms: dict[str, Any]
    cases: dict[str, Any]
    availability: dict[str, Any]
    cost: dict[str, Any] | None


class KpiReport(BaseModel):
    """Key figures of one twin."""

    twin: str
    title: str
    at: datetime
    unit: str
    period: str
    since: str
    until: str
    costs: dict[str, Any] | None
    total: KpiPeriod
    periods: list[KpiPeriod]
    assumptions: list[str]
    erased_assets: int


class KpisAnswer(BaseModel):
    """Key figures by twin."""

    twins: list[KpiReport]


class MonitorAnswer(BaseModel):
    """The monitor's last report about a twin."""

    model_config = ConfigDict(extra="allow")

    twin: str
    unit: str
    looked_at: datetime
    champion: dict[str, Any]
    drift: dict[str, Any]
    signals: list[dict[str, Any]]
    truth: dict[str, Any]
    shadow: list[dict[str, Any]]
    unlearnt_runs: int
    verdict: dict[str, Any]
    case: dict[str, Any] | None


class ReadyAnswer(BaseModel):
    """The store takes writes."""

    status: Literal["ready"]
