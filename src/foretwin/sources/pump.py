"""Source pump: simulated fleet with duty, weather, wear, sensors and labels around the equations of `physics.pump`.

data/pump/README.md separates published from invented parts. Each pump has a random generator of its own, seeded by the
fleet's seed and the pump's number alone: pump 7 is the same in a fleet of 10 and of 10 000.
"""

from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.progress import track

from foretwin.contract.source import PumpSource
from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical, fault_column, time_to_end
from foretwin.errors import SourceError
from foretwin.physics import pump as physics
from foretwin.physics.pump.data_sheet import SENSORS
from foretwin.project.entrypoint import show_progress
from foretwin.project.files import fresh_file

Array = NDArray[np.float64]

FILE = "fleet.parquet"
COMPONENTS = ("impeller_wear", "thrust_bearing", "radial_bearing")
HEALTHY = "none"
BATCH = 250  # pumps simulated at once, in about 200 MB

HOURS = 600  # longest recording of a pump
WATCHED = (210.0, 600.0)  # h from a pump's start to the end of the study
PLANNED_LIFE = (150.0, 330.0)  # h at rated duty; the simulated one also depends on duty and chance
ONSET = (0.15, 0.60)  # share of the planned life
SLOW_SHARE = (0.05, 0.15)  # of the dominant part's allowance, worn evenly over the planned life
ACCELERATION = (1.2, 1.8)  # the rest of the allowance grows as this power of the time since onset
SIDE_SHARE = (0.03, 0.12)  # of the other parts' allowance, worn evenly over the planned life
RATE_SPREAD, RATE_MEMORY = 0.2, 0.97  # of the logarithm of the wear rates: standard deviation, correlation per hour
NEW_SPREAD = np.array([[0.01], [0.05], [0.05]])  # of new pumps' area, thrust and radial friction

SPEED_LEVELS = np.array([0.90, 0.96, 1.02])  # of rated speed
STAY = 0.9  # probability of the same level in the next hour
AMBIENT_MEMORY, PRESSURE_MEMORY = 0.95, 0.98  # correlation per hour


@dataclass(frozen=True)
class RandomDraws:
    """Random draws for N pumps over T = `HOURS` hours, made before the simulation starts."""

    traits: Array  # (8, N) uniform in 0..1
    new: Array  # (3, N) standard normal: spread of the new parts
    bias: Array  # (9, N) standard normal: one per sensor
    levels: Array  # (T, N) uniform in 0..1: moves of the speed level
    drift: Array  # (T, 6, N) standard normal: three wear rates, ambient, two pressures
    noise: Array  # (T, 9, N) standard normal: one per sensor


@dataclass(frozen=True)
class DutyPlan:
    """Plan of N pumps over T hours: wear rates and duty, the inputs of the simulation."""

    component: NDArray[np.int64]  # (N,) the part whose wear dominates, an index of COMPONENTS
    onset: Array  # (N,) h, when that wear starts to accelerate
    watched: NDArray[np.int64]  # (N,) h, the last one that is recorded
    parts: Array  # (3, N) the new pump's area, thrust and radial friction, relative to the published
    rates: Array  # (T, 3, N) share of each part's allowance that an hour at rated duty wears off
    commanded_speed: Array  # (T, N) rpm
    ambient_temperature: Array  # (T, N) deg C
    suction_pressure: Array  # (T, N) bar
    discharge_pressure: Array  # (T, N) bar

    def duty(self, hour: int) -> physics.Duty:
        """Return the inputs of one hour."""
        names = ("commanded_speed", "ambient_temperature", "suction_pressure", "discharge_pressure")
        return physics.Duty.from_settings({name: getattr(self, name)[hour] for name in names})


@dataclass(frozen=True)
class Lives:
    """Simulated lives of N pumps."""

    readings: dict[str, Array]  # (T, N) each: ideal readings, 0 after the end of every recording
    last: NDArray[np.int64]  # (N,) the last hour that is recorded
    failed: NDArray[np.bool_]  # (N,) True for a failure, False for the end of the study


