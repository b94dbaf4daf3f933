"""Encode score responses with model, contract, interval level and data age."""

from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from foretwin.champion.champion import Champion
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import Answers
from foretwin.predictor.health.health_state import health_answer
from foretwin.predictor.records import score_records
from foretwin.serving.scoring.calls.call import ScoreCall
from foretwin.wire.tables import JSON, write_table

METADATA = "foretwin"  # the key of a table's metadata: the model as JSON


def encode_answer(call: ScoreCall, answers: Answers, now: datetime, kind: str) -> bytes:
    """Encode the answer to a call in one of the media types of `wire.tables`."""
    champion, ages = call.champion, call.ages(now)
    add_staleness(call.contract, ages, answers)
    if kind != JSON:
        return write_table(_table(champion, ages, answers), kind)
    return orjson.dumps({"model": describe_model(champion), "scores": _scores(champion, ages, answers)})


def describe_model(champion: Champion) -> dict[str, str]:
    """Describe the model that answered."""
    identity = champion.identity
    return {
        "name": identity.name,
        "version": identity.version,
        "run": identity.run,
        "digest": identity.digest,
        "contract": champion.bundle.contract_digest,
    }


def add_staleness(contract: Twin, ages: list[float | None], answers: Answers) -> None:
    """Add a warning where the data is older than the contract allows."""
    allowed = contract.longest_silence
    if allowed is None:
        return
    for age, warnings in zip(ages, answers.columns["warnings"], strict=True):
        if age is not None and age > allowed.total_seconds():
            warnings.append(f"stale: the last reading is {age:.0f} s old, {allowed.total_seconds():g} are allowed")


def _scores(champion: Champion, ages: list[float | None], answers: Answers) -> list[dict[str, Any]]:
    contract = champion.bundle.contract
    level = champion.bundle.calibration.level if champion.bundle.calibration else None
    scores: list[dict[str, Any]] = []
    for record, age in zip(score_records(contract, answers), ages, strict=True):
        score: dict[str, Any] = {"asset": record.asset, "time": record.time, "rows": record.rows}
        if contract.rul:
            ends = {"low": record.rul_low, "high": record.rul_high}
            score["rul"] = {"value": record.rul, **ends, "level": level, "unit": contract.clock.unit}
            score |= {"p_failure": record.p_failure} if record.p_failure else {}
        score |= {"faults": record.faults, "diagnosis": record.diagnosis}
        health = health_answer(record, contract)
        score |= {"health": health} if health else {}
        if age is not None:
            score["data_age"] = age
        score["warnings"] = record.warnings
        scores.append(score)
    return scores


def _table(champion: Champion, ages: list[float | None], answers: Answers) -> pa.Table:
    """Return the columns of `Bundle.score`, `data_age` where the caller gave it, and the model in the metadata."""
    columns: dict[str, Any] = {"asset": answers.assets, "run": answers.runs, "time": answers.time, "rows": answers.rows}
    columns |= {name: values for name, values in answers.columns.items() if name != "warnings"}
    if any(age is not None for age in ages):
        columns["data_age"] = pa.array(ages, pa.float64())
    columns["warnings"] = pa.array(answers.columns["warnings"].tolist(), pa.list_(pa.string()))
    contract = champion.bundle.contract
    told = {**describe_model(champion), "unit": contract.clock.unit}
    if champion.bundle.calibration:
        told["level"] = f"{champion.bundle.calibration.level:g}"
    return pa.table(columns).replace_schema_metadata({METADATA: orjson.dumps(told)})
