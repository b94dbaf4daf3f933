"""`foretwin benchmark`: the protocol of docs/benchmarks.md for one twin, from its raw archive to one JSON file.

The DVC stages up to `tune` make the folds and the choice of hyper-parameters, so the benchmark measures the models that
`dvc repro` trains. The choice goes to reports/benchmarks/<twin>.choice.json, every seed's model is trained and
calibrated, and only then is the file with the held-out assets opened, once.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.table import read_rows
from foretwin.dataset.windows import Histories, Windows, last_rows
from foretwin.errors import TrainingError
from foretwin.evaluation import baselines
from foretwin.evaluation.candidates import load_candidates, read_blend_record
from foretwin.evaluation.held_out import Truth, along_run, figures, figures_of, predicted_class
from foretwin.evaluation.plots import draw_all
from foretwin.evaluation.resampling import bootstrap, by_band, majority, over_seeds
from foretwin.metrics import coverage, macro_f1, rmse
from foretwin.physics import pump_prognosis
from foretwin.predictor.bundle import Bundle
from foretwin.project.chain import dvc, stage
from foretwin.project.digests import file_digests
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.params import Params, add_twins, load_params
from foretwin.project.paths import Paths
from foretwin.training.candidates.trained import Trained, train_networks, train_others
from foretwin.training.ensemble import (
    Member,
    describe_member,
    environment,
    git_state,
    inputs_digest,
    save_ensemble,
    train_members,
)
from foretwin.training.trainer import Choice
from foretwin.training.tuning import encoder_choices

FOLDER = Path("reports") / "benchmarks"
SEEN = ("development.parquet", "splits.json")  # inputs of tuning, training and calibration


@dataclass(frozen=True)
class BenchmarkPlan:
    """Plan of a benchmark: everything fixed before a held-out label is read."""

    paths: Paths
    contract: Twin
    params: Params
    choices: dict[str, Choice]  # of each network among the candidates
    development: Development

    @cached_property
    def work(self) -> Path:
        """Return the checkpoint folder of this plan, the same for any seeds."""
        digests = file_digests(self.paths.windows)
        train = self.params.train.model_copy(update={"seeds": [0]})
        chosen = [choice.model_dump_json() for choice in self.choices.values()]
        settings = (self.contract.model_dump_json(), *chosen, train.model_dump_json())
        key = inputs_digest({name: digests[name] for name in SEEN}, *settings, self.params.prepare.model_dump_json())
        return self.paths.work / f"benchmark-{key}"

    @property
    def choice(self) -> Choice:
        """Return the choice of the network whose members are measured alone."""
        return self.choices.get("network") or next(iter(self.choices.values()))

    def train(self) -> Iterator[tuple[str, Member]]:
        """Train the networks; yield the name and the member of each. Those trained before an interruption are kept."""
        return train_networks(self.development, self.contract, self.choices, self.params.train, self.work)


def run(root: Path, twin: str, seeds: Sequence[int]) -> Path:
    """Write reports/benchmarks/<twin>.json, and its plots in a folder next to it; return the file.

    A twin that params.yaml does not list yet is added. Members trained before an interruption are kept.
    """
    paths = Paths(root, twin)
    paths.load_contract()
    add_twins(paths.params, [twin])
    _tune(root, twin)
    plan = make_plan(paths, seeds)
    folder = root / FOLDER
    decided = {
        "twin": twin,
        "choice": plan.choice.model_dump(),
        "params": plan.params.model_dump(include={"prepare", "tune", "train"}),
        "contract": plan.contract.digest,
        "data": {name: digest for name, digest in file_digests(paths.windows).items() if name in SEEN},
    }
    with fresh_file(folder / f"{twin}.choice.json") as out:
        out.write_text(strict_json(decided, indent=1) + "\n")
    networks: dict[str, list[Member]] = {name: [] for name in plan.choices}
    for name, member in plan.train():
        told = f"{twin}: {name}, " if len(networks) > 1 else f"{twin}: "
        Console().print(f"{told}{describe_member(member, plan.contract)}", highlight=False, soft_wrap=True)
        networks[name].append(member)
    trained = Trained(networks, train_others(plan.development, plan.contract, plan.choices, plan.params.train))
    report = decided | {
        "raw": file_digests(paths.raw),
        "git": git_state(root),
        "environment": environment() | {"cores": str(os.cpu_count())},
        **measure_plan(plan, trained, folder / twin),
    }
    with fresh_file(folder / f"{twin}.json") as out:
        out.write_text(strict_json(report, indent=1) + "\n")
    return folder / f"{twin}.json"


def make_plan(paths: Paths, seeds: Sequence[int]) -> BenchmarkPlan:
    """Read the outputs of the stages up to `tune`."""
    contract, params = paths.load_contract(), load_params(paths.params, paths.twin)
    train = params.train.model_copy(update={"seeds": list(seeds)})
    record = json.loads((paths.models / "tuning.json").read_text())
    choices = encoder_choices(record, params.train.candidates or ("network",))
    development = Development.load(paths.windows, contract, params.prepare)
    return BenchmarkPlan(paths, contract, params.model_copy(update={"train": train}), choices, development)


def measure_plan(plan: BenchmarkPlan, trained: Trained, pictures: Path) -> dict[str, Any]:
    """Open the held-out assets and measure every seed's model, the ensemble of all, their parts, and the baselines."""
    contract, seeds = plan.contract, plan.params.train.seeds
    models = [_model(plan, trained.of_seeds([seed]), f"seed-{seed}") for seed in seeds]
    ensemble = _model(plan, trained, "ensemble") if len(seeds) > 1 else models[0]
    members = trained.networks[trained.first]
    single = [_network(plan, [member], "network") for member in members]
    ageless = _without_age(plan)

    rows = read_rows(plan.paths.windows / "test.parquet", contract)
    truth, scores = Truth.of(rows, contract), ensemble.score(rows)
    together = figures_of(ensemble, scores, truth)
    rul = scores["rul"].to_numpy() if contract.rul else None
    found = [figures_of(model, model.score(rows), truth) for model in models]
    with fresh(pictures) as out:
        example = along_run(ensemble, read_rows(plan.paths.windows / "example.parquet", contract))
        draw_all(contract, scores, truth, example, out)
    per_seed = [
        {"seed": seed, "bundle": model.digest, "seconds": trained.of_seeds([seed]).seconds, **result}
        for seed, model, result in zip(seeds, models, found, strict=True)
    ]
    result = {
        "unit": contract.clock.unit,
        "assets": int(_assets(scores).nunique()),
        "cuts": len(scores),
        "seeds": per_seed,
        **over_seeds(found, together),
        "bootstrap": _bootstrap(contract, scores, truth),
        "bands": _bands(contract, truth, rul, _classes(scores, contract)),
        "single_network": over_seeds([figures_of(one, one.score(rows), truth) for one in single], together),
        "baselines": _baselines(plan, rows, truth),
        **_parts(plan, rows, truth),
    }
    if ageless is not None:
        result["without_age"] = figures_of(ageless, ageless.score(rows), truth)
    return result


