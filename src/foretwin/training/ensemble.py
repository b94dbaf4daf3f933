"""Train the ensemble: one member per seed and fold, calibrated on their held-out folds, saved as one bundle."""

import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development, Split
from foretwin.errors import TrainingError
from foretwin.metrics import rmse
from foretwin.predictor.bundle import save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.project.digests import json_digest
from foretwin.project.entrypoint import show_progress
from foretwin.project.params import TrainParams
from foretwin.training.encoders import segments_of
from foretwin.training.horizon_calibration import fit_failure_chances
from foretwin.training.network import Network, RegimeScaling
from foretwin.training.onnx import to_onnx
from foretwin.training.parallel import run_tasks
from foretwin.training.trainer import Budget, Choice, fit

REACHES = (1.0, 0.75, 0.5)  # look-back per member, varied to decorrelate the members' errors
WORTH_A_PROCESS = 200_000  # windows in all; below it, starting processes takes longer than they save


@dataclass(frozen=True)
class Member:
    """A trained member of the ensemble, with its predictions on its held-out fold."""

    network: Network
    seed: int
    fold: int
    seconds: float
    curves: list[dict[str, float]]
    predicted: NDArray[np.float64]  # (N,) RUL at the fold's cuts, within 0 and the cap; empty without an RUL
    truth: NDArray[np.float64]  # (N,) capped
    probabilities: dict[str, NDArray[np.float32]]  # axis -> (N, K) at all cuts of the fold
    classes: dict[str, NDArray[np.int64]]  # axis -> (N,) -1 = unknown


def train_members(
    development: Development, contract: Twin, choice: Choice, params: TrainParams, work: Path
) -> Iterator[Member]:
    """Train one member per seed and fold, in that order; as many at once as the machine has cores, or one on a GPU.

    Checkpoints of each member stay under `work`, from which an interrupted training resumes. The name of `work` must
    identify everything that the result depends on except the seeds.
    """
    tasks = [(seed, fold) for seed in params.seeds for fold in development.folds]
    alone = torch.cuda.is_available() or len(tasks) * params.windows < WORTH_A_PROCESS
    # Absolute, since workers on a cluster run in folders of their own.
    train = partial(_train_member, development, contract, choice, params, work.absolute())
    members = run_tasks(train, tasks, alone)
    name = f"train {contract.name}"
    yield from track(members, name, total=len(tasks), disable=not show_progress(), transient=True)


def _train_member(
    development: Development, contract: Twin, choice: Choice, params: TrainParams, work: Path, task: tuple[int, int]
) -> Member:
    seed, fold = task
    split = development.hold_out(fold)
    begin = time.perf_counter()
    chance = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    budget = Budget(params.windows, params.batch, chance, look_back(contract, seed, fold))
    folder = work / f"seed-{seed}-fold-{fold}"
    network, curves = fit(split, contract, choice, budget, folder)
    seconds = _spent(folder / "seconds.txt", time.perf_counter() - begin)
    rul, faults = _held_out_rul(network, split, contract), _held_out_faults(network, split, contract)
    return Member(network, seed, fold, seconds, curves, *rul, *faults)


def _spent(record: Path, seconds: float) -> float:
    """Return how long a training took: where it was complete before, and merely read now, what was noted then."""
    if not record.exists():
        record.write_text(f"{seconds:.3f}\n", encoding="utf-8")
    return float(record.read_text(encoding="utf-8"))


def look_back(contract: Twin, seed: int, fold: int) -> float:
    """Return how far the member of a seed and fold looks back, as a share of the window."""
    return 1.0 if segments_of(contract) else REACHES[(seed + fold) % len(REACHES)]


def save_ensemble(
    members: list[Member], development: Development, contract: Twin, params: TrainParams, out: Path
) -> dict[str, Any]:
    """Calibrate on the members' predictions on their held-out folds, write the bundle into the empty folder `out`.

    Returns the record of training.
    """
    calibration = None
    if contract.rul:
        predicted, truth = out_of_fold(members)
        if len(truth) == 0:
            raise TrainingError(f"{contract.name}: no held-out cut has a known RUL to calibrate on; label more runs")
        chances = fit_failure_chances(predicted, development, contract)
        calibration = replace(RulIntervals.fit(predicted, truth, params.level), failure=chances)
    reference = HealthyBaseline.fit(development.recorded, contract, regimes_of(members[0].network))
    onnx = to_onnx([member.network for member in members], contract)
    faults = {
        axis: FaultCalibration.fit(*out_of_fold_faults(members, axis), params.confidence) for axis in contract.axes
    }
    if contract.health is not None:
        said, classes = out_of_fold_faults(members, HEALTH)
        share, opens = alarm_share(contract), contract.cases.open_probability
        faults[HEALTH] = faults[HEALTH].within_budget(said[classes == 0], share, opens)
    digest = save_bundle(out, contract, onnx, calibration, reference, faults)
    return training_record(members, contract, params, digest)


