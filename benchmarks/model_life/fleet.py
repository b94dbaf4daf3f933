"""A fleet at another site: the same pumps, with their sensors mounted elsewhere than those that a model learnt from."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import time_to_end
from foretwin.dataset.windows import random_cuts, truncate

BEARINGS = ("thrust_temperature", "radial_temperature", "oil_temperature")
ON_THE_HOUSING = 0.7  # of a bearing's rise above the air around it that is left on its housing
ON_THE_BASE = 0.5  # of the casing's vibration that is left on the base plate
CUTS = 10  # moments of each life at which a model is asked


def moved_sensors(rows: pd.DataFrame) -> pd.DataFrame:
    """The same lives, seen by sensors on housing and base plate; labels and other channels stay."""
    air = rows["ambient_temperature"]
    shown = {name: air + ON_THE_HOUSING * (rows[name] - air) for name in BEARINGS}
    shown["vibration"] = ON_THE_BASE * rows["vibration"]
    return rows.assign(**{name: values.astype(np.float32) for name, values in shown.items()})


def asked_of(rows: pd.DataFrame, contract: Twin) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Windows of the pumps that were seen to fail, at random moments, and the RUL (N,) in h that each had then."""
    failed = rows[rows.groupby("asset")["failed"].transform("any")].reset_index(drop=True)
    labelled = failed.assign(rul=time_to_end(failed).astype(np.float32))
    cuts = random_cuts(labelled, CUTS, contract.window.shortest, seed=1)
    cap = contract.rul.cap if contract.rul else np.inf
    windows = truncate(labelled, cuts, contract.window.length)
    return windows[["asset", "time", *contract.channel_names]], np.minimum(labelled["rul"].to_numpy()[cuts], cap)