def fetch_pump(contract: Twin, out: Path) -> None:
    """Simulate the contract's fleet and write `out`/fleet.parquet: the columns of `simulate`.

    The same seed gives the same bytes. SourceError where the contract asks for another source.
    """
    source = contract.source
    if not isinstance(source, PumpSource):
        raise SourceError(f"{contract.name}: source.kind is {source.kind}, but the pump fleet needs `kind: pump`")
    if source.seed < 0:
        raise SourceError(f"{contract.name}: source.seed is {source.seed}, but must not be negative")
    batches = [range(first, min(first + BATCH, source.assets)) for first in range(0, source.assets, BATCH)]
    progress = track(batches, "simulating pumps", disable=not show_progress(), transient=True)
    tables = (pa.Table.from_pandas(simulate(batch, source.seed), preserve_index=False) for batch in progress)
    first = next(tables)
    with fresh_file(out / FILE) as path, pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def adapt_pump(contract: Twin, raw: Path) -> pd.DataFrame:
    """Convert `raw`/fleet.parquet to canonical rows; pumps without a recorded failure have an unknown (NaN) RUL."""
    path = raw / FILE
    fleet = _read(path, contract.name)
    frame = fleet.rename(columns={"pump": "asset", "hour": "time"}).assign(run=1)
    seen_to_fail = frame.groupby("asset", sort=False)["failed"].transform("any")
    frame["rul"] = time_to_end(frame).where(seen_to_fail)
    if "mode" in contract.faults:
        numbers = {name: number for number, name in enumerate(contract.classes("mode"))}
        unknown = sorted(set(frame["mode"].astype("str")) - set(numbers))
        if unknown:
            raise SourceError(f"{path}: mode {unknown[0]} is not a class of the contract's axis `mode`; add it there")
        frame[fault_column("mode")] = frame["mode"].map(numbers)
    return canonical(frame, contract)


def _read(path: Path, twin: str) -> pd.DataFrame:
    """Read the raw fleet; SourceError where it is missing, damaged or not a fleet."""
    try:
        fleet = pd.read_parquet(path)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file; run `dvc repro data/{twin}/dvc.yaml:fetch` first") from None
    except Exception as error:  # pyarrow's errors share no public base with a message for users
        raise SourceError(f"{path}: not a Parquet file, fetch it again: {str(error).splitlines()[0]}") from None
    absent = [name for name in ("pump", "hour", "failed", "mode") if name not in fleet.columns]
    if absent:
        raise SourceError(f"{path}: column {absent[0]} is missing; fetch it again")
    return fleet


def simulate(pumps: range, seed: int, to_the_end: bool = False) -> pd.DataFrame:
    """Simulate hourly rows of the pumps with these numbers from 0, each from its start to its failure or study end.

    Columns: pump ("P-001" is number 0), hour (float64), two settings and nine sensors (float32, in the contract's
    units), failed (True on the row of a failure), mode (the dominant wear from its onset on, before that "none").
    `to_the_end`: the study of each pump lasts as long as a recording can be, and nearly all fail.
    """
    chance = draw_chance(pumps, seed)
    plan = draw_plan(chance)
    if to_the_end:
        plan = replace(plan, watched=np.full_like(plan.watched, HOURS - 1))
    lives = live_through(plan)
    hour, number = np.meshgrid(np.arange(HOURS), np.arange(len(pumps)), indexing="ij")
    recorded = (hour <= lives.last).T

    def column(values: NDArray[Any]) -> NDArray[Any]:
        """Flatten values (T, N) to (rows,), pump by pump."""
        return values.T[recorded]

    names = np.array([f"P-{pump + 1:03d}" for pump in pumps])
    modes = np.array([HEALTHY, *COMPONENTS])[np.where(hour >= plan.onset, plan.component + 1, 0)]
    channels = {name: getattr(plan, name) for name in ("commanded_speed", "ambient_temperature")}
    channels |= measure_sensors(lives.readings, chance)
    return pd.DataFrame(
        {
            "pump": column(names[number]),
            "hour": column(hour).astype(np.float64),
            **{name: column(values).astype(np.float32) for name, values in channels.items()},
            "failed": column(lives.failed & (hour == lives.last)),
            "mode": column(modes),
        }
    )


def draw_chance(pumps: range, seed: int) -> RandomDraws:
    """Make the random draws of each pump, from a generator of its own."""
    uniform: dict[str, tuple[int, ...]] = {"traits": (8,), "levels": (HOURS,)}
    normal = {"new": (3,), "bias": (len(SENSORS),), "drift": (HOURS, 6), "noise": (HOURS, len(SENSORS))}
    drawn: dict[str, list[Array]] = {name: [] for name in uniform | normal}
    for pump in pumps:
        generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(pump,)))
        for name, shape in (uniform | normal).items():
            drawn[name].append(generator.uniform(size=shape) if name in uniform else generator.normal(size=shape))
    return RandomDraws(**{name: np.stack(values, axis=-1) for name, values in drawn.items()})