def training_record(members: list[Member], contract: Twin, params: TrainParams, bundle: str) -> dict[str, Any]:
    """Return the record of training; `bundle` is the digest of the bundle that it led to."""
    return {
        "twin": contract.name,
        "params": params.model_dump(),
        "members": [{"seed": m.seed, "fold": m.fold, "curves": m.curves} for m in members],
        "contract": contract.digest,
        "bundle": bundle,
    }


def out_of_fold(members: list[Member]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predicted and true RUL (N,) at the cuts of all folds, averaged over the members that hold the fold out."""
    folds = sorted({member.fold for member in members})
    predicted = [np.mean([m.predicted for m in members if m.fold == fold], axis=0) for fold in folds]
    truth = [next(m.truth for m in members if m.fold == fold) for fold in folds]
    return np.concatenate(predicted), np.concatenate(truth)


def out_of_fold_faults(members: list[Member], axis: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return an axis' probabilities (N, K) and true classes (N,), -1 = unknown; cuts and mean as in `out_of_fold`."""
    folds = sorted({member.fold for member in members})
    probabilities = [np.mean([m.probabilities[axis] for m in members if m.fold == fold], axis=0) for fold in folds]
    classes = [next(m.classes[axis] for m in members if m.fold == fold) for fold in folds]
    return np.concatenate(probabilities), np.concatenate(classes)


def regimes_of(network: torch.nn.Module) -> RegimeCentres:
    """Return the operating regimes of the scaling in a member; other members' differ with their training rows."""
    scaling = cast(RegimeScaling, network.scaling)
    centres, spread = (cast(Tensor, getattr(scaling, name)).float().numpy() for name in ("centres", "spread"))
    return RegimeCentres(tuple(scaling.settings), centres, spread)


def inputs_digest(files: dict[str, str], *parts: str) -> str:
    """Return a short digest of everything that training depends on."""
    return json_digest([files, parts])[:16]


def environment() -> dict[str, str]:
    """Return the versions and machine that figures may depend on, apart from code and data."""
    packages = {name: version(name) for name in ("torch", "lightning", "numpy", "onnxruntime", "scikit-learn")}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, "machine": platform.machine(), **packages}


def git_state(root: Path) -> dict[str, Any]:
    """Return the checked-out commit, and whether the work tree differs from it; empty outside git."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "", "dirty": True}


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def _held_out_rul(network: Network, split: Split, contract: Twin) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predicted and true RUL at the held-out cuts with known truth, both capped."""
    if contract.rul is None:
        return np.empty(0), np.empty(0)
    ends = split.held_out[~np.isnan(split.histories.rul[split.held_out])]
    windows = split.histories.cut(ends, contract.window.length)
    with torch.inference_mode():
        inputs = (torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age))
        predicted = network(*inputs).rul.double().numpy() * contract.rul.cap
    return predicted.clip(0, contract.rul.cap), np.minimum(windows.rul.astype(np.float64), contract.rul.cap)


def _held_out_faults(
    network: Network, split: Split, contract: Twin
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.int64]]]:
    """Return the probabilities (N, K) and true classes (N,) of each axis at all held-out cuts."""
    windows = split.histories.cut(split.held_out, contract.window.length)
    with torch.inference_mode():
        logits = network(*(torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age))).logits
        probabilities = [part.softmax(1).numpy() for part in logits]
    classes = [windows.faults[:, i].astype(np.int64) for i in range(len(contract.axes))]
    return dict(zip(contract.axes, probabilities, strict=True)), dict(zip(contract.axes, classes, strict=True))


def describe_member(member: Member, contract: Twin) -> str:
    """Format the member's figures on its held-out fold, as one line."""
    last = member.curves[-1]
    figures = [f"loss {last['val/loss']:.3f}"]
    if contract.rul:
        figures.append(f"RMSE {rmse(member.predicted, member.truth):.1f} {contract.clock.unit}")
    figures += [f"{axis} macro-F1 {last[f'val/macro_f1_{i}']:.2f}" for i, axis in enumerate(contract.axes)]
    return f"seed {member.seed}, fold {member.fold} held out: {', '.join(figures)} ({member.seconds:.0f} s)"
