"""How the candidates of the pump's blend are best mixed near the end, on folds that none of them has learnt from.

    python -m benchmarks.accuracy.blend_means

Needs a project whose pump is built (`make run`): what each candidate said of the development pumps' cuts out of fold.
Weights and powers of a fold come from the other folds. Compared are the candidates; their weighted sum; the same where
late cuts count ten times as much; weights that change with the weighted sum's own answer, from one set at 0 to another
at the longest lead time; power means; and the mean that a blend is given. Beside them stands the wear filter, which
knows the pump's equations, and the mean that a blend would be given of which it were a candidate. A share "better" is
that of paired resamples of the pumps with less error than the weighted sum. No held-out pump is looked at. Writes
reports/blend_means.json.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from foretwin.contract.lead_times import LATE_WEIGHT, longest_lead_time
from foretwin.dataset.splits import Development
from foretwin.evaluation.answer_figures import LATE_LIFE_SHARE
from foretwin.evaluation.resampling import Resamples
from foretwin.physics.pump_prognosis import cap_of, predict_with_physics
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.params import Params, load_params
from foretwin.project.paths import Paths
from foretwin.training.candidates.weights import POWERS, SUM_TO_ONE, asset_weights, fit_mean, mixed, sparse_weights

Floats = NDArray[np.float64]

TEN_TIMES = 10.0
LOWER = -16.0  # a power below those that a blend may have
ROUNDING = 1e-9  # of a RUL as a share of the cap
SEED = 1


@dataclass(frozen=True)
class Cuts:
    """N cuts with a known truth; RULs are shares of the cap."""

    names: list[str]  # of the C candidates
    answers: Floats  # (N, C) out of fold
    truth: Floats  # (N,)
    even: Floats  # (N,) weights as `blend_question` has them
    folds: NDArray[np.int64]  # (N,)
    assets: NDArray[np.int64]  # (N,)
    late: float  # the longest lead time
    smallest: float  # weight that a candidate must have

    @classmethod
    def of(cls, table: pd.DataFrame, late: float, smallest: float) -> "Cuts":
        """Take the known cuts of a table of `OutOfFold.table`."""
        known = table[table["truth/rul"].notna()]
        names = [one.removesuffix("/rul") for one in known.columns if one.endswith("/rul") and one != "truth/rul"]
        truth, assets = known["truth/rul"].to_numpy(), known["asset"].to_numpy()
        even = asset_weights(assets, np.ones(len(truth), bool)) * np.where(truth <= late, LATE_WEIGHT, 1.0)
        answers = known[[f"{name}/rul" for name in names]].to_numpy()
        return cls(names, answers, truth, even, known["fold"].to_numpy(), assets, late, smallest)


def main(root: Path = Path()) -> None:
    """Read the pump's contract and models/pump/candidates/, write reports/blend_means.json."""
    paths = Paths(root, "pump")
    contract, params = paths.load_contract(), load_params(paths.params, "pump")
    cap, lead = cap_of(contract), longest_lead_time(contract)
    table = pd.read_parquet(paths.models / "candidates" / "out_of_fold.parquet")
    cuts = Cuts.of(table, lead / cap, params.train.smallest_weight)
    physics = _physics(paths, params)[table["truth/rul"].notna().to_numpy()] / cap
    wider = replace(cuts, names=[*cuts.names, "physics"], answers=np.column_stack([cuts.answers, physics]))
    said = {**ways(cuts), "physics": physics, "chosen_with_physics": ways(wider)["chosen"]}
    report = {
        "unit": contract.clock.unit,
        "cuts": len(cuts.truth),
        "pumps": len(np.unique(cuts.assets)),
        "late": lead * LATE_LIFE_SHARE,
        "ways": figures(cuts, said, cap),
    }
    with fresh_file(root / "reports" / "blend_means.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")


def ways(cuts: Cuts) -> dict[str, Floats]:
    """Return what each way says of each cut (N,), with weights and powers from the other folds."""
    found = dict(zip(cuts.names, cuts.answers.T, strict=True))
    for fold in np.unique(cuts.folds):
        inside = cuts.folds == fold
        for name, said in _mixed(cuts, ~inside, inside):
            found.setdefault(name, np.empty(len(cuts.truth)))[inside] = said
    return found


