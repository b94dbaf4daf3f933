"""Simulated pumps with known lives, also at another speed from some hour on; a degradation model."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.splits import Development, prepare
from foretwin.physics.degradation import FILE, DegradationModel, save_degradation
from foretwin.physics.degradation_fit import fit_degradation
from foretwin.physics.pump import learning
from foretwin.project.params import PrepareParams
from foretwin.project.paths import Paths
from foretwin.sources import pump
from foretwin.twin.store import Store, assets
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.telemetry import readings
from foretwin.twin.store.telemetry.arrivals import Arrivals, count_arrivals
from foretwin.twin.store.telemetry.spans import RunArrivals
from foretwin.wire.readings import Readings

CONTRACT = Path(__file__).parents[2] / "data" / "pump" / "twin.yaml"
PREPARE = PrepareParams(test_share=0.1, folds=2, cuts=20, seed=1)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def learnt(folder: Path, pumps: int = 24) -> DegradationModel:
    """The degradation model of a small fleet, learnt in few rounds."""
    twin = pump_twin(pumps)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(learning, "SPREADS", (0.1,))
        patched.setattr(learning, "ROUNDS", 2)
        return fit_degradation(development(folder, twin), twin, 0.9, {"contract": pump_twin().digest})


def pump_twin(pumps: int | None = None) -> Twin:
    """The shipped contract, with a fleet of so many."""
    twin = load_twin(CONTRACT)
    return twin.model_copy(update={"source": twin.source.model_copy(update={"assets": pumps})}) if pumps else twin


def development(folder: Path, twin: Twin) -> Development:
    """What the prepare stage leaves of the contract's fleet."""
    folder.mkdir(parents=True)
    pump.fetch_pump(twin, folder)
    prepare(pump.adapt_pump(twin, folder), twin, PREPARE, folder)
    return Development.load(folder, twin, PREPARE)


def project(root: Path, forward: DegradationModel) -> Path:
    """A project's folder with the pump's contract and that model."""
    paths = Paths(root, "pump")
    paths.data.mkdir(parents=True)
    paths.contract.write_text(CONTRACT.read_text())
    save_degradation(forward, paths.models / FILE)
    return root


@dataclass(frozen=True)
class Lives:
    """Pumps that each were watched until now, and what became of them."""

    plan: pump.DutyPlan
    values: NDArray[np.float32]  # (T, N, C) what the sensors show, in the contract's order
    now: NDArray[np.int64]  # (N,) the hour of the last reading
    left: NDArray[np.int64]  # (N,) h until the end from then on

    def left_at(self, rpm: float) -> NDArray[np.int64]:
        """(N,) h until the end, had the pumps been run at `rpm` from now on: the simulation, once more."""
        later = np.arange(pump.HOURS)[:, None] > self.now
        level_before, level = self.plan.commanded_speed / 3600, np.where(later, rpm, self.plan.commanded_speed) / 3600
        pressure = self.plan.discharge_pressure + 6.89 * 0.5 * (level**2 - level_before**2)
        lives = pump.live_through(replace(self.plan, commanded_speed=3600 * level, discharge_pressure=pressure))
        assert lives.failed.all()
        return lives.last - self.now

    def rows(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Times and values of one pump until now."""
        count = self.now[number] + 1
        return np.arange(count, dtype=np.float64), self.values[:count, number]


def lives(numbers: range, share: float) -> Lives:
    """The pumps with these numbers, all of which fail, when they have lived that share of their lives."""
    chance = pump.draw_chance(numbers, seed=7)
    plan = replace(pump.draw_plan(chance), watched=np.full(len(numbers), pump.HOURS - 1))
    lived = pump.live_through(plan)
    assert lived.failed.all()
    settings = {name: getattr(plan, name) for name in ("commanded_speed", "ambient_temperature")}
    channels = settings | pump.measure_sensors(lived.readings, chance)
    values = np.stack([channels[name] for name in pump_twin().channel_names], axis=-1).astype(np.float32)
    now = (lived.last * share).astype(np.int64)
    return Lives(plan, values, now, lived.last - now)


def keep(store: Store, name: str, times: NDArray[np.float64], values: NDArray[np.float32]) -> None:
    """Store the readings of one pump's first run, as ingest leaves them."""
    with store.write() as connection:
        asset = assets.register_assets(connection, "pump", [name], NOON)[name]
        ids, runs = np.full(len(times), asset.id), np.ones(len(times), np.int64)
        readings.add_readings(
            connection, "file", Readings("pump", pump_twin().channel_names, ids, runs, times, values), NOON
        )
        batch = last_batch(connection)
        newest = Arrivals(asset.id, 1, float(times[-1]), NOON, batch, len(times), 0, 0, 0)
        stored = RunArrivals(asset.id, 1, len(times), float(times[0]), float(times[-1]))
        count_arrivals(connection, asset.twin, [newest], [stored], {}, NOON)
