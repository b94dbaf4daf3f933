"""Train the ensemble: one member per fold, each calibrated on the fold it has not seen, saved as one bundle."""

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from foretwin.bundle import save_bundle
from foretwin.calibration import Calibration
from foretwin.config import TrainParams
from foretwin.contract import Twin
from foretwin.errors import TrainingError
from foretwin.export import to_onnx
from foretwin.metrics import rmse
from foretwin.network import Network
from foretwin.splits import Development, Split
from foretwin.training import Budget, Choice, fit


@dataclass(frozen=True)
class Member:
    """One trained member and what it says of its held-out fold."""

    network: Network
    fold: int
    seconds: float
    curves: list[dict[str, float]]
    predicted: NDArray[np.float64]  # (N,) RUL at the fold's cuts, within 0 and the cap; empty without an RUL
    truth: NDArray[np.float64]  # (N,) capped


def train_members(
    development: Development, contract: Twin, choice: Choice, params: TrainParams, work: Path
) -> Iterator[Member]:
    """One trained member per fold, in order.

    Each one's checkpoints stay under `work`, so that an interrupted training goes on where it stopped. `work` must be
    named after everything that the result depends on.
    """
    for fold in development.folds:
        split = development.hold_out(fold)
        begin = time.perf_counter()
        budget = Budget(params.windows, params.batch, params.seed + fold)
        network, curves = fit(split, contract, choice, budget, work / f"fold-{fold}")
        seconds = time.perf_counter() - begin
        yield Member(network, fold, seconds, curves, *_held_out_rul(network, split, contract))


def save_ensemble(
    members: list[Member], development: Development, contract: Twin, params: TrainParams, out: Path
) -> dict[str, Any]:
    """Calibrate on what the members said of their held-out folds, write the bundle into the empty folder `out`.

    Returns the record of training.
    """
    calibration = None
    if contract.rul:
        predicted = np.concatenate([member.predicted for member in members])
        truth = np.concatenate([member.truth for member in members])
        if len(truth) == 0:
            raise TrainingError(f"{contract.name}: no held-out cut has a known RUL to calibrate on; label more runs")
        calibration = Calibration.fit(predicted, truth, params.level)
    values = development.histories.values
    ranges = {
        name: (float(values[:, i].min()), float(values[:, i].max())) for i, name in enumerate(contract.channel_names)
    }
    onnx = to_onnx([member.network for member in members], contract)
    digest = save_bundle(out, contract, onnx, calibration, ranges)
    return {
        "twin": contract.name,
        "params": params.model_dump(),
        "members": [{"fold": m.fold, "seconds": round(m.seconds, 1), "curves": m.curves} for m in members],
        "contract": contract.digest,
        "bundle": digest,
        "seconds": round(sum(member.seconds for member in members), 1),
    }


def inputs_digest(files: dict[str, str], *parts: str) -> str:
    """A short name for everything that training depends on."""
    return hashlib.sha256(json.dumps([files, parts], sort_keys=True).encode()).hexdigest()[:16]


def file_digests(folder: Path) -> dict[str, str]:
    """name -> SHA-256 of each file of a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def environment() -> dict[str, str]:
    """What the figures may depend on beside code and data."""
    packages = {name: version(name) for name in ("torch", "lightning", "numpy", "onnxruntime", "scikit-learn")}
    return {"python": platform.python_version(), "machine": platform.machine(), **packages}


def git_state(root: Path) -> dict[str, Any]:
    """The commit that is checked out, and whether the work tree differs from it; empty outside git."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": "", "dirty": True}


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def _held_out_rul(network: Network, split: Split, contract: Twin) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predicted and true RUL at the held-out cuts whose truth is known, both capped."""
    if contract.rul is None:
        return np.empty(0), np.empty(0)
    ends = split.held_out[~np.isnan(split.histories.rul[split.held_out])]
    windows = split.histories.cut(ends, contract.window.length)
    with torch.inference_mode():
        inputs = (torch.from_numpy(part) for part in (windows.x, windows.mask, windows.age))
        predicted = network(*inputs).rul.double().numpy() * contract.rul.cap
    return predicted.clip(0, contract.rul.cap), np.minimum(windows.rul.astype(np.float64), contract.rul.cap)


def describe(member: Member, contract: Twin) -> str:
    """What the member achieved on its held-out fold, in one line."""
    last = member.curves[-1]
    figures = [f"loss {last['val/loss']:.3f}"]
    if contract.rul:
        figures.append(f"RMSE {rmse(member.predicted, member.truth):.1f} {contract.clock.unit}")
    figures += [f"{axis} macro-F1 {last[f'val/macro_f1_{i}']:.2f}" for i, axis in enumerate(contract.axes)]
    return f"fold {member.fold} held out: {', '.join(figures)} ({member.seconds:.0f} s)"
