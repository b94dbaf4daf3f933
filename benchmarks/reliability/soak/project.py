"""A project of untrained networks, each twin in two versions that take turns as its champion, and its service."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import save_bundle, verify
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.project.entrypoint import TELEMETRY_OFF
from foretwin.project.paths import Paths
from foretwin.serving.access.keys import KeyRequest, keys_path, make_key
from foretwin.twin.simulator.processes import Process, free_port, listens, wait_for

RATE = 1e6  # calls per second that the key allows: what is measured here is the service's own limit
VERSIONS = (1, 2)

Save = Callable[[Path, Twin, int], str]  # an empty folder, a contract and a seed -> a bundle, and its digest


@dataclass(frozen=True)
class Running:
    """A service that answers: its process, where it listens, and the headers that it wants."""

    process: Process
    port: int
    headers: Mapping[str, str]


def make_project(root: Path, contracts: Sequence[Twin], save: Save) -> None:
    """A project's folder with version 1 of each twin as its champion, and version 2 beside it."""
    for contract in contracts:
        (root / "data" / contract.name).mkdir(parents=True)
        (root / "data" / contract.name / "twin.yaml").write_text(contract.model_dump_json())
        for version in VERSIONS:
            folder = bundle_folder(root, contract.name, version)
            folder.mkdir(parents=True)
            save(folder, contract, version)
        keep(root, contract.name, VERSIONS[0])


def bundle_folder(root: Path, twin: str, version: int) -> Path:
    """Where a version's bundle lies that may become champion."""
    return root / "trained" / twin / str(version) / "bundle"  # the registry asks for this name


def keep(root: Path, twin: str, version: int) -> None:
    """Let this version be the champion that the project's folder keeps."""
    folder = bundle_folder(root, twin, version)
    identity = ModelIdentity(f"foretwin-{twin}", str(version), f"run-{version}", verify(folder))
    keep_champion(Paths(root, twin), folder, identity)


def register(root: Path, twin: str) -> None:
    """Both versions in the project's registry, whose alias names the first."""
    from foretwin.registry.tracking_store import connect_mlflow, experiment, new_run
    from foretwin.registry.versions import register as register_bundle
    from foretwin.registry.versions import set_champion

    client = connect_mlflow(root)
    for version in VERSIONS:
        with new_run(client, experiment(client, root, twin), f"version {version}", {}) as run:
            register_bundle(Paths(root, twin), run, bundle_folder(root, twin, version), version)
    set_champion(root, twin, str(VERSIONS[0]))


def save_untrained(folder: Path, contract: Twin, seed: int) -> str:
    """A bundle of the size of a trained one: its network has the weights that it would begin its training with."""
    import torch

    from foretwin.training.encoders import Shape
    from foretwin.training.network import Network, Scaling
    from foretwin.training.onnx import to_onnx

    low, high = (np.array([getattr(c, end) for c in contract.channels.values()]) for end in ("min", "max"))
    middle, spread = (low + high) / 2, (high - low) / 4
    scaling = Scaling((), ((),), (), (tuple(middle.tolist()),), (tuple(spread.tolist()),), 100.0)
    length, classes = contract.window.length, tuple(len(contract.classes(axis)) for axis in contract.axes)
    torch.manual_seed(seed)
    shape = Shape("statistics", 128, 1, 0.1, 0.4, length, length, 0, has_rul=contract.rul is not None, classes=classes)
    networks = [Network(scaling, shape).eval() for _ in range(3)]
    regime = RegimeCentres((), np.zeros((1, 0), np.float32), np.zeros(0, np.float32))
    reference = HealthyBaseline(
        np.stack([low, high]).astype(np.float32), regime, middle[None, None].astype(np.float32), 50.0
    )
    calibration = RulIntervals(0.9, (50.0,), (10.0,), (10.0,)) if contract.rul else None
    faults = {axis: FaultCalibration(1.0, 0.5, 0.9) for axis in contract.axes}
    return save_bundle(folder, contract, to_onnx(networks, contract), calibration, reference, faults)


@contextmanager
def served(root: Path, **settings: str) -> Iterator[Running]:
    """The project's service on loopback, ready, with a key that may ask it anything; ended with the block."""
    wanted = KeyRequest("soak", ("score", "read"), RATE)
    token = make_key(keys_path(root, {}), wanted, "soak", datetime.now(UTC))
    port, log = free_port(), root / "service.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETWIN_", "MLFLOW_"))}
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    place = {"FORETWIN_PROJECT": str(root), "FORETWIN_PORT": str(port)}
    environment = kept | TELEMETRY_OFF | single | place | settings
    with log.open("wb") as out:
        command = [sys.executable, "-m", "foretwin.serving"]
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=root, env=environment)
    try:
        wait_for(lambda: listens(port) or process.poll() is not None, f"service on port {port}: see {log}")
        if process.poll() is not None:
            raise AssertionError(f"the service did not start:\n{log.read_text()}")
        yield Running(process, port, {"Authorization": f"Bearer {token}"})
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def following(root: Path) -> Iterator[None]:
    """`foretwin follow` beside the service, which brings what the registry's alias names."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETWIN_", "MLFLOW_"))}
    with (root / "follow.log").open("wb") as out:
        command = [sys.executable, "-m", "foretwin.cli", "follow", "--every", "1"]
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=root, env=kept | TELEMETRY_OFF)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
