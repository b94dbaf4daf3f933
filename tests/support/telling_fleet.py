"""Machines whose temperatures tell each other, each with a departure of one kind in one channel or in all."""

from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical
from support.differing_fleet import differing_twin, save_bundle_of

TEMPERATURES = ("inlet", "oil", "outlet")
HOURS, ONSET = 28, 12
KINDS = ("calm", "shift", "drift", "stuck", "noise", "machine")


def telling_twin() -> Twin:
    """A machine whose three temperatures follow a load that nobody measures."""
    sensor = {"unit": "K", "role": "sensor", "min": -1000, "max": 1000}
    content = differing_twin(0).model_dump()
    content |= {"name": "oiler", "title": "Oiler", "channels": dict.fromkeys(TEMPERATURES, sensor)}
    return Twin.model_validate(content)


def telling_rows(twin: Twin, machines: int, seed: int, hours: int = HOURS) -> pd.DataFrame:
    """Canonical rows of machines m<seed>-00, ...: all temperatures follow the load, which wanders."""
    generator, parts = np.random.default_rng(seed), []
    for number in range(machines):
        load = np.zeros(hours)
        for hour in range(1, hours):
            load[hour] = 0.8 * load[hour - 1] + generator.normal(0, 0.6)
        columns = {
            name: 300 + gain * load + generator.normal(0, 0.1, hours)
            for name, gain in zip(TEMPERATURES, (1.0, 1.5, 2.0), strict=True)
        }
        content = {"asset": f"m{seed}-{number:02}", "run": 1, **columns, "time": np.arange(1.0, hours + 1)}
        parts.append(pd.DataFrame(content | {"rul": np.nan, "fault_health": 0}))
    return canonical(pd.concat(parts, ignore_index=True), twin)


def departing_rows(twin: Twin, seed: int) -> pd.DataFrame:
    """One machine for each of KINDS, named so, which departs from ONSET on: in its oil alone, or `machine` in all."""
    rows, generator = telling_rows(twin, len(KINDS), seed), np.random.default_rng(seed)
    names = dict(zip(rows["asset"].unique(), KINDS, strict=True))
    rows["asset"] = rows["asset"].map(names)
    for kind in KINDS[1:]:
        late = np.flatnonzero((rows["asset"] == kind) & (rows["time"] > ONSET))
        oil = rows["oil"].to_numpy(copy=True)
        after = np.arange(1.0, len(late) + 1)
        changed = {
            "shift": oil[late] + 6,
            "drift": oil[late] + 0.35 * after,
            "stuck": np.full(len(late), oil[late[0]]),
            "noise": oil[late] + generator.normal(0, 5, len(late)),
            "machine": oil[late],
        }
        oil[late] = changed[kind]
        rows["oil"] = oil.astype(np.float32)
        if kind == "machine":
            for name, gain in zip(TEMPERATURES, (4, 6, 8), strict=True):
                rows.loc[late, name] += np.float32(gain)
    return rows


def save_telling_bundle(folder: Path, twin: Twin) -> str:
    """Train on forty machines and write the bundle to `folder`/bundle; return its digest."""
    return save_bundle_of(folder, twin, telling_rows(twin, 40, 1, 2 * HOURS))
