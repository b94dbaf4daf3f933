"""Protocols of published excerpts in which machines fail and parts are exchanged: chances of a failure, ranks of risk.

    python -m benchmarks.accuracy.risk_sets [NAME ...]

The commands of a worked example lead to valid rows, as in `benchmarks.accuracy.sets`. Of the fleet, five groups of
machines are held out in turn by `holdout.assets`, and asked every few hours whether a part fails within a day; of the
drives, of which each has one row, those that `prepare` holds out are ranked. Writes reports/sets/NAME.json.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.accuracy.sets import Size, edit_contract, read_set, run_stages, set_seed, start_set
from benchmarks.worked_examples import ROOT
from foretwin.contract.twin import Twin
from foretwin.dataset.known_rows import truncate_known
from foretwin.dataset.labels.censoring import with_outlived
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.splits import Development
from foretwin.dataset.table import time_to_end
from foretwin.dataset.windows import TEST, Histories
from foretwin.evaluation.candidates import load_candidates
from foretwin.evaluation.censored_lives import KaplanMeier
from foretwin.evaluation.failure_figures import failure_figures
from foretwin.evaluation.resampling import bootstrap
from foretwin.predictor.bundle import Bundle, probability_column
from foretwin.predictor.failure_chances import failure_column
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.training.ensemble import git_state

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GROUPS, GROUP_SEED = 5, 7002  # of machines, each held out in turn
DAY, HORIZONS = 24.0, (24.0, 72.0, 168.0)  # h
EVERY = 6  # h between two questions to a machine
AXIS = "failure"  # of both examples
SIZES = {"fleet": Size(seeds=(1,), trials=2), "drives": Size(seeds=(1, 2, 3), trials=2, windows=(10_000, 20_000))}
HOURS = "smart_9_raw"  # power-on hours
COUNTERS = tuple(f"smart_{number}_raw" for number in (5, 187, 188, 197, 198))  # which the drives' owner watches
TOP = 0.01  # share of the drives that are looked at first


def main(names: Sequence[str]) -> None:
    """Write a report for each set."""
    measured: dict[str, Callable[[Paths, Size], dict[str, Any]]] = {"fleet": fleet, "drives": drives}
    for name in names:
        begin, size, commit = time.perf_counter(), SIZES[name], git_state(ROOT)["commit"]
        with tempfile.TemporaryDirectory() as folder:
            found = measured[name](start_set(Path(folder), name, size), size)
        told = {"name": name, "commit": commit, "cores": os.cpu_count(), "seeds": len(size.seeds)}
        report = told | found | {"seconds": round(time.perf_counter() - begin, 1)}
        with fresh_file(ROOT / "reports" / "sets" / f"{name}.json") as out:
            out.write_text(strict_json(report, indent=1) + "\n", encoding="utf-8")


def fleet(paths: Paths, size: Size) -> dict[str, Any]:
    """Hold out each group of machines in turn; return figures of what is said of all of them."""
    rows = read_set(paths)
    machines = np.random.default_rng(GROUP_SEED).permutation(rows["asset"].unique())
    parts, survival = [], []
    for group in np.array_split(machines, GROUPS):
        told, figures = leave_out_group(paths, rows, [str(one) for one in group], size.seeds[0])
        parts.append(told)
        survival.append(figures)
    every = pd.concat(parts, ignore_index=True)
    return {"machines": len(machines), "cuts": len(every), "every": EVERY, "gap": DAY} | {
        "survival": _mean_of(survival),
        "within_a_day": {"with_gap": _chances(every, DAY), "without_gap": _chances(every, 0.0)},
        "by_part": _by_part(every, paths.load_contract()),
    }


def leave_out_group(
    paths: Paths, rows: pd.DataFrame, group: list[str], seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Train on the other machines; return what is said of these, and the figures of survival.

    A row for each cut: asset, left (h until the failure, or the end of the rows of a life without one), failed (whether
    it ended so), part (number of the class, -1 = unknown), and by `served`, `linear`, `kaplan_meier` and the classes'
    names chances of what is asked.
    """
    contract = edit_contract(paths, holdout={"assets": group}, rul={"horizons": list(HORIZONS)})
    set_seed(paths, seed)
    run_stages(paths, "prepare", "tune", "train")
    (own,) = with_outlived(RowPieces.of(rows[rows["asset"].isin(group)]), contract)
    ends = Histories.from_rows(own, contract).ends(contract.window.shortest)[::EVERY]
    cuts = truncate_known(own, ends, contract)
    scores = Bundle.load(paths.models / "bundle").score(cuts)
    linear = load_candidates(paths.models / "candidates")["linear"].score(cuts)
    development = Development.load(paths.windows, contract, load_params(paths.params, paths.twin).prepare)
    at = own.iloc[ends]
    healthy = probability_column(AXIS, contract.classes(AXIS)[0])
    told = {
        "asset": at["asset"].to_numpy(),
        "left": left_of(own)[ends],
        "failed": at["ended"].to_numpy() == "failed",
        "part": at[f"fault_{AXIS}"].to_numpy(),
        "served": scores[failure_column(DAY)].to_numpy(),
        "served_classes": 1 - scores[healthy].to_numpy(),
        "linear": 1 - linear[healthy].to_numpy(),
        "kaplan_meier": _by_age(rows[~rows["asset"].isin(group)], at["time"].to_numpy(np.float64)),
    }
    told |= {name: scores[probability_column(AXIS, name)].to_numpy() for name in contract.classes(AXIS)[1:]}
    return pd.DataFrame(told), failure_figures(contract, development, cuts, scores)


