"""How assets, scores, readings and cases look in an answer."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.errors import StoreError
from foretwin.predictor.health.health_state import health_answer
from foretwin.twin.scoring.staleness import is_stale
from foretwin.twin.store import Connection
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework.waiting import count_waiting, list_waiting
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score, ScoringModel

COUNTERS = ("readings", "late", "duplicates", "gaps", "quarantined")


def show_asset(asset: Asset, contract: Twin | None, now: datetime) -> dict[str, Any]:
    """The description, counters and last reading of an asset, with how old that is.

    `stale` is null where the twin's contract is no longer there to say.
    """
    return {
        "asset": asset.name,
        "twin": asset.twin,
        "serial_number": asset.serial_number,
        "location": asset.location,
        "tags": asset.tags,
        "registered_at": asset.registered_at,
        "run": asset.run,
        "last_reading": {"time": asset.time, "received_at": asset.received_at} if asset.received_at else None,
        **freshness(asset, contract, now),
        "counters": {name: getattr(asset, name) for name in COUNTERS},
    }


def freshness(asset: Asset, contract: Twin | None, now: datetime) -> dict[str, Any]:
    """Whether the asset is stale, and how many seconds ago its last reading came; part of every answer about one."""
    age = (now - asset.received_at).total_seconds() if asset.received_at else None
    return {
        "stale": asset.is_silent or is_stale(contract, asset.received_at, now) if contract else None,
        "age_seconds": age,
    }


def as_asset(row: Mapping[str, Any]) -> Asset:
    """The asset in a row of a list."""
    return Asset(**{field.name: row[field.name] for field in fields(Asset)})


def scores_with_models(
    connection: Connection, found: Iterable[Score], contracts: Mapping[str, Twin], twins: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Scores with their models; `twins` says of which twin each asset is."""
    found = list(found)
    models = scores.models(connection, {score.model for score in found})
    return [show_score(score, contracts.get(twins[score.asset]), models[score.model]) for score in found]


def show_score(score: Score, contract: Twin | None, model: ScoringModel) -> dict[str, Any]:
    """A score; StoreError where the RUL that its twin has is missing, as a NaN is in SQLite."""
    shown: dict[str, Any] = {
        name: getattr(score, name)
        for name in ("run", "time", "scored_at", "age", "rows", "faults", "diagnosis", "warnings")
    }
    if score.rul is not None:
        ends = {"value": score.rul, "low": score.rul_low, "high": score.rul_high}
        shown["rul"] = {**ends, "level": model.level, "unit": contract.clock.unit if contract else None}
        if None in ends.values():
            raise StoreError(f"score of run {score.run}, time {score.time:g}: holds only a part of the RUL's interval")
        shown |= {"p_failure": score.p_failure} if score.p_failure else {}
    elif contract and contract.rul and model.contract == contract.digest:
        raise StoreError(f"score of run {score.run}, time {score.time:g}: holds no RUL, which its model gives")
    health = health_answer(score, contract) if contract else None
    shown |= {"health": health} if health else {}
    known = {name: getattr(model, name) for name in ("name", "version", "run", "digest")}
    return {**shown, "model": known}


def show_case(case: Mapping[str, Any], asset: str | None) -> dict[str, Any]:
    """A case; `asset` is the name of its asset, None for a case of the whole fleet."""
    hidden = ("asset_name", "model")
    return {**{name: value for name, value in case.items() if name not in hidden}, "asset": asset}


def show_waiting(connection: Connection, twin: str) -> dict[str, Any]:
    """What a digest is about now: how many faults wait, and the most pressing of them."""
    return {"count": count_waiting(connection, twin), "waiting": list_waiting(connection, twin)}


def show_part(part: Any) -> dict[str, Any]:
    """A part, fitted or removed."""
    return asdict(part)
