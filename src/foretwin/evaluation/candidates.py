"""Candidates that a blend was made of, as the stage `train` leaves them: a bundle each."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretwin.dataset.windows import Histories, last_rows
from foretwin.evaluation.held_out import Predictions
from foretwin.predictor.bundle import Bundle

TRIES = 9
CANDIDATE = "candidate "  # before the name of one among the predictions of baselines


def load_candidates(folder: Path) -> dict[str, Bundle]:
    """Load the bundles of a blend's candidates, by name; none where the bundle is no blend."""
    names = read_blend_record(folder).get("candidates", ())
    return {name: Bundle.load(folder / name) for name in names}


def times_slower(blend: Bundle, network: Bundle, rows: pd.DataFrame, count: int) -> tuple[float, float]:
    """Return how many times as long as a network a blend takes for `count` windows of rows, and its ms for them.

    The quickest of several tries each, taken in turns, in processor time: other work on the machine is no matter.
    """
    histories = Histories.from_rows(rows, blend.contract)
    ends = np.resize(last_rows(rows), count)
    windows = histories.cut(ends, blend.contract.window.length)
    spent: dict[str, float] = {}
    for _ in range(TRIES):
        for name, bundle in (("network", network), ("blend", blend)):
            begin = time.thread_time()
            bundle.predict_windows(windows)
            spent[name] = min(spent.get(name, np.inf), time.thread_time() - begin)
    return spent["blend"] / spent["network"], 1000 * spent["blend"]


def read_blend_record(folder: Path) -> dict[str, Any]:
    """Read weights and errors out of fold of a blend; empty where there is no record of one."""
    path = folder / "blend.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def candidates_among(said: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Return the predictions of candidates alone, by their own names."""
    return {name.removeprefix(CANDIDATE): one for name, one in said.items() if name.startswith(CANDIDATE)}