def left_of(rows: pd.DataFrame) -> Floats:
    """Return the time (N,) until the life fails, which it may do after its last row, or else until that row."""
    return np.where(rows["ended"] == "failed", rows["rul"], time_to_end(rows)).astype(np.float64)


def _by_age(others: pd.DataFrame, age: Floats) -> Floats:
    """Chance of a failure within a day (N,) by the age alone: the Kaplan-Meier estimate of the other machines."""
    ends = others.assign(end=others["time"] + left_of(others))
    lives = ends.groupby(["asset", "run"], sort=False).agg(end=("end", "max"), ended=("ended", "first"))
    estimate = KaplanMeier.of(lives["end"].to_numpy(np.float64), (lives["ended"] == "failed").to_numpy(bool))
    return 1 - estimate.survives(age + DAY) / np.maximum(estimate.survives(age), np.finfo(np.float64).tiny)


def _mean_of(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means of figures of groups, weighted by their cuts."""
    weights = [one["cuts"] for one in figures]
    models = {"served": figures, "kaplan_meier": [one["floors"]["kaplan_meier"] for one in figures]}
    return {
        name: {
            figure: round(float(np.average([one[figure] for one in found], weights=weights)), 4)
            for figure in ("concordance", "integrated_brier")
        }
        for name, found in models.items()
    }


def _known(told: pd.DataFrame, gap: float) -> tuple[Flags, Flags]:
    """Return which cuts are of a life that fails within a day, and of which it is known either way (N,).

    A life that ends otherwise says nothing about its last day, nor do rows of the gap before a failure's last day.
    """
    within = (told["failed"] & (told["left"] <= DAY)).to_numpy(bool)
    return within, (within | (told["left"] > DAY + gap).to_numpy(bool)) & (told["left"] > 0).to_numpy(bool)


def _chances(told: pd.DataFrame, gap: float) -> dict[str, Any]:
    within, known = _known(told, gap)
    models = ("served", "served_classes", "linear", "kaplan_meier")
    assets = told["asset"].to_numpy(np.str_)[known]
    found = {name: ranked(told[name].to_numpy(np.float64)[known], within[known], assets) for name in models}
    squares = {name: float(np.mean((told[name].to_numpy()[known] - within[known]) ** 2)) for name in models}
    for name, one in found.items():
        one["brier"] = round(squares[name], 4)
    share = float(within[known].mean())
    return {"cuts": int(known.sum()), "share": round(share, 4), "brier_constant": round(share * (1 - share), 4)} | {
        "models": found
    }


def _by_part(told: pd.DataFrame, contract: Twin) -> dict[str, Any]:
    within, known = _known(told, DAY)
    assets, part = told["asset"].to_numpy(np.str_), told["part"].to_numpy()
    found = {}
    for number, name in enumerate(contract.classes(AXIS)[1:], start=1):
        of = within & (part == number)
        chosen = known & (part >= 0)
        found[name] = {"share": round(float(of[chosen].mean()), 4)} | ranked(
            told[name].to_numpy(np.float64)[chosen], of[chosen], assets[chosen]
        )
    return found


def ranked(said: Floats, true: Flags, assets: NDArray[np.str_]) -> dict[str, Any]:
    """Return area under the ROC curve and average precision of what is said (N,), with 95 % of them by machines."""
    figures: dict[str, Any] = {}
    for name, measure in {"auroc": roc_auc_score, "average_precision": average_precision_score}.items():

        def of(at: NDArray[np.int64], measure: Callable[..., float] = measure) -> float:
            return measure(true[at], said[at]) if true[at].any() and not true[at].all() else float("nan")

        figures[name] = round(float(of(np.arange(len(said)))), 4)
        figures[f"{name}_interval"] = [round(one, 4) for one in bootstrap(of, assets, seed=1)]
    return figures


def drives(paths: Paths, size: Size) -> dict[str, Any]:
    """Rank the drives that `prepare` holds out, once for each seed; return figures beside floors."""
    run_stages(paths, "prepare", "tune")
    folds = json.loads((paths.windows / "splits.json").read_text())
    contract, rows = paths.load_contract(), read_set(paths)
    held_out = (rows["asset"].map(folds) == TEST).to_numpy()
    own, others = rows[held_out].reset_index(drop=True), rows[~held_out]
    cuts = truncate_known(own, np.arange(len(own)), contract)
    column, said, linear = probability_column(AXIS, contract.classes(AXIS)[1]), [], []
    for seed in size.seeds:
        set_seed(paths, seed)
        run_stages(paths, "train")
        said.append(Bundle.load(paths.models / "bundle").score(cuts)[column].to_numpy(np.float64))
        linear.append(load_candidates(paths.models / "candidates")["linear"].score(cuts)[column].to_numpy(np.float64))
    failed = own[f"fault_{AXIS}"].to_numpy() == 1
    floors, best = _counted(own, others)
    floors["linear"] = np.mean(linear, axis=0)
    names = own["asset"].to_numpy(np.str_)
    each = [_looked_at(one, failed) for one in said]
    served = ranked(said[0], failed, names) | {
        name: {
            "mean": round(float(np.mean([one[name] for one in each])), 4),
            "sd": round(float(np.std([one[name] for one in each], ddof=1)), 4),
        }
        for name in each[0]
    }
    return {"held_out": len(own), "failed": int(failed.sum()), "best_counter": best, "top": TOP} | {
        "candidates": {"served": served},
        "floors": {name: ranked(one, failed, names) | _looked_at(one, failed) for name, one in floors.items()},
        "by_model": _by_model(own, contract, said[0], failed),
    }


def _counted(own: pd.DataFrame, others: pd.DataFrame) -> tuple[dict[str, Floats], str]:
    """Return ranks (N,) by hours, by watched counters above 0, and by the one counter that ranks the others best."""
    true = others[f"fault_{AXIS}"].to_numpy() == 1
    counters = [name for name in own.columns if name.startswith("smart_")]
    best = max(counters, key=lambda name: float(roc_auc_score(true, others[name])))
    found = {
        "power_on_hours": own[HOURS].to_numpy(np.float64),
        "watched_counters": (own[list(COUNTERS)] > 0).sum(axis=1).to_numpy(np.float64),
        "best_counter_of_the_others": own[best].to_numpy(np.float64),
    }
    return found, best


def _looked_at(said: Floats, failed: Flags) -> dict[str, float]:
    """Share of failed among the TOP of the ranks, and of the drives that must be looked at to find half of them."""
    order = np.argsort(-said, kind="stable")
    top = max(1, round(TOP * len(said)))
    needed = int(np.searchsorted(np.cumsum(failed[order]), failed.sum() / 2)) + 1
    return {"failed_of_top": round(float(failed[order[:top]].mean()), 4), "for_half": round(needed / len(said), 4)}


def _by_model(own: pd.DataFrame, contract: Twin, said: Floats, failed: Flags) -> dict[str, Any]:
    words = own["model"].map(lambda number: contract.cell("model", number)).to_numpy(np.str_)
    names = own["asset"].to_numpy(np.str_)
    return {
        str(word): {"drives": int((words == word).sum()), "failed": int(failed[words == word].sum())}
        | ranked(said[words == word], failed[words == word], names[words == word])
        for word in np.unique(words)
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SIZES, []], help="sets; both by default")
    with exit_on_error():
        main(parser.parse_args().names or list(SIZES))
