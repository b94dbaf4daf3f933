"""Protocols of waveforms with classes of faults: each load or speed is left out; writes reports/sets/NAME.json.

    python -m benchmarks.accuracy.class_sets [NAME ...]

The commands of a worked example lead to valid rows, as in `benchmarks.accuracy.sets`: a record is a file, a row of it
the features of a snapshot. Then for each load or speed its records are held out, the others are dealt into folds by
whole loads or speeds, as a table with a column `split` names them, and the stages prepare, tune and train run as
`dvc repro` runs them, once for each seed. All is done twice: with all features, and with those that no scale changes.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.accuracy.sets import SERVED, Size, read_set, run_stages, set_seed, start_set
from benchmarks.worked_examples import ROOT
from foretwin.contract.twin import Twin
from foretwin.contract.yaml import read_yaml
from foretwin.dataset.known_rows import truncate_known
from foretwin.dataset.table import TEST_SET, canonical, write_rows
from foretwin.dataset.windows import Histories, last_rows
from foretwin.errors import ContractError
from foretwin.evaluation.held_out import given_answers
from foretwin.evaluation.resampling import bootstrap
from foretwin.metrics import macro_f1
from foretwin.predictor.bundle import Bundle, probability_column
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths
from foretwin.training.ensemble import git_state

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]

SIZE = Size(seeds=(1, 2, 3), folds=3, trials=2, windows=(2_000, 5_000))
SETS = {"gearbox": SIZE, "bearing": SIZE}
AXIS = "fault"  # of both examples
SHAPE = ("crest_factor", "kurtosis", "centroid")  # features that stay as they are where the signal is scaled


@dataclass(frozen=True)
class Told:
    """What a model says of N windows of records that it has not seen."""

    chances: Floats  # (N, K) of each class, the first of which is healthy
    answer: Classes  # (N,) class, -1 = unknown

    @property
    def fault(self) -> Floats:
        """Return the chance of any fault (N,)."""
        return np.asarray(1 - self.chances[:, 0], np.float64)

    def at(self, chosen: NDArray[Any]) -> "Told":
        """Return what is said of some of the windows."""
        return Told(self.chances[chosen], self.answer[chosen])


def main(names: Sequence[str]) -> None:
    """Write a report for each set."""
    for name in names:
        begin, size, commit = time.perf_counter(), SETS[name], git_state(ROOT)["commit"]
        with tempfile.TemporaryDirectory() as folder:
            paths = start_set(Path(folder), name, size)
            rows, contract = read_set(paths), paths.load_contract()
            source = read_yaml(paths.contract, ContractError)[0]["source"]
            found = {
                "all_features": measure(paths, rows, contract, size),
                "shape_alone": measure(paths, rows, keep_channels(paths, SHAPE), size),
            }
        report = {
            "name": name,
            "commit": commit,
            "cores": os.cpu_count(),
            "seeds": len(size.seeds),
            "window": contract.window.length,
            "group": source["subset"],
            "snapshot": source["snapshot"],
            "records": int(rows["asset"].nunique()),
            "groups": sorted(rows["subset"].unique(), key=float),
            "classes": list(contract.classes(AXIS)),
            **found,
            "seconds": round(time.perf_counter() - begin, 1),
        }
        with fresh_file(ROOT / "reports" / "sets" / f"{name}.json") as out:
            out.write_text(strict_json(report, indent=1) + "\n", encoding="utf-8")


def keep_channels(paths: Paths, ends: tuple[str, ...]) -> Twin:
    """Write a contract without the features of sensors whose names have other ends; return it."""
    content = read_yaml(paths.contract, ContractError)[0]
    dropped = {name for name, one in content["channels"].items() if one["role"] == "sensor" and not name.endswith(ends)}
    content["channels"] = {name: one for name, one in content["channels"].items() if name not in dropped}
    for signal in content["waveforms"].values():
        signal["features"] = {name: one for name, one in signal["features"].items() if name not in dropped}
    return _write_contract(paths, content)


def _write_contract(paths: Paths, content: dict[str, Any]) -> Twin:
    paths.contract.write_text(json.dumps(content, indent=1), encoding="utf-8")  # which is YAML, with quoted texts
    return paths.load_contract()


def measure(paths: Paths, rows: pd.DataFrame, contract: Twin, size: Size) -> dict[str, Any]:
    """Leave out each group; return figures of what the twin and the floors say of all records."""
    content = read_yaml(paths.contract, ContractError)[0]
    content.pop("holdout", None)
    content["source"]["split"] = content["source"]["subset"]
    split = _write_contract(paths, content)
    groups = sorted(rows["subset"].unique(), key=float)
    parts = [leave_out_group(paths, rows, split, group, size) for group in groups]
    known = pd.concat([one for one, _ in parts], ignore_index=True)
    models = {
        name: [_joined([said[name][seed] for _, said in parts]) for seed in range(len(seeds))]
        for name, seeds in parts[0][1].items()
    }
    figures = {name: figures_of(known, seeds) for name, seeds in models.items()}
    ends = known["at_end"].to_numpy(bool)
    truth, count = known["truth"].to_numpy(np.int64)[ends], len(contract.classes(AXIS))
    for name, one in figures.items():
        one["gain_of_served"] = _gain(known, models[SERVED], models[name])
    return {
        "channels": len(contract.channels),
        "windows": len(known),
        "candidates": {SERVED: figures.pop(SERVED)},
        "floors": figures,
        "answers": [_counts(truth, said.answer[ends], count) for said in models[SERVED]],
    }


def leave_out_group(
    paths: Paths, rows: pd.DataFrame, contract: Twin, group: str, size: Size
) -> tuple[pd.DataFrame, dict[str, list[Told]]]:
    """Train on the other groups; return what is known of each whole window of this one, and what each model says.

    Columns: group, truth (class), at_end (whether the window is the record's last). A model has a `Told` for each
    seed, a floor one in all.
    """
    out = paths.rows / "rows.parquet"
    write_rows(canonical(rows.assign(fixed_split=split_of(rows["subset"], group, size.folds)), contract), contract, out)
    run_stages(paths, "prepare", "tune")
    inside = (rows["subset"] == group).to_numpy()
    own, others = rows[inside].reset_index(drop=True), rows[~inside].reset_index(drop=True)
    ends = Histories.from_rows(own, contract).ends(contract.window.length)
    cuts, at = truncate_known(own, ends, contract), own.iloc[ends]
    said: dict[str, list[Told]] = {SERVED: []}
    for seed in size.seeds:
        set_seed(paths, seed)
        run_stages(paths, "train")
        said[SERVED].append(_told(Bundle.load(paths.models / "bundle").score(cuts), contract))
    said |= {name: [one] for name, one in floors_of(others, own, ends, contract).items()}
    known = pd.DataFrame(
        {
            "group": group,
            "truth": at[f"fault_{AXIS}"].to_numpy(np.int64),
            "at_end": np.isin(ends, last_rows(own)),
        }
    )
    return known, said


def split_of(groups: "pd.Series[str]", held_out: str, folds: int) -> "pd.Series[str]":
    """Return for each row `test` where its group is held out, else the number of the fold that has its group."""
    others = sorted(set(groups.unique()) - {held_out}, key=float)
    return groups.map({held_out: TEST_SET} | {name: str(number % folds) for number, name in enumerate(others)})


def _told(scores: pd.DataFrame, contract: Twin) -> Told:
    said = scores[[probability_column(AXIS, name) for name in contract.classes(AXIS)]].to_numpy(np.float64)
    return Told(said, given_answers(scores, contract, AXIS))


def floors_of(others: pd.DataFrame, own: pd.DataFrame, ends: Classes, contract: Twin) -> dict[str, Told]:
    """Return what is said without the product of the windows that end at the rows `ends` (N,).

    Logistic regression on the means and standard deviations of a window's channels; limits of the logarithm of RMS, or
    of kurtosis, alone, averaged over accelerometers (a logistic regression on one number is a limit for two classes,
    and a stretch for each of more); and always the healthy class.
    """
    known = Histories.from_rows(others, contract).ends(contract.window.length)
    truth, length = others[f"fault_{AXIS}"].to_numpy(np.int64)[known], contract.window.length
    kinds: dict[str, Callable[[pd.DataFrame, Classes], Floats]] = {
        "logistic_regression": lambda rows, at: _statistics(rows[list(contract.channels)], at, length)
    }
    for feature in ("rms", "kurtosis"):
        names = [name for name in contract.channels if name.endswith(f"_{feature}")]
        if names:
            kinds[f"limit_of_{feature}"] = _level_of(names, length)
    found = {}
    for name, of in kinds.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        model.fit(of(others, known), truth)
        said = np.asarray(model.predict_proba(of(own, ends)), np.float64)
        found[name] = Told(said, said.argmax(axis=1))
    even = np.full((len(ends), len(contract.classes(AXIS))), 1 / len(contract.classes(AXIS)))
    return found | {"always_healthy": Told(even, np.zeros(len(ends), np.int64))}


def _windows(rows: pd.DataFrame, ends: Classes, length: int) -> Floats:
    """Return (N, length, C) of the rows up to each of `ends` (N,)."""
    values: Floats = rows.to_numpy(np.float64)
    return np.asarray(values[ends[:, None] + np.arange(1 - length, 1)], np.float64)


def _statistics(rows: pd.DataFrame, ends: Classes, length: int) -> Floats:
    windows = _windows(rows, ends, length)
    return np.hstack([windows.mean(axis=1), windows.std(axis=1)])


def _level_of(names: list[str], length: int) -> Callable[[pd.DataFrame, Classes], Floats]:
    """Return what takes the logarithm of the mean of these channels over windows (N, 1)."""
    return lambda rows, at: np.log(_windows(rows[names], at, length).mean(axis=(1, 2)))[:, None]


def _joined(parts: Sequence[Told]) -> Told:
    return Told(np.concatenate([one.chances for one in parts]), np.concatenate([one.answer for one in parts]))


def figures_of(known: pd.DataFrame, seeds: Sequence[Told]) -> dict[str, Any]:
    """Return figures of records, each judged at its end, and of all their windows, as means of seeds.

    Intervals of 95 % are of the first seed, by groups drawn anew.
    """
    ends = known["at_end"].to_numpy(bool)
    records, whole = known[ends].reset_index(drop=True), np.ones(len(known), bool)
    found: dict[str, Any] = {}
    for unit, of, chosen in (("records", records, ends), ("windows", known, whole)):
        parts = [one.at(chosen) for one in seeds]
        each = [_of_seed(of, one) for one in parts]
        spread = float(np.std([one["auroc"] for one in each], ddof=1)) if len(seeds) > 1 else 0.0
        found[unit] = {name: round(float(np.mean([one[name] for one in each])), 4) for name in each[0]}
        found[unit] |= {"auroc_sd": round(spread, 4), "auroc_interval": _interval(of, parts[0])}
    return found


def _interval(known: pd.DataFrame, told: Told) -> list[float]:
    truth, groups = known["truth"].to_numpy() > 0, known["group"].to_numpy(np.str_)
    return [round(one, 4) for one in bootstrap(lambda at: auroc(told.fault[at], truth[at]), groups, seed=1)]


def _of_seed(known: pd.DataFrame, told: Told) -> dict[str, float]:
    """AUROC of faults against healthy ones over all groups, and within each; of classes, each against the others."""
    truth, count = known["truth"].to_numpy(np.int64), told.chances.shape[1]
    within = [auroc(told.fault[at], truth[at] > 0) for at in known.groupby("group").indices.values()]
    answered = told.answer >= 0
    return {
        "auroc": auroc(told.fault, truth > 0),
        "auroc_within": float(np.nanmean(within)),
        "auroc_of_classes": float(np.mean([auroc(told.chances[:, k], truth == k) for k in range(count)])),
        "macro_f1": macro_f1(told.answer, truth, count),
        "unknown": float(np.mean(~answered)),
        "wrong": float(np.mean(answered & (told.answer != truth))),
    }


def auroc(said: Floats, true: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve of (N,), by ranks (Mann and Whitney, 1947); NaN where all are alike."""
    count = int(true.sum())
    if not 0 < count < len(true):
        return float("nan")
    return float((rankdata(said)[true].mean() - (count + 1) / 2) / (len(true) - count))


def _gain(known: pd.DataFrame, served: Sequence[Told], floor: Sequence[Told]) -> list[float]:
    """Return 95 % of what macro-F1 over the windows is above a floor's, by groups drawn anew; of first seeds."""
    truth, count = known["truth"].to_numpy(np.int64), served[0].chances.shape[1]

    def gain(at: Classes) -> float:
        own, other = (macro_f1(one[0].answer[at], truth[at], count) for one in (served, floor))
        return own - other

    return [round(one, 4) for one in bootstrap(gain, known["group"].to_numpy(np.str_), seed=1)]


def _counts(truth: Classes, answer: Classes, count: int) -> list[list[int]]:
    """Return how many records of each class (row) got each answer (column), the last of which is unknown."""
    found = np.zeros((count, count + 1), np.int64)
    np.add.at(found, (truth, np.where(answer < 0, count, answer)), 1)
    return found.tolist()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SETS, []], help="sets; both by default")
    with exit_on_error():
        main(parser.parse_args().names or list(SETS))
