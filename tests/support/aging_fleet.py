"""A project whose store holds readings of several days: one an hour, of which six come in together."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from foretwin.contract.twin import Twin, load_twin
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.retention.retain import Retaining, retain_once
from foretwin.wire.readings import Decoded, Readings
from support.small_history import readings_of
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = ("P-1", "P-2", "P-3")
TOGETHER = 6


def write_contract(root: Path, retention: dict, twin: Twin = TWIN) -> Twin:
    """The contract in the project's folder, with these terms."""
    path = root / "data" / twin.name / "twin.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = twin.model_dump(mode="json", exclude_none=True) | {"retention": retention}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_twin(path)


def send_hours(store, hours: range, names=NAMES, run: int = 1, first: datetime = FIRST_DAY) -> Receipt:
    """Ingest these hours of each asset; hour 0 is that of `first`."""
    frame = readings_of(TWIN, list(names), hours.stop, run)
    receipt = Receipt()
    for begin in range(hours.start, hours.stop, TOGETHER):
        rows = frame[frame["time"].between(begin, min(begin + TOGETHER, hours.stop) - 1)]
        receipt += send_rows(store, rows, first + timedelta(hours=begin))
    return receipt


def send_rows(store, rows: pd.DataFrame, at: datetime) -> Receipt:
    """Ingest rows of named assets in one call."""
    names = tuple(dict.fromkeys(rows["asset"]))
    place = rows["asset"].map({name: i for i, name in enumerate(names)}).to_numpy(np.int64)
    keys = place, rows["run"].to_numpy(np.int64), rows["time"].to_numpy(np.float64)
    measured = rows[list(TWIN.channel_names)].to_numpy(np.float32)
    sent = Readings(TWIN.name, TWIN.channel_names, *keys, measured, names)
    return ingest(store, {TWIN.name: TWIN}, [Decoded(sent)], "http", at)


def age(store, root: Path, twin: Twin, days: float) -> dict[str, int]:
    """Retain as `foretwin retain` would so many days after the first reading."""
    now = FIRST_DAY + timedelta(days=days)
    return retain_once(Retaining(store, root, {twin.name: twin}), now, threading.Event())
