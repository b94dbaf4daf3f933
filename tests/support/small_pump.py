"""A small pump fleet for validation: a contract, good rows, and rows that break nearly every rule."""

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical

REMEDY = {"part": "P-1", "instruction": "replace it", "lead_time": 2}
LIFE = 10  # rows of each run


def twin_of(rul: bool = True, faults: bool = True, **quality: object) -> Twin:
    """A machine with a setting, a sensor that may be constant, and a sensor with limits 0 to 0.1 bar."""
    return Twin.model_validate(
        {
            "name": "pump",
            "title": "Pump",
            "source": {"kind": "pump", "assets": 6, "seed": 1},
            "clock": {"unit": "h", "step": 1},
            "channels": {
                "speed": {"unit": "rpm", "role": "setting", "min": 0, "max": 3000},
                "density": {"unit": "1", "role": "sensor", "min": 0, "max": 2},
                "pressure": {"unit": "bar", "role": "sensor", "min": 0, "max": 0.1},
            },
            "rul": {"cap": 100, "remedy": REMEDY} if rul else None,
            "faults": {"mode": {"title": "Mode", "classes": {"healthy": None, "wear": REMEDY}}} if faults else {},
            "window": {"length": 8},
            "quality": {"min_run_rows": 3, "max_stuck_rows": 4, "may_be_constant": ["density"], **quality},
        }
    )


def rows_of(twin: Twin, assets: int = 6) -> pd.DataFrame:
    """Pumps a0, a1, ... that each ran to failure once, after LIFE hours."""
    generator = np.random.default_rng(1)
    time = np.tile(np.arange(LIFE, dtype=float), assets)
    frame = pd.DataFrame(
        {
            "asset": np.repeat([f"a{i}" for i in range(assets)], LIFE),
            "run": 0,
            "time": time,
            "speed": generator.uniform(1000, 2000, LIFE * assets),
            "density": 1.0,
            "pressure": generator.uniform(0, 0.1, LIFE * assets),
            "rul": LIFE - 1 - time,
            "fault_mode": (time > 7).astype(int),
        }
    )
    return canonical(frame, twin)


STRICT = {"min_known_rul": 1, "min_known_faults": 1, "may_be_constant": [], "min_failures": 20}


def broken_rows() -> pd.DataFrame:
    """Twenty pumps, each of which breaks another rule; row 10 * i + t is pump i at time t, before pump 9's is moved."""
    rows = rows_of(twin_of(), assets=20)
    for column, value, positions in [
        ("speed", np.nan, [5, 17]),
        ("fixed_split", None, [24]),
        ("pressure", 0.2, [33, 34, 35, 59]),
        ("speed", -1, [49]),
        ("speed", np.inf, [67]),
        ("fault_mode", 2, [78]),
        ("rul", 42, [122]),
        ("pressure", 0.05, [130, 131, 132, 133, 134]),
        ("pressure", 0.06, [100, 101, 102, 103]),  # as long as is allowed
        ("rul", np.nan, [140, 141, 143, 144]),
        ("fault_mode", -1, [159]),
        ("fixed_split", "test", [165, 166, 167, 168, 169]),
        ("fixed_split", "train", [173]),
        ("rul", 1, [189]),
    ]:
        rows.loc[positions, column] = value
    order = [*range(82), 83, 82, *range(84, 97), *range(100, 110), 97, 98, 99, *range(110, 192)]
    return rows.iloc[order].reset_index(drop=True)
