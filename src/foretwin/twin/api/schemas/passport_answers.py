"""Schemas of answers for other systems: asset administration shell, end of life, work orders."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from foretwin.twin.api.schemas.asset_answers import Health, ScoreAnswer


class ShellAnswer(BaseModel):
    """An environment of AAS 3.0."""

    shells: list[dict[str, Any]] = Field(alias="assetAdministrationShells")
    submodels: list[dict[str, Any]]


class LoadAnswer(BaseModel):
    """What a channel showed."""

    mean: float
    lowest: float
    highest: float
    unit: str


class RunningAnswer(BaseModel):
    """How long something ran, in the unit of the contract's clock, and how hard, by the readings that are kept."""

    running_time: float
    readings: int
    loads: dict[str, LoadAnswer]


class MachineRunning(RunningAnswer):
    """The machine as a whole."""

    runs: int


class OpenCaseAnswer(BaseModel):
    """A case that is open, with the part that it is about."""

    id: int
    fault: str
    severity: str
    state: str
    opened_at: datetime
    probability: float | None
    rul: float | None
    rul_low: float | None
    rul_high: float | None
    part: str | None


class PartRunning(RunningAnswer):
    """A part that is fitted."""

    part: str
    serial_number: str | None
    provenance: str | None
    fitted_at: datetime
    open_cases: list[OpenCaseAnswer]


class ConditionAnswer(BaseModel):
    """How the machine is: its word, its last score of the present run, its open cases."""

    health: Health
    score: ScoreAnswer | None
    open_cases: list[OpenCaseAnswer]


class RepairAnswer(BaseModel):
    """What was done."""

    at: datetime
    kind: str
    part: str | None
    serial_number: str | None
    note: str | None
    run: int
    time: float
    case: int | None


class FindingAnswer(BaseModel):
    """What a technician found."""

    at: datetime
    case: int
    verdict: str
    fault: str | None
    note: str | None
    run: int
    time: float


class SubmodelAnswer(BaseModel):
    """A submodel of the machine's shell."""

    template: str
    id: str


class UnknownAnswer(BaseModel):
    """What is not known, and how to tell it."""

    what: str
    tell: str


class EndOfLifeAnswer(BaseModel):
    """What an asset's end of life is decided on."""

    asset: str
    twin: str
    id: str
    serial_number: str | None
    location: str | None
    tags: dict[str, str]
    at: datetime
    unit: str
    machine: MachineRunning
    parts: list[PartRunning]
    condition: ConditionAnswer
    repairs: list[RepairAnswer]
    findings: list[FindingAnswer]
    submodels: list[SubmodelAnswer]
    unknown: list[UnknownAnswer]
    links: dict[str, str]


class WorkOrderState(BaseModel):
    """What became of the case whose order's state a maintenance system told."""

    case: int
    state: str
    changed: bool
