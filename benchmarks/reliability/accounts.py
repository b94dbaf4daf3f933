"""What the store holds against what was sent and acknowledged."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.twin.store import Store
from foretwin.twin.store.telemetry.packing import unpack_channels

QUESTIONS = {
    "scores": "SELECT count(*) FROM scores",
    "scores without their reading": """
        SELECT count(*) FROM scores LEFT JOIN readings
            ON readings.asset = scores.asset AND readings.run = scores.run AND readings.time = scores.time
        WHERE readings.asset IS NULL""",
    "cases": "SELECT count(*) FROM cases WHERE asset IS NOT NULL",
    "open cases of one asset and fault beyond the first": """
        SELECT coalesce(sum(more), 0) FROM (SELECT count(*) - 1 AS more FROM cases
            WHERE state <> 'closed' AND asset IS NOT NULL GROUP BY asset, fault) AS groups""",
    "cases whose opening was not audited once": """
        SELECT count(*) FROM cases WHERE 1 <> (SELECT count(*) FROM audit
            WHERE audit."case" = cases.id AND audit.action = 'case.opened')""",
    "quarantined": "SELECT count(*) FROM quarantine",
}
BEHIND = "SELECT count(*) FROM assets WHERE scored_batch < batch"


def wait_until_scored(store: Store, readings: int, check_processes: Callable[[], None], patience: float) -> None:
    """Wait until so many readings are stored, or no more come, and all are scored; at most `patience` seconds."""
    end, before, since = time.monotonic() + patience, -1, time.monotonic()
    while time.monotonic() < end:
        check_processes()
        stored = count(store, "SELECT count(*) FROM readings")
        if stored != before:
            before, since = stored, time.monotonic()
        arrived = stored >= readings or time.monotonic() - since > 20
        if arrived and count(store, BEHIND) == 0:
            break
        time.sleep(0.5)


def examine(store: Store, contract: Twin, rows: pd.DataFrame) -> dict[str, int]:
    """Compare what the store holds with the rows that were acknowledged; returns counts."""
    with store.read() as connection:
        names = dict(tuple(row) for row in connection.exec_driver_sql("SELECT id, name FROM assets"))
        held = list(connection.exec_driver_sql("SELECT asset, run, time, channels FROM readings"))
    keys = [(names[asset], run, time) for asset, run, time, _ in held]
    values = unpack_channels([bytes(row[3]) for row in held], contract.channel_names, contract.channel_names)
    wanted = rows.set_index(["asset", "run", "time"])[list(contract.channel_names)]
    there = wanted.index.isin(keys)
    same = np.zeros(0, bool)
    if held:
        same = (wanted.reindex(pd.MultiIndex.from_tuples(keys)).to_numpy(np.float32) == values).all(axis=1)
    found = {
        "readings": len(held),
        "acknowledged readings that are lost": int((~there).sum()),
        "readings that stand twice": len(keys) - len(set(keys)),
        "readings that differ from what was sent": int((~same).sum()),
    }
    return found | {name: count(store, question) for name, question in QUESTIONS.items()}


def count(store: Store, question: str) -> int:
    """Ask for one number."""
    with store.read() as connection:
        return int(connection.exec_driver_sql(question).scalar_one())
