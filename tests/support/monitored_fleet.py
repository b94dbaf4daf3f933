"""A project with a champion that calls machines healthy, the reference of its drift, and a fleet to hold against it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.champion.champion import load_champion
from foretwin.dataset.table import canonical
from foretwin.drift import DriftReference
from foretwin.project.paths import Paths
from foretwin.twin.monitoring.run import MonitorSettings, monitor
from support.live_project import PUMP as TWO_AXES
from support.live_project import living_project, score
from support.stored_readings import store_rows

# Of two classes one is always probable enough to be answered; of three none is, by the tiny network.
PUMP = TWO_AXES.model_copy(update={"faults": {"mode": TWO_AXES.faults["mode"]}})
CAP = PUMP.rul.cap
REFERENCES: dict[str, DriftReference] = {}  # by the digest of the bundle: the same for the same
SPREAD, BIAS = 0.2, 0.05  # of a channel from reading to reading, and from machine to machine


def machines(count: int, rows: int, seed: int, start: float = 0, prefix: str = "P", **shifts: float) -> pd.DataFrame:
    """`rows` hourly readings of each machine; `shifts` are added to channels, in their standard deviations."""
    generator = np.random.default_rng(seed)
    names = [f"{prefix}-{i + 1}" for i in range(count)]
    frame = pd.DataFrame(
        {"asset": np.repeat(names, rows), "run": 1, "time": start + np.tile(np.arange(float(rows)), count)}
    )
    for name in PUMP.channel_names:
        own = np.repeat(generator.normal(0, BIAS, count), rows)
        noise = generator.normal(0, SPREAD, len(frame))
        frame[name] = (own + noise + shifts.get(name, 0) * np.hypot(SPREAD, BIAS)).astype(np.float32)
    return frame


def monitored_project(root: Path) -> Path:
    """Its pump stands at the cap whatever it shows, and the champion has its drift.json."""
    living_project(root, PUMP, bias=CAP + 100)
    keep_reference(root)
    return root


def keep_reference(root: Path) -> None:
    """What the stage `drift` leaves beside the champion."""
    bundle = load_champion(root, PUMP.name).bundle
    if bundle.digest not in REFERENCES:
        healthy = machines(40, 80, seed=1, prefix="D").assign(rul=CAP)
        held_out = machines(60, 20, seed=2, prefix="T").assign(rul=CAP)
        held_out["asset"] += "@20"
        REFERENCES[bundle.digest] = DriftReference.fit(bundle, canonical(healthy, PUMP), canonical(held_out, PUMP))
    REFERENCES[bundle.digest].write(Paths(root, PUMP.name).models / "champion" / "drift.json")


def live_through(store, root: Path, rows: pd.DataFrame, now: datetime | None = None) -> dict[str, int]:
    """Store these readings as one batch, and score what is new; asset -> id."""
    ids = store_rows(store, PUMP, rows, now or datetime.now(UTC))
    score(store, root)
    return ids


def look(store, root: Path, **settings):
    """One look of the monitor, now."""
    return monitor(store, root, PUMP, MonitorSettings(**settings), datetime.now(UTC))
