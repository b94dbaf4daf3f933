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
from foretwin.dataset.labels.taught import load_taught
from foretwin.dataset.splits import Development
from foretwin.dataset.table import read_rows
from foretwin.errors import TrainingError
from foretwin.evaluation.benchmark.peers import Questions, band_figures, classes_of, measure_baselines, measure_parts
from foretwin.evaluation.candidates import compare_models
from foretwin.evaluation.held_out import HeldOut, Truth, along_run, figures_of, predictions_of
from foretwin.evaluation.plots import draw_all
from foretwin.evaluation.report import SERVED
from foretwin.evaluation.resampling import bootstrap, over_seeds
from foretwin.metrics import macro_f1, rmse
from foretwin.predictor.bundle import Bundle
from foretwin.project.chain import copy_chain, dvc, stage
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
    paths, git = Paths(root, twin), git_state(root)  # before the list of twins changes
    paths.load_contract()
    add_twins(paths.params, [twin])
    copy_chain(root, twin)
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
        "git": git,
        "environment": environment() | {"cores": str(os.cpu_count())},
        **measure_plan(plan, trained, folder / twin),
    }
    with fresh_file(folder / f"{twin}.json") as out:
        out.write_text(strict_json(report, indent=1) + "\n")
    return folder / f"{twin}.json"


def make_plan(paths: Paths, seeds: Sequence[int]) -> BenchmarkPlan:
    """Read the outputs of the stages up to `tune`."""
    contract, params = load_taught(paths), load_params(paths.params, paths.twin)
    train = params.train.model_copy(update={"seeds": list(seeds)})
    record = json.loads((paths.models / "tuning.json").read_text())
    choices = encoder_choices(record, params.train.candidates or ("network",))
    development = Development.load(paths.windows, contract, params.prepare)
    return BenchmarkPlan(paths, contract, params.model_copy(update={"train": train}), choices, development)


def measure_plan(plan: BenchmarkPlan, trained: Trained, pictures: Path) -> dict[str, Any]:
    """Open the held-out assets and measure every seed's model, the ensemble of all, their parts, and the baselines."""
    contract, seeds = plan.contract, plan.params.train.seeds
    models = [served_model(plan, trained.of_seeds([seed]), f"seed-{seed}") for seed in seeds]
    ensemble = served_model(plan, trained, "ensemble") if len(seeds) > 1 else models[0]
    members = trained.networks[trained.first]
    single = [_network(plan, [member], "network") for member in members]
    ageless = _without_age(plan)

    rows = read_rows(plan.paths.windows / "test.parquet", contract)
    truth, scores = Truth.of(rows, contract), ensemble.score(rows)
    served, asked = predictions_of(ensemble, scores), Questions(contract, rows, truth)
    parts = [plan.work / f"seed-{seed}-parts" for seed in seeds]
    peers = measure_parts(asked, parts, plan.work / "ensemble-parts" if len(seeds) > 1 else parts[0])
    peers |= measure_baselines(asked, plan.development, seeds, plan.params.train.level)
    together = figures_of(ensemble, scores, truth)
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
        "bands": band_figures(contract, truth, served.rul, served.faults),
        "single_network": over_seeds([figures_of(one, one.score(rows), truth) for one in single], together),
        **peers.figures,
        "comparison": compare_models(contract, HeldOut.of(rows, ensemble), {SERVED: served} | peers.said),
    }
    if ageless is not None:
        result["without_age"] = figures_of(ageless, ageless.score(rows), truth)
    return result


def _tune(root: Path, twin: str) -> None:
    """Run the stages up to `tune`; DVC skips those that are up to date."""
    if dvc(root, "repro", "--quiet", stage(twin, "tune"), shown=True).returncode:
        raise TrainingError(f"{twin}: the stages before training failed; `dvc repro {stage(twin, 'tune')}` shows where")


def served_model(plan: BenchmarkPlan, trained: Trained, name: str) -> Bundle:
    """Save the model that `dvc repro` would make of what was trained, with its parts beside it, and load it.

    One of several seeds is so many models, and its graph may be as many times as large.
    """
    train, seeds = plan.params.train, {member.seed for member in trained.networks[trained.first]}
    params = train.model_copy(update={"blend_mb": train.blend_mb * len(seeds)})
    with fresh(plan.work / name) as out, fresh(plan.work / f"{name}-parts") as parts:
        trained.save(plan.development, plan.contract, params, out, parts)
    return Bundle.load(plan.work / name)


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


def _bootstrap(contract: Twin, scores: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    """Compute 95 % bootstrap intervals of the ensemble's figures over the held-out assets."""
    assets = _assets(scores).to_numpy()
    result: dict[str, Any] = {}
    if contract.rul:
        rul, capped = scores["rul"].to_numpy(), np.minimum(truth.rul, contract.rul.cap)
        result["rmse"] = bootstrap(lambda chosen: rmse(rul[chosen], capped[chosen]), assets, seed=1)
    for axis, predicted in classes_of(scores, contract).items():
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


def _assets(scores: pd.DataFrame) -> "pd.Series[str]":
    """Return the asset of each truncated history."""
    return scores["asset"].str.rpartition("@")[0]
