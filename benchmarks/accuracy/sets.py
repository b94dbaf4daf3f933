"""Protocols of published sets of few machines: each machine is left out in turn; writes reports/sets/NAME.json.

    python -m benchmarks.accuracy.sets [NAME ...]

The commands of a worked example (docs/worked-examples.md) lead from the files in `FORETWIN_DATASETS` to valid rows.
Then for each machine `holdout.assets` of its contract names it, the cap of the RUL is guessed anew from the lives of
the others as `foretwin new` guesses it, and the stages prepare, tune and train run as `dvc repro` runs them, once for
each seed. Nothing is chosen by what the machine that is left out shows: what each bundle says of it is read at the end.
"""

import argparse
import importlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from benchmarks.accuracy.rul_floors import floors_of
from benchmarks.worked_examples import ROOT, load_examples, start_project, typed
from foretwin.contract.twin import Twin
from foretwin.contract.yaml import read_yaml
from foretwin.dataset.known_rows import truncate_known
from foretwin.dataset.splits import Development
from foretwin.dataset.table import read_rows, time_to_end
from foretwin.dataset.windows import random_cuts
from foretwin.errors import ContractError
from foretwin.evaluation.resampling import bootstrap
from foretwin.metrics import coverage, rmse
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.training.ensemble import git_state
from foretwin.validation.scaffold.contract_text import CAP_SHARE
from foretwin.validation.scaffold.measures import significant

Floats = NDArray[np.float64]

CUT_SEED = 7001  # used for nothing else
SERVED = "served"


@dataclass(frozen=True)
class Size:
    """Budgets of each training, and how much is measured."""

    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    cuts: int = 50  # of each life that is left out, at a share of it uniform from 0.2 to 1
    folds: int = 4
    trials: int = 4
    windows: tuple[int, int] = (5_000, 10_000)  # drawn in a trial, and for a member
    candidates: tuple[str, ...] = ("network", "gradient_boosting", "extra_trees", "random_fourier_ridge", "linear")


# Worked examples whose machines are left out one by one. Of two hundred channels trees would take most of an hour.
SETS = {"cells": Size(), "spectra": Size(folds=2, trials=2, candidates=("network", "linear"))}


def main(names: Sequence[str]) -> None:
    """Write a report for each set."""
    for name in names:
        begin, size, commit = time.perf_counter(), SETS[name], git_state(ROOT)["commit"]
        with tempfile.TemporaryDirectory() as folder:
            paths = start_set(Path(folder), name, size)
            told = pd.concat(leave_out(paths, asset, size) for asset in assets_of(paths))
            unit = paths.load_contract().clock.unit
        report = {
            "name": name,
            "commit": commit,
            "cores": os.cpu_count(),
            "unit": unit,
            "cuts": size.cuts,
            "seeds": len(size.seeds),
            "candidates_of_the_blend": list(size.candidates),
            **measure(told),
            "seconds": round(time.perf_counter() - begin, 1),
        }
        out = ROOT / "reports" / "sets" / f"{name}.json"
        out.parent.mkdir(exist_ok=True)
        with fresh_file(out) as temporary:
            temporary.write_text(strict_json(report, indent=1) + "\n", encoding="utf-8")


def start_set(project: Path, name: str, size: Size) -> Paths:
    """Type the commands of an example up to valid rows, in a new project with these budgets."""
    start_project(project)
    paths = Paths(project, name)
    for command in load_examples()[name].commands("validate").values():
        typed(command, project)
    set_budgets(paths, size)
    return paths


def set_budgets(paths: Paths, size: Size) -> None:
    """Write the budgets into params.yaml."""
    params = yaml.safe_load(paths.params.read_text(encoding="utf-8"))
    params["prepare"] |= {"folds": size.folds}
    params["tune"] |= {"trials": size.trials, "windows": size.windows[0]}
    params["train"] |= {"windows": size.windows[1], "candidates": list(size.candidates)}
    paths.params.write_text(yaml.safe_dump(params), encoding="utf-8")


