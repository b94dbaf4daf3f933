"""A case in a real store, with the reading and the score that it speaks of, as `watch` would leave them."""

from datetime import UTC, datetime

import numpy as np

from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.twin.store import assets
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import Case, NewCase, Numbers
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.telemetry import readings
from foretwin.wire.readings import Readings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MODEL = ModelIdentity("foretwin-pump", "3", "run-of-pump", "d" * 64)


def store_readings(
    store, contract: Twin, asset_id: int, run: int, times: list[float], came: tuple[str, datetime] = ("http", NOON)
) -> None:
    """Readings of zeros, without the checks of `ingest`; `came` says by which way and when."""
    count = len(times)
    keys = (np.full(count, asset_id), np.full(count, run), np.array(times, np.float64))
    values = np.zeros((count, len(contract.channels)), np.float32)
    with store.write() as connection:
        rows = Readings(contract.name, contract.channel_names, *keys, values)
        readings.add_readings(connection, came[0], rows, came[1])


def store_case(store, contract: Twin, fault: str, name: str = "P-017", **numbers) -> Case:
    """An open case of run 1, whose last reading is that of 412; `numbers` of its score, 120 s old when it was made."""
    said = {"rul": 100.0, "rul_low": 60.0, "rul_high": 130.0, "probability": 0.91, "severity": "planned"} | numbers
    severity = said.pop("severity")
    with store.write() as connection:
        asset = assets.register_assets(connection, contract.name, [name], NOON)[name]
    store_readings(store, contract, asset.id, 1, [410.0, 411.0, 412.0])
    with store.write() as connection:
        model = scores.model_id(connection, contract.name, MODEL, contract.digest, NOON, 0.9)
        axis, _, found = fault.partition(".")
        faults = {axis: {found: said["probability"]}} if found else {}
        interval = {end: said[end] for end in ("rul", "rul_low", "rul_high")}
        score = Score(asset.id, 1, 412.0, model, NOON, 120.0, 60, **interval, faults=faults, diagnosis={}, warnings=[])
        scores.add_scores(connection, [score])
        of_score = Numbers(time=412.0, scored_at=NOON, model=model, probability=said["probability"], **interval)
        new = NewCase(contract.name, asset.id, 1, fault, severity, of_score, {"warnings": []})
        case = cases.insert(connection, new, "watch", NOON)
    assert case is not None
    return case
