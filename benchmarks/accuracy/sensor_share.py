"""How often a failing sensor is told from a failing machine: on departures put into runs that no training has seen.

A copy in which one channel departs is a failing sensor, one in which two or three do is a failing machine; every copy
is asked once, at its last row. Beside it stand the process' own faults, of which none is a sensor's.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import DEPARTED, HEALTH
from foretwin.dataset.departures import Departures, is_copy
from foretwin.dataset.table import canonical
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.health.health_state import STATE
from foretwin.predictor.health.warning_kinds import CHECK_FUNCTION
from foretwin.predictor.inputs import read_frame

SEEDS = range(100, 120)
EVERY = 13  # rows between the windows of a fault
Values = NDArray[np.float64]


def sensor_figures(bundle: Bundle, learnt: Values, unseen: Values, faulty: Mapping[str, Values]) -> dict[str, Any]:
    """Return the shares told right; rows (T, C) of the run that was learnt, of an unseen one, and of each fault."""
    own = _rows(bundle, {"unseen": unseen})
    parts = []
    for seed in SEEDS:
        made = Departures.of([_rows(bundle, {"learnt": learnt})], bundle.contract, seed).added_to(own)
        copies = made[[is_copy(name) for name in made["asset"]]]
        parts.append(copies.assign(asset=copies["asset"] + f"/{seed}"))
    copies = pd.concat(parts, ignore_index=True)
    told = _told(bundle, copies)
    told["changed"] = [_changed(bundle, part, own) for _, part in copies.groupby("asset", sort=False)]
    found = {
        name: _shares(told[[(len(one) == 1) == single for one in told["changed"]]], single)
        for name, single in (("one_channel", True), ("several_channels", False))
    }
    length = bundle.contract.window.length
    windows = {
        f"{fault}-{end}": rows[end - length : end]
        for fault, rows in faulty.items()
        for end in range(length, len(rows), EVERY)
    }
    departed = _told(bundle, _rows(bundle, windows)).query(f"{HEALTH} == '{DEPARTED}'")
    as_sensor = float((departed[STATE] == CHECK_FUNCTION).mean())
    return {**found, "process_faults": {"departed": len(departed), "told_as_sensor": round(as_sensor, 4)}}


def _rows(bundle: Bundle, runs: Mapping[str, Values]) -> pd.DataFrame:
    names, step = list(bundle.contract.channel_names), bundle.contract.clock.step
    parts = [
        pd.DataFrame(rows, columns=names).assign(asset=asset, run=1, time=np.arange(len(rows)) * step)
        for asset, rows in runs.items()
    ]
    return canonical(pd.concat(parts, ignore_index=True), bundle.contract)


def _told(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of rows, of which no limit is asked: faults go beyond those of a drafted contract."""
    return bundle.answer(read_frame(rows, bundle.contract)).frame()


def _changed(bundle: Bundle, copy: pd.DataFrame, own: pd.DataFrame) -> list[str]:
    """Return the channels in which a copy differs from the run that it is of."""
    names = list(bundle.contract.channel_names)
    before = own.set_index("time").loc[copy["time"], names].to_numpy()
    return [name for name, one in zip(names, (copy[names].to_numpy() != before).any(axis=0), strict=True) if one]


def _shares(told: pd.DataFrame, single: bool) -> dict[str, Any]:
    departed = told[told[HEALTH] == DEPARTED]
    as_sensor = departed[STATE] == CHECK_FUNCTION
    right = [
        any(f"{CHECK_FUNCTION}: {one[0]} " in warning for warning in warnings)
        for one, warnings in zip(departed["changed"], departed["warnings"], strict=True)
    ]
    share = float(np.mean(right)) if single else float(1 - as_sensor.mean())
    counts = {"copies": len(told), "departed": len(departed), "told_as_sensor": round(float(as_sensor.mean()), 4)}
    return {**counts, "told_right": round(share, 4)}
