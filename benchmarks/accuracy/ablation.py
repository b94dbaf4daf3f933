"""What each part of a network is worth: one change at a time, judged on development folds.

    python -m benchmarks.accuracy.ablation cmapss-fd001 cmapss-fd004

Writes reports/ablation.json. The twins must have been tuned (`dvc repro data/TWIN/dvc.yaml:tune`). Held-out assets take
no part: a member is trained on all folds but one and judged at the random cuts of that one, for each of the first two
folds.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.evaluation.benchmark.plan import make_plan
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.training.encoders import TRUNKS
from foretwin.training.trainer import Budget, Choice, fit

FOLDS = (0, 1)
LENGTHS = (30, 60, 90, 120)  # rows
OTHER_TRUNK = {"width": 64, "depth": 2, "dropout": 0.1, "jitter": 0.0, "lr": 2e-3, "weight_decay": 1e-2}

Variant = tuple[Twin, Choice, Budget]


def variants(contract: Twin, choice: Choice, budget: Budget) -> dict[str, Variant]:
    """name -> contract, hyper-parameters and budget with that one change."""
    changed = {"as chosen": (contract, choice, budget)}
    changed |= {name: (other, choice, budget) for name, other in _inputs(contract).items()}
    changed |= {name: (contract, other, budget) for name, other in _networks(choice).items()}
    budgets = {
        "batches of 512": replace(budget, batch=512),
        "twice the training": replace(budget, windows=2 * budget.windows),
        "half the training": replace(budget, windows=budget.windows // 2),
    }
    return changed | {name: (contract, choice, other) for name, other in budgets.items()}


def _inputs(contract: Twin) -> dict[str, Twin]:
    """The network is told more or less."""
    window, clock = contract.window, contract.clock
    result: dict[str, dict[str, Any]] = {
        f"window of {length} rows instead of {window.length}": {"window": window.model_copy(update={"length": length})}
        for length in LENGTHS
        if window.shortest < window.length != length and window.shortest <= length
    }
    if clock.counts_from_start:
        result["without the age"] = {"clock": clock.model_copy(update={"counts_from_start": False})}
    if contract.regimes:
        result["one scaling for all regimes"] = {"regimes": None}
    return {name: contract.model_copy(update=change) for name, change in result.items()}


def _networks(choice: Choice) -> dict[str, Choice]:
    """Another size, less noise in training, another trunk."""
    result: dict[str, dict[str, Any]] = {
        "twice the width": {"width": 2 * choice.width},
        "one layer more": {"depth": choice.depth + 1},
    }
    result |= {f"without {noise}": {noise: 0.0} for noise in ("jitter", "dropout") if getattr(choice, noise)}
    result |= {f"trunk: {trunk}": {"trunk": trunk} | OTHER_TRUNK for trunk in TRUNKS if trunk != choice.trunk}
    return {name: choice.model_copy(update=change) for name, change in result.items()}


def judge(development: Development, variant: Variant, fold: int) -> dict[str, float]:
    """The metrics of one member on the fold that it has not seen, and the seconds that it took."""
    contract, choice, budget = variant
    begin = time.perf_counter()
    _, epochs = fit(development.hold_out(fold), contract, choice, budget)
    found = {name.removeprefix("val/"): value for name, value in epochs[-1].items() if name.startswith("val/")}
    return found | {"seconds": time.perf_counter() - begin}


def ablate(twin: str, root: Path) -> dict[str, dict[str, float]]:
    """name of a change -> RMSE (time units), macro-F1 per axis and seconds, each the mean over the folds."""
    plan = make_plan(Paths(root, twin), seeds=[1])
    train = plan.params.train
    changed = variants(plan.contract, plan.choice, Budget(train.windows, train.batch, seed=1))
    tasks = [(name, fold) for name in changed for fold in FOLDS]
    found = Parallel(n_jobs=-1)(delayed(judge)(plan.development, changed[name], fold) for name, fold in tasks)
    of_fold = dict(zip(tasks, found, strict=True))
    result: dict[str, dict[str, float]] = {}
    for name in changed:
        folds = [of_fold[name, fold] for fold in FOLDS]
        kept = {key for key in folds[0] if key in {"rmse", "seconds"} or key.startswith("macro_f1")}
        mean = {key: float(np.mean([one[key] for one in folds])) for key in sorted(kept)}
        result[name] = {_axis(key, plan.contract): round(value, 4) for key, value in mean.items()}
        print(f"{twin}: {name}: {result[name]}", flush=True)
    return result


def _axis(key: str, contract: Twin) -> str:
    """macro_f1_0 -> the first axis' name; another key as it is."""
    return contract.axes[int(key.rpartition("_")[2])] if key.startswith("macro_f1_") else key


def main(twins: list[str], root: Path = Path()) -> None:
    """Ablate each twin and keep what the file says of others."""
    path = root / "reports" / "ablation.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    for twin in twins:
        report[twin] = ablate(twin, root)
        with fresh_file(path) as out:
            out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1:] or ["pump"])
