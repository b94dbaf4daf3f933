"""What an asset's end of life is decided on: how long and how hard each part ran, its condition, its repairs.

The frame of a digital product passport: what nobody has told is named under `unknown`, with how to tell it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.twin.asset_shell.machine_facts import MachineFacts
from foretwin.twin.asset_shell.nameplate import FROM_TAGS, tag_of
from foretwin.twin.asset_shell.shell import submodel_ids
from foretwin.twin.store import Connection, timeline
from foretwin.twin.store.assets import FittedPart
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.telemetry import history
from foretwin.twin.store.telemetry.machine_runs import RunSpan

Document = dict[str, Any]
ALL = (None, None)
MACHINE = "machine"
# What a product passport asks for and no reading tells; a tag of that name does.
PASSPORT_TAGS = ("mass", "materials", "hazardous_substances", "carbon_footprint", "spare_parts_until", "dismantling")


@dataclass
class _Load:
    """What (C,) channels showed: counts, sums and ends over the readings that have them."""

    channels: tuple[str, ...]
    readings: int = 0
    count: NDArray[np.int64] = field(init=False)
    total: NDArray[np.float64] = field(init=False)
    low: NDArray[np.float64] = field(init=False)
    high: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        size = len(self.channels)
        self.count, self.total = np.zeros(size, np.int64), np.zeros(size)
        self.low, self.high = np.full(size, np.inf), np.full(size, -np.inf)

    def add(self, values: NDArray[np.float64]) -> None:
        """Add readings, (N, C), NaN where one lacks a channel."""
        there = np.isfinite(values)
        self.readings += len(values)
        self.count += there.sum(axis=0)
        self.total += np.where(there, values, 0.0).sum(axis=0)
        self.low = np.minimum(self.low, np.where(there, values, np.inf).min(axis=0, initial=np.inf))
        self.high = np.maximum(self.high, np.where(there, values, -np.inf).max(axis=0, initial=-np.inf))

    def shown(self, contract: Twin) -> Document:
        """Return mean, lowest and highest value of each channel that was read."""
        loads = {}
        for i, name in enumerate(self.channels):
            if self.count[i]:
                mean = float(self.total[i] / self.count[i])
                ends = {"lowest": float(self.low[i]), "highest": float(self.high[i])}
                loads[name] = {"mean": mean, **ends, "unit": contract.channels[name].unit}
        return {"readings": self.readings, "loads": loads}


def end_of_life(connection: Connection, facts: MachineFacts, health: str, score: Document | None) -> Document:
    """Return the report; `health` is the machine's word, `score` its last one as answers show it.

    Times are in the unit of the contract's clock. Loads are of the readings that the store holds, not of archived ones.
    """
    asset, contract = facts.asset, facts.contract
    loads = _loads(connection, facts)
    parts = [_part(connection, facts, part, loads[i]) for i, part in enumerate(facts.parts)]
    return {
        "asset": asset.name,
        "twin": asset.twin,
        "id": facts.global_id,
        "serial_number": asset.serial_number,
        "location": asset.location,
        "tags": asset.tags,
        "at": facts.now,
        "unit": contract.clock.unit,
        MACHINE: {
            "running_time": sum(map(_length, facts.runs)),
            "runs": len(facts.runs),
            **loads[-1].shown(contract),
        },
        "parts": parts,
        "condition": {
            "health": health,
            "score": score,
            "open_cases": [_case(facts, case) for case in facts.open_cases],
        },
        "repairs": [_repair(row) for row in timeline.maintenance_of(connection, asset.id, ALL)],
        "findings": [_finding(row) for row in timeline.verdicts_of(connection, asset.id, ALL)],
        "submodels": [{"template": f"IDTA {number}", "id": one} for number, one in submodel_ids(facts).items()],
        "unknown": _unknown(facts),
        "links": {"aas": f"/v1/twins/{asset.name}/aas"},
    }


def _loads(connection: Connection, facts: MachineFacts) -> list[_Load]:
    """Return the load of each fitted part since it was fitted, and last that of the machine, in one pass."""
    contract = facts.contract
    numbers = [name for name, one in contract.channels.items() if one.categories is None]
    settings = [name for name in numbers if contract.channels[name].role == "setting"]
    names = tuple(settings or numbers)
    found = [_Load(names) for _ in (*facts.parts, MACHINE)]
    for frame in history.all_readings(connection, facts.asset.twin, names, facts.asset.id):
        values = frame[list(names)].to_numpy(np.float64)
        found[-1].add(values)
        for part, load in zip(facts.parts, found[:-1], strict=True):
            load.add(values[_since(frame, part.fitted_at)])
    return found


def _since(frame: pd.DataFrame, moment: datetime) -> NDArray[np.bool_]:
    received = pd.to_datetime(frame["received_at"], utc=True)
    since: NDArray[np.bool_] = (received >= pd.Timestamp(moment)).to_numpy()
    return since


def _part(connection: Connection, facts: MachineFacts, part: FittedPart, load: _Load) -> Document:
    """Return a fitted part: since when, how long it ran, how hard, and what is expected of it."""
    known = {name: getattr(part, name) for name in ("part", "serial_number", "provenance", "fitted_at")}
    cases = [_case(facts, case) for case in facts.open_cases if _part_of(facts, case) == part.part]
    return {
        **known,
        "running_time": _running_since(connection, facts, part.fitted_at),
        **load.shown(facts.contract),
        "open_cases": cases,
    }


def _running_since(connection: Connection, facts: MachineFacts, moment: datetime) -> float:
    """Return how long the machine has run since then, on the clocks of its runs."""
    total = 0.0
    for run in facts.runs:
        if run.first_at >= moment:
            total += _length(run)
        elif run.last_at > moment:  # it was fitted within the run
            before = timeline.last_reading(connection, facts.asset.id, moment)
            within = before is not None and before["run"] == run.run
            total += run.last_time - (before["time"] if before and within else run.first_time)
    return total


def _length(run: RunSpan) -> float:
    return run.last_time - run.first_time


def _part_of(facts: MachineFacts, case: Case) -> str | None:
    remedy = facts.remedy(case)
    return remedy.part if remedy else None


def _case(facts: MachineFacts, case: Case) -> Document:
    names = ("id", "fault", "severity", "state", "opened_at", "probability", "rul", "rul_low", "rul_high")
    return {**{name: getattr(case, name) for name in names}, "part": _part_of(facts, case)}


def _repair(row: Document) -> Document:
    return {name: row[name] for name in ("at", "kind", "part", "serial_number", "note", "run", "time", "case")}


def _finding(row: Document) -> Document:
    return {name: row[name] for name in ("at", "case", "verdict", "fault", "note", "run", "time")}


def _unknown(facts: MachineFacts) -> list[Document]:
    """Return what is not known, each with how to tell it."""
    asset, tags = facts.asset, facts.asset.tags
    missing = [tag_of(element) for element in FROM_TAGS if tag_of(element) not in tags]
    missing += [name for name in (*PASSPORT_TAGS, "uri_of_the_product") if name not in tags]
    found = [{"what": name, "tell": f"a tag {name} of the machine"} for name in missing]
    if asset.serial_number is None:
        found.insert(0, {"what": "serial_number", "tell": "PUT /v1/twins/{asset} with serial_number"})
    fitted = {part.part for part in facts.parts}
    named = dict.fromkeys(remedy.part for remedy in _remedies(facts.contract) if remedy.part not in fitted)
    found += [{"what": f"part: {part}", "tell": "PUT /v1/twins/{asset} with it in parts"} for part in named]
    if facts.score is None or facts.score.rul is None:
        found.append({"what": "remaining life", "tell": "a score of the present run by a model with an RUL"})
    if not facts.runs:
        found.append({"what": "running time", "tell": "readings"})
    return found


def _remedies(contract: Twin) -> Sequence[Any]:
    classes = [one for axis in contract.faults.values() for one in axis.classes.values() if one is not None]
    return [*([contract.rul.remedy] if contract.rul else []), *classes]