def _mixed(cuts: Cuts, learn: NDArray[np.bool_], told: NDArray[np.bool_]) -> Iterator[tuple[str, Floats]]:
    """Yield the name of each way and what it says of the cuts `told`, learnt from the cuts `learn`; (N,) both."""
    answers, truth, even = cuts.answers[learn], cuts.truth[learn], cuts.even[learn]
    weights = sparse_weights(answers, truth, even, cuts.smallest)
    yield "weighted_sum", mixed(cuts.answers[told], weights)
    more = even * np.where(truth <= cuts.late, TEN_TIMES, 1.0)
    yield "late_cuts_ten_times", mixed(cuts.answers[told], sparse_weights(answers, truth, more, cuts.smallest))
    yield (
        "weights_by_answer",
        _by_answer(cuts, weights, told) @ _two_sets(_by_answer(cuts, weights, learn), truth, even),
    )
    for power in (*POWERS[1:], LOWER):
        yield f"power_{power:g}", mixed(cuts.answers[told], weights, power)
    yield "chosen", mixed(cuts.answers[told], *fit_mean(answers, truth, even, cuts.smallest))


def _by_answer(cuts: Cuts, weights: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Return the answers twice, (N, 2 C): by how near the weighted sum is to 0, and by how far it is from there."""
    answers = cuts.answers[chosen]
    near = np.clip(1 - mixed(answers, weights) / cuts.late, 0, 1)[:, None]
    return np.hstack([answers * near, answers * (1 - near)])


def _two_sets(twice: Floats, truth: Floats, even: Floats) -> Floats:
    """Fit two sets of weights (2 C,), each with a sum of 1."""
    root, half = np.sqrt(even / even.sum()), twice.shape[1] // 2
    sums = SUM_TO_ONE * np.repeat(np.eye(2), half, axis=1)
    weights, _ = nnls(np.vstack([twice * root[:, None], sums]), np.append(truth * root, [SUM_TO_ONE] * 2))
    return np.asarray(weights, np.float64)


def _physics(paths: Paths, params: Params) -> Floats:
    """Return what the wear filter says of all cuts of the development pumps, h, in the order of `OutOfFold`."""
    contract = paths.load_contract()
    development = Development.load(paths.windows, contract, params.prepare)
    cuts = np.concatenate([development.hold_out(fold).held_out for fold in development.folds])
    windows = development.histories.cut(cuts, contract.window.length)
    return predict_with_physics(development, windows, contract, SEED, params.train.level)[0]


def figures(cuts: Cuts, said: dict[str, Floats], cap: float) -> dict[str, Any]:
    """Return errors over all cuts and in the last third of the lead time, in the unit of the cap, by way."""
    resamples = Resamples(cuts.assets.astype(np.str_))
    late = cuts.truth <= cuts.late * LATE_LIFE_SHARE + ROUNDING
    errors = {name: (one - cuts.truth) * cap for name, one in said.items()}
    drawn = {name: _drawn(resamples, one, late) for name, one in errors.items()}
    floor, found = drawn["weighted_sum"], {}
    for name, error in errors.items():
        everywhere, near = (float(np.mean(one < other)) for one, other in zip(drawn[name], floor, strict=True))
        found[name] = {
            "rmse": round(float(np.sqrt(np.mean(error**2))), 2),
            "better": round(everywhere, 3),
            "late_rmse": round(float(np.sqrt(np.mean(error[late] ** 2))), 2),
            "late_bias": round(float(error[late].mean()), 2),
            "late_better": round(near, 3),
        }
    return found


def _drawn(resamples: Resamples, error: Floats, late: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the mean squared error of each resample, over all cuts and over the late ones."""
    squared = error**2
    means = resamples.means(np.column_stack([squared, np.where(late, squared, np.nan)]))
    return means[:, 0], means[:, 1]


if __name__ == "__main__":
    with exit_on_error():
        main()