def assets_of(paths: Paths) -> list[str]:
    """Return the machines of the rows, in their order."""
    return [str(asset) for asset in read_set(paths)["asset"].unique()]


def leave_out(paths: Paths, asset: str, size: Size) -> pd.DataFrame:
    """Train on all other machines, once for each seed, and return what is said of this one, by cut and seed.

    Columns: asset, seed, life (NaN of one that did not end), cap, left (remaining life, or at least so much: where life
    is NaN), low and high of the served interval, and the RUL of each model by its name; all in the clock's unit.
    """
    rows = read_set(paths)
    others, own = rows[rows["asset"] != asset], rows[rows["asset"] == asset].reset_index(drop=True)
    cap = significant(CAP_SHARE * float(_lives(others).median()))
    contract = edit_contract(paths, holdout={"assets": [asset]}, rul={"cap": cap})
    run_stages(paths, "prepare", "tune")
    ends = random_cuts(own, size.cuts, contract.window.shortest, CUT_SEED)
    ended = bool(own["rul"].notna().any())
    at = own.iloc[ends].reset_index(drop=True)
    left = at["rul"] if ended else pd.Series(time_to_end(own).to_numpy()[ends])
    known = pd.DataFrame({"asset": asset, "life": _lives(own).iloc[0] if ended else np.nan, "left": left})
    parts = []
    for seed in size.seeds:
        set_seed(paths, seed)
        run_stages(paths, "train")
        scores = Bundle.load(paths.models / "bundle").score(truncate_known(own, ends, contract))
        said = {SERVED: scores["rul"], "low": scores["rul_low"], "high": scores["rul_high"]}
        parts.append(known.assign(seed=seed, **{name: one.to_numpy() for name, one in said.items()}))
    development = Development.load(paths.windows, contract, load_params(paths.params, paths.twin).prepare)
    floors = floors_of(development, contract, others, own, ends, cap)
    return pd.concat(parts, ignore_index=True).assign(
        cap=cap, **{name: np.tile(one, len(size.seeds)) for name, one in floors.items()}
    )


def run_stages(paths: Paths, *names: str) -> None:
    """Run stages of the pipeline in this process: each process of its own would spend seconds on its imports."""
    for name in names:
        importlib.import_module(f"pipelines.{name}").main(paths.twin, paths.root)


def read_set(paths: Paths) -> pd.DataFrame:
    """Return all rows of a set."""
    return read_rows(paths.rows / "rows.parquet", paths.load_contract())


def _lives(rows: pd.DataFrame) -> "pd.Series[float]":
    """Length of each life that ended."""
    last = rows[rows["rul"].notna()].groupby(["asset", "run"], sort=False)["time"]
    return last.max()


def edit_contract(paths: Paths, holdout: dict[str, Any], rul: dict[str, Any]) -> Twin:
    """Write what is held out and asked of the RUL into the contract, which asks for health no more; return it."""
    content = read_yaml(paths.contract, ContractError)[0]
    content.pop("health", None)
    content["holdout"] = holdout
    content["rul"] |= rul
    paths.contract.write_text(json.dumps(content, indent=1), encoding="utf-8")  # which is YAML, with quoted texts
    return paths.load_contract()


def set_seed(paths: Paths, seed: int) -> None:
    """Write the seed of the training into params.yaml."""
    params = yaml.safe_load(paths.params.read_text(encoding="utf-8"))
    params["train"]["seeds"] = [seed]
    paths.params.write_text(yaml.safe_dump(params), encoding="utf-8")