def _tune(root: Path, twin: str) -> None:
    """Run the stages up to `tune`; DVC skips those that are up to date."""
    if dvc(root, "repro", "--quiet", stage(twin, "tune"), shown=True).returncode:
        raise TrainingError(f"{twin}: the stages before training failed; `dvc repro {stage(twin, 'tune')}` shows where")


def _model(plan: BenchmarkPlan, trained: Trained, name: str) -> Bundle:
    """Save the model that `dvc repro` would make of what was trained, with its parts beside it, and load it."""
    with fresh(plan.work / name) as out, fresh(plan.work / f"{name}-parts") as parts:
        trained.save(plan.development, plan.contract, plan.params.train, out, parts)
    return Bundle.load(plan.work / name)


def _parts(plan: BenchmarkPlan, rows: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    """Measure each candidate of a blend, equally bagged, and tell the ensemble's weights; empty without a blend."""
    seeds = plan.params.train.seeds
    of_seeds = [plan.work / f"seed-{seed}-parts" for seed in seeds]
    whole = plan.work / "ensemble-parts" if len(seeds) > 1 else of_seeds[0]
    together = load_candidates(whole)
    if not together:
        return {}
    each = [load_candidates(folder) for folder in of_seeds]
    candidates = {
        name: over_seeds(
            [figures_of(one[name], one[name].score(rows), truth) for one in each],
            figures_of(ensemble, ensemble.score(rows), truth),
        )
        for name, ensemble in together.items()
    }
    record = read_blend_record(whole)
    return {"candidates": candidates, "blend": {name: record[name] for name in ("weights", "power")}}


def _network(plan: BenchmarkPlan, members: Sequence[Member], name: str) -> Bundle:
    """Save the members of the network alone as a bundle and load it."""
    with fresh(plan.work / name) as out:
        save_ensemble(list(members), plan.development, plan.contract, plan.params.train, out)
    return Bundle.load(plan.work / name)


def _without_age(plan: BenchmarkPlan) -> Bundle | None:
    """Train the first seed's model without the age as an input; None where age is not an input."""
    clock = plan.contract.clock
    if not clock.counts_from_start:
        return None
    contract = plan.contract.model_copy(update={"clock": clock.model_copy(update={"counts_from_start": False})})
    train = plan.params.train.model_copy(update={"seeds": plan.params.train.seeds[:1]})
    ageless = BenchmarkPlan(
        plan.paths, contract, plan.params.model_copy(update={"train": train}), plan.choices, plan.development
    )
    members = list(train_members(ageless.development, contract, ageless.choice, train, ageless.work))
    return _network(ageless, members, "without-age")


def _baselines(plan: BenchmarkPlan, rows: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    """Measure each baseline under the same seeds, and the mean (RUL) or the vote (faults) of all seeds."""
    contract, seeds = plan.contract, plan.params.train.seeds
    windows = Histories.from_rows(rows, contract).cut(last_rows(rows), contract.window.length)
    fitted = [baselines.fit_baselines(plan.development, windows, contract, seed) for seed in seeds]
    result = {}
    for name in fitted[0]:
        runs = [one[name] for one in fitted]
        rul = np.mean([one.rul for one in runs if one.rul is not None], axis=0) if contract.rul else None
        faults = [majority([one.faults[i] for one in runs]) for i in range(len(contract.axes))]
        per_seed = [figures(contract, truth, one.rul, one.faults) for one in runs]
        classes = dict(zip(contract.axes, faults, strict=True))
        result[name] = {
            **over_seeds(per_seed, figures(contract, truth, rul, faults)),
            "bands": _bands(contract, truth, rul, classes),
            "seconds": round(float(np.mean([one.seconds for one in runs])), 1),
        }
    if pump_prognosis.knows(contract):
        result["physics_known"] = _physics(plan, windows, truth)
    return result


def _physics(plan: BenchmarkPlan, windows: Windows, truth: Truth) -> dict[str, Any]:
    """Measure the physics-based prognosis of the pump, with the first seed."""
    contract, train = plan.contract, plan.params.train
    predicted = pump_prognosis.predict_with_physics(plan.development, windows, contract, train.seeds[0], train.level)
    rul, low, high = predicted
    found = figures(contract.model_copy(update={"faults": {}}), truth, rul, [])  # it predicts no faults
    result = over_seeds([found], found)
    capped = np.minimum(truth.rul, contract.rul.cap if contract.rul else np.inf)
    covered = {"coverage": coverage(low, high, capped), "width": float(np.mean(high - low))}
    result["rul"]["interval"] = {"level": train.level, **covered}
    return result | {"bands": _bands(contract, truth, rul, {})}


def _bootstrap(contract: Twin, scores: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    """Compute 95 % bootstrap intervals of the ensemble's figures over the held-out assets."""
    assets = _assets(scores).to_numpy()
    result: dict[str, Any] = {}
    if contract.rul:
        rul, capped = scores["rul"].to_numpy(), np.minimum(truth.rul, contract.rul.cap)
        result["rmse"] = bootstrap(lambda chosen: rmse(rul[chosen], capped[chosen]), assets, seed=1)
    for axis, predicted in _classes(scores, contract).items():
        true, count = truth.faults[axis], len(contract.classes(axis))

        def f1(
            chosen: NDArray[np.int64],
            predicted: NDArray[np.int64] = predicted,
            true: NDArray[np.int64] = true,
            count: int = count,
        ) -> float:
            return macro_f1(predicted[chosen], true[chosen], count)

        result[axis] = bootstrap(f1, assets, seed=1)
    return result


def _bands(
    contract: Twin, truth: Truth, rul: NDArray[np.float64] | None, classes: dict[str, NDArray[np.int64]]
) -> dict[str, Any]:
    """Compute figures by band of true RUL; empty without an RUL."""
    if contract.rul is None:
        return {}
    faults = {axis: (found, truth.faults[axis], len(contract.classes(axis))) for axis, found in classes.items()}
    return by_band(truth.rul, contract.rul.cap, rul, faults)


def _classes(scores: pd.DataFrame, contract: Twin) -> dict[str, NDArray[np.int64]]:
    return {axis: predicted_class(scores, contract, axis) for axis in contract.axes}


def _assets(scores: pd.DataFrame) -> "pd.Series[str]":
    """Return the asset of each truncated history."""
    return scores["asset"].str.rpartition("@")[0]