def draw_plan(chance: RandomDraws) -> DutyPlan:
    """Convert random draws to wear, duty and weather."""
    component, life, onset, watched, slow, power, side, season = chance.traits
    hour = np.arange(HOURS)[:, None]
    number = (component * len(COMPONENTS)).astype(np.int64)
    planned = _between(PLANNED_LIFE, life)
    start = _between(ONSET, onset) * planned
    slow, power = _between(SLOW_SHARE, slow), _between(ACCELERATION, power)
    since = np.maximum(hour - start, 0) / (planned - start)
    dominant = slow / planned + (1 - slow) * power * since ** (power - 1) / (planned - start)
    is_dominant = np.arange(len(COMPONENTS))[:, None] == number
    rates = np.where(is_dominant, dominant[:, None], _between(SIDE_SHARE, side) / planned)
    wander = RATE_SPREAD * autocorrelated(chance.drift[:, :3], RATE_MEMORY)
    level = _speed_levels(chance.levels)
    seasonal, daily = np.sin(2 * np.pi * (season + hour / (365 * 24))), np.sin(2 * np.pi * (hour - 9) / 24)
    ambient = 16 + 7 * seasonal + 4 * daily + 1.5 * autocorrelated(chance.drift[:, 3], AMBIENT_MEMORY)
    suction = 2.39 + 0.05 * autocorrelated(chance.drift[:, 4], PRESSURE_MEMORY)
    lift = 6.89 * (0.5 + 0.5 * level**2) + 0.05 * autocorrelated(chance.drift[:, 5], PRESSURE_MEMORY)
    return DutyPlan(
        component=number,
        onset=start,
        watched=np.minimum(_between(WATCHED, watched).astype(np.int64), HOURS - 1),
        parts=1 + NEW_SPREAD * chance.new,
        rates=rates * np.exp(wander - RATE_SPREAD**2 / 2),
        commanded_speed=3600 * level,
        ambient_temperature=np.round(ambient, 1),
        suction_pressure=suction,
        discharge_pressure=suction + lift,
    )


def live_through(plan: DutyPlan) -> Lives:
    """Simulate hour by hour until every pump has failed or its study has ended."""
    allowances = hourly_allowances()
    last = plan.watched.copy()
    failed = np.zeros(len(last), dtype=bool)
    readings = {name: np.zeros(plan.commanded_speed.shape) for name in SENSORS}
    state = physics.new_state(plan.parts, plan.duty(0))
    for hour in range(HOURS):
        duty = plan.duty(hour)
        if hour > 0:
            # A pump stops wearing after its recording, so that its equations can still be solved.
            rates = np.where(hour > last, 0, plan.rates[hour] * allowances)
            state = physics.step(state, duty, physics.WearRates(*rates))
        for name, values in physics.readings(state, duty).items():
            readings[name][hour] = values
        ending = ~failed & (hour <= last) & physics.life_ended(state)
        last[ending] = hour
        failed |= ending
        if (hour >= last).all():
            break
    return Lives(readings, last, failed)


def measure_sensors(readings: dict[str, Array], chance: RandomDraws) -> dict[str, Array]:
    """Add sensor errors to readings, (T, N) each: a bias per pump, noise per reading, rounding to the resolution."""
    measured = {}
    for number, (name, sensor) in enumerate(SENSORS.items()):
        error = chance.bias[number] + chance.noise[:, number]
        values = readings[name] * (1 + sensor.share * error) + sensor.absolute * error
        measured[name] = np.round(values / sensor.step) * sensor.step
    return measured


def hourly_allowances() -> Array:
    """Return the wear rates (3, 1) of impeller, thrust and radial bearing that end a life in an hour at rated duty."""
    rated = physics.Duty.rated()
    running = physics.operate(physics.new_state(np.ones((3, 1)), rated), rated)
    squares = np.stack([running.flow**2, running.speed**2, running.speed**2])
    return np.array(physics.wear_allowances())[:, None] / squares / 3600


def autocorrelated(white: Array, memory: float) -> Array:
    """Generate a first-order autoregression (T, ...) of unit variance from `white`; `memory`: correlation per step."""
    values = white.copy()
    for step in range(1, len(white)):
        values[step] = memory * values[step - 1] + np.sqrt(1 - memory**2) * white[step]
    return values


def _speed_levels(uniform: Array) -> Array:
    """Generate shares of rated speed (T, N): a Markov chain that stays with probability STAY, else changes level."""
    number = (uniform[0] * len(SPEED_LEVELS)).astype(np.int64)
    numbers = [number]
    for move in uniform[1:]:
        number = (number + np.where(move < STAY, 0, np.where(move < (1 + STAY) / 2, 1, 2))) % len(SPEED_LEVELS)
        numbers.append(number)
    levels: Array = SPEED_LEVELS[np.stack(numbers)]
    return levels


def _between(limits: tuple[float, float], share: Array) -> Array:
    return limits[0] + (limits[1] - limits[0]) * share