def measure(told: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of what `leave_out` returns for each machine."""
    known = told[["asset", "seed", "life", "cap", "left", "low", "high"]].columns
    models = [str(name) for name in told.columns.difference(known, sort=False)]
    ended, censored = told[told["life"].notna()], told[told["life"].isna()]
    figures = {name: _figures(ended, name) for name in models}
    for name, one in figures.items():
        one["worse_than_served"] = _worse(ended, name)
    return {
        "machines": {str(name): _of_machine(part, models) for name, part in ended.groupby("asset", sort=False)},
        "candidates": {SERVED: figures.pop(SERVED) | {"interval": _interval(ended)}},
        "floors": figures,
        "censored": {str(name): _of_censored(one, models) for name, one in censored.groupby("asset", sort=False)},
    }


def _figures(told: pd.DataFrame, model: str) -> dict[str, Any]:
    """RMSE over all lives that ended: of truths at the cap with its spread over seeds, of whole truths, by life."""
    capped = _capped(told)
    said, left = told[model].to_numpy(np.float64), told["left"].to_numpy(np.float64)
    seeds = [rmse(said[of], capped[of]) for of in _of_each(told["seed"])]
    assets = told["asset"].to_numpy(np.str_)
    return {
        "rmse": round(float(np.mean(seeds)), 2),
        "rmse_sd": round(float(np.std(seeds, ddof=1)), 2) if len(seeds) > 1 else None,
        "rmse_interval": [round(one, 2) for one in bootstrap(lambda at: rmse(said[at], capped[at]), assets, seed=1)],
        "bias": round(float(np.mean(said - capped)), 2),
        "rmse_uncapped": round(rmse(said, left), 2),
        "relative_rmse": round(float(np.sqrt(np.mean(((said - left) / told["life"]) ** 2))), 3),
    }


def _capped(told: pd.DataFrame) -> Floats:
    """Return what is left, at most the cap (N,)."""
    return np.asarray(np.minimum(told["left"], told["cap"]), np.float64)


def _of_each(names: "pd.Series[Any]") -> list[NDArray[np.bool_]]:
    return [(names == name).to_numpy(np.bool_) for name in names.unique()]


def _worse(told: pd.DataFrame, model: str) -> int:
    """On how many machines a model errs more than the served one."""
    errors = {
        name: [rmse(part[name].to_numpy(), _capped(part)) for part in parts]
        for parts in [[told[of] for of in _of_each(told["asset"])]]
        for name in (model, SERVED)
    }
    return int(np.sum(np.greater(errors[model], errors[SERVED])))


def _interval(told: pd.DataFrame) -> dict[str, float]:
    """Coverage of truths at the cap and of those below it, and width."""
    low, high = told["low"].to_numpy(np.float64), told["high"].to_numpy(np.float64)
    capped, below = _capped(told), (told["left"] < told["cap"]).to_numpy()
    return {
        "coverage": round(coverage(low, high, capped), 3),
        "coverage_below_cap": round(coverage(low[below], high[below], capped[below]), 3),
        "width": round(float(np.mean(high - low)), 2),
    }


def _of_machine(told: pd.DataFrame, models: Sequence[str]) -> dict[str, Any]:
    found = {name: _figures(told, name) for name in models}
    shown = ("rmse", "rmse_sd", "rmse_uncapped", "relative_rmse")
    return {
        "life": float(told["life"].iloc[0]),
        "cap": float(told["cap"].iloc[0]),
        "models": {name: {one: figures[one] for one in shown} for name, figures in found.items()},
        "interval": _interval(told),
    }


def _of_censored(told: pd.DataFrame, models: Sequence[str]) -> dict[str, Any]:
    """How far answers lie below what a life lasted at least, up to the cap, and how often the whole interval does."""
    least = _capped(told)
    short = {name: np.maximum(0, least - told[name].to_numpy(np.float64)) for name in models}
    return {
        "followed": float(told["left"].max()),
        "cap": float(told["cap"].iloc[0]),
        "mean_shortfall": {name: round(float(one.mean()), 2) for name, one in short.items()},
        "interval_below": round(float((told["high"] < least).mean()), 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SETS, []], help="sets; all of them by default")
    with exit_on_error():
        main(parser.parse_args().names or list(SETS))
