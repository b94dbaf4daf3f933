"""A store with a past: readings of a fleet, cases, and what technicians found, all by the product's own functions."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.twin.cases import feedback
from foretwin.twin.cases.feedback import Verdict, Work
from foretwin.twin.store import Store, assets
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase, Numbers
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.telemetry import readings
from foretwin.twin.store.telemetry.spans import RunArrivals, extend_runs
from foretwin.wire.readings import Readings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
IDENTITY = ModelIdentity("foretwin-pump", "3", "run-1", "d" * 64)
ACTOR = "m.muster"


def readings_of(twin: Twin, names: list[str], rows: int = 40, run: int = 1, seed: int = 1) -> pd.DataFrame:
    """asset, run, time 0, 1, ... and a number between -1 and 1 per channel, as float32."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"asset": np.repeat(names, rows), "run": run, "time": np.tile(np.arange(float(rows)), len(names))}
    )
    values = generator.uniform(-1, 1, (len(frame), len(twin.channels))).astype(np.float32)
    return frame.assign(**dict(zip(twin.channel_names, values.T, strict=True)))


def remember(store: Store, twin: Twin, frame: pd.DataFrame, now: datetime = NOON) -> None:
    """Store these readings as one batch."""
    with store.write() as connection:
        known = assets.register_assets(connection, twin.name, frame["asset"].unique().tolist(), now)
        ids = frame["asset"].map({name: asset.id for name, asset in known.items()}).to_numpy(np.int64)
        keys = (ids, frame["run"].to_numpy(np.int64), frame["time"].to_numpy(np.float64))
        values = frame[list(twin.channel_names)].to_numpy(np.float32)
        stored, _ = readings.add_readings(
            connection, "http", Readings(twin.name, twin.channel_names, *keys, values), now
        )
        assert stored.all()


def note_runs(store: Store, frame: pd.DataFrame, now: datetime = NOON) -> None:
    """Note where the runs of these readings begin and end, as ingestion does beside storing them."""
    with store.write() as connection:
        known = assets.find_all(connection, frame["asset"].unique().tolist())
        runs = [
            RunArrivals(known[name].id, int(run), len(own), own["time"].min(), own["time"].max())
            for (name, run), own in frame.groupby(["asset", "run"])
        ]
        extend_runs(connection, runs, now, ())


def open_case(store: Store, twin: Twin, name: str, fault: str, opened: float, run: int = 1) -> int:
    """A score of the reading at that time, and the case that it opens; returns the case's number."""
    with store.write() as connection:
        asset = assets.find_asset(connection, name)
        model = scores.model_id(connection, twin.name, IDENTITY, twin.digest, NOON)
        faults = {axis: dict.fromkeys(twin.classes(axis), 0.5) for axis in twin.axes}
        rul = (40.0, 30.0, 50.0)
        score = Score(asset.id, run, opened, model, NOON, 1.5, 8, *rul, faults, dict.fromkeys(twin.axes, "unknown"), [])
        scores.add_scores(connection, [score])
        numbers = Numbers(opened, NOON, model, *rul, 0.9)
        case = cases.insert(
            connection, NewCase(twin.name, asset.id, run, fault, "planned", numbers, {"asset": name}), "watch", NOON
        )
        assert case is not None
        return case.id


def find_out(
    store: Store, twin: Twin, case: int, verdict: str, time: float | None = None, fault: str | None = None
) -> None:
    """Give a case its verdict."""
    told = Verdict(verdict=verdict, time=time, fault=fault, note="as seen")
    feedback.give_verdict(store, {twin.name: twin}, case, told, ACTOR, NOON + timedelta(hours=1))


def work_on(store: Store, twin: Twin, name: str, kind: str, time: float | None = None, part: str | None = None) -> None:
    """Maintenance without a case."""
    told = Work(kind=kind, part=part, time=time)
    feedback.record_maintenance(store, {twin.name: twin}, name, told, ACTOR, NOON + timedelta(hours=2))
