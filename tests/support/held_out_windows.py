"""Held-out windows of a tiny twin, and predictions of them whose errors are known."""

import numpy as np

from foretwin.evaluation.held_out import HeldOut, Predictions, Truth
from foretwin.project.params import PromoteParams
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
PARAMS = PromoteParams(allowed_loss=0.02)
ASSETS, WINDOWS = 40, 3  # of each
GENERATOR = np.random.default_rng(1)
COUNT = ASSETS * WINDOWS
RUL = GENERATOR.uniform(25, 75, COUNT)
MODE, BEARING = GENERATOR.integers(0, 3, COUNT), GENERATOR.integers(0, 2, COUNT)
SIGNS = np.where(np.arange(COUNT) % 2, 1.0, -1.0)
HELD_OUT = HeldOut(
    Truth(RUL, {"mode": MODE, "bearing": BEARING}, np.full(COUNT, "")),
    np.repeat([f"a{i}" for i in range(ASSETS)], WINDOWS),
    np.zeros(COUNT, np.int64),
)


def said(rmse: float, wrong: int = 0, reach: float = 1.0) -> Predictions:
    """An RUL that errs by `rmse`, a mode that is wrong in every `wrong`-th window; nine in ten intervals hold."""
    rul = RUL + rmse * SIGNS
    ends = np.where(np.arange(COUNT) % 10, reach * rmse + 1e-6, 0.0)
    mode = np.where(np.arange(COUNT) % wrong == 0, (MODE + 1) % 3, MODE) if wrong else MODE
    return Predictions(rul, {"mode": mode, "bearing": BEARING}, rul - ends, rul + ends, 0.9)
