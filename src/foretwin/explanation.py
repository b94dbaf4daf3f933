"""Why a score is what it is: how much each sensor channel and the age contribute to the RUL and to the leading fault.

Contributions are Shapley values (Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017),
by the library SHAP through the served bundle. The players are the sensor channels and, where it is an input, the age of
the run. A hidden channel shows, row by row, what a healthy machine shows in the same operating regime, a hidden age is
the typical one; settings stay as they are, since they say what was asked of the machine. So the base value is the
prediction for a healthy machine in the same operation, and base value and contributions add up to the prediction.

The sum is exact, its parts are sampled: against 1000 orders of the players, those of C-MAPSS FD001 and the hydraulic
rig were off by a tenth of the largest contribution, seldom by a quarter.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.bundle import Bundle, probability_column, read_call
from foretwin.contract import Twin
from foretwin.errors import BadInput
from foretwin.windows import Windows

PERMUTATIONS = 10  # orders in which the players are shown, each forwards and backwards
SEED = 1
DRAWING = threading.Lock()


@dataclass(frozen=True)
class Attribution:
    """One answer, taken apart: base value + contributions = prediction."""

    answer: str  # "rul", or the leading class of a fault axis
    unit: str  # of all values: the contract's time unit, or "probability"
    base: float  # the prediction for a healthy machine in the same operation
    prediction: float
    contributions: dict[str, float]  # by channel, and the age where it is an input; in the contract's order

    def largest_first(self) -> list[tuple[str, float]]:
        """Name and contribution, by size."""
        return sorted(self.contributions.items(), key=lambda item: -abs(item[1]))


@dataclass(frozen=True)
class Explanation:
    """What `Bundle.score` answers for one asset, taken apart."""

    asset: str
    run: int
    time: float  # of the last row, in the contract's time unit
    questions: dict[str, Attribution]  # "rul" where the twin has an RUL, and each fault axis

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def explain(bundle: Bundle, rows: pd.DataFrame) -> Explanation:
    """Take apart the score of the one asset in `rows`, which are as `Bundle.score` wants them.

    The RUL is the one that is served, within 0 and the cap: a machine whose RUL stands at the cap like a healthy one's
    has contributions near 0. The fault classes are the most probable ones, be they probable enough for an answer or
    not. The same rows give the same contributions. BadInput names the field that breaks the contract.
    """
    score = bundle.score(rows)
    if len(score) > 1:
        raise BadInput("asset", f"an explanation is of one asset, there are {len(score)}: ask for each by itself")
    columns = leading_columns(bundle.contract, score)
    window = read_call(rows, bundle.contract).cut(np.array([len(rows) - 1]), bundle.contract.window.length)
    game = Game(bundle, window, list(columns.values()))
    base, contributions = shapley_values(game)
    questions = {}
    for i, (question, column) in enumerate(columns.items()):
        questions[question] = Attribution(
            answer=column if question == "rul" else column.removeprefix(probability_column(question, "")),
            unit=bundle.contract.clock.unit if question == "rul" else "probability",
            base=float(base[i]),
            prediction=float(score[column].iloc[0]),
            contributions=dict(zip(game.players, contributions[:, i].tolist(), strict=True)),
        )
    key = score.iloc[0]
    return Explanation(str(key["asset"]), int(key["run"]), float(key["time"]), questions)


def leading_columns(contract: Twin, score: pd.DataFrame) -> dict[str, str]:
    """question -> the column of the score that answers it: `rul`, and the probability of each axis' leading class."""
    columns = {"rul": "rul"} if contract.rul else {}
    for axis in contract.axes:
        of_axis = [probability_column(axis, name) for name in contract.classes(axis)]
        columns[axis] = str(score[of_axis].iloc[0].astype(float).idxmax())
    return columns


class Game:
    """Predictions for one window of which some players are hidden."""

    def __init__(self, bundle: Bundle, window: Windows, columns: list[str]) -> None:
        """`columns` are the Q answers of `Bundle.predict_windows` that are asked for."""
        contract = bundle.contract
        self.bundle, self.window, self.columns = bundle, window, columns
        self.sensors = [i for i, channel in enumerate(contract.channels.values()) if channel.role == "sensor"]
        self.healthy = bundle.reference.healthy_readings(window.x[0]) * window.mask[0, :, None]  # (T, C)
        aged = "age" in {node.name for node in bundle.session.get_inputs()}
        name_of_age = "age" if "age" not in contract.channels else "time"  # which no channel may be called
        names = [contract.channel_names[i] for i in self.sensors]
        self.players = (*names, name_of_age) if aged else tuple(names)

    def __call__(self, shown: NDArray[np.floating]) -> NDArray[np.float64]:
        """Who is shown (N, P), 1 or 0 -> answers (N, Q)."""
        count = len(shown)
        sees = shown > 0
        x = np.repeat(self.window.x, count, axis=0)  # (N, T, C)
        some = sees[:, None, : len(self.sensors)]
        x[:, :, self.sensors] = np.where(some, x[:, :, self.sensors], self.healthy[:, self.sensors])
        age = np.repeat(self.window.age, count)
        if len(self.players) > len(self.sensors):
            age = np.where(sees[:, -1], age, np.float32(self.bundle.reference.age))
        labels = np.repeat(self.window.rul, count), np.repeat(self.window.faults, count, axis=0)
        said = self.bundle.predict_windows(Windows(x, np.repeat(self.window.mask, count, axis=0), age, *labels))
        return np.stack([said[name] for name in self.columns], axis=1)


def shapley_values(game: Game) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The base value (Q,) and the contributions (P, Q) of a game's players."""
    import numba

    numba.config.DISABLE_JIT = True  # SHAP's loops take 6 s to compile and 10 ms to run as they are
    import shap

    count = len(game.players)
    if count == 0:
        return game(np.ones((1, 0)))[0], np.empty((0, len(game.columns)))
    with _drawing():
        explainer = shap.PermutationExplainer(game, np.zeros((1, count)), seed=SEED)
        once = 2 * count + 1  # evaluations of one order, forwards and backwards
        found = explainer(np.ones((1, count)), max_evals=PERMUTATIONS * once, batch_size=once, silent=True)
    return np.reshape(found.base_values, -1), np.reshape(found.values, (count, -1))


@contextmanager
def _drawing() -> Iterator[None]:
    """SHAP seeds numpy's global generator and draws from it: one at a time, and nobody else's draws change."""
    with DRAWING:
        state = np.random.get_state()  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
