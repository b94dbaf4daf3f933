"""Train on a cluster of Ray, and lose one of its two hosts meanwhile: the bundle must be that of this machine alone.

    python -m benchmarks.reliability.ray_cluster

Each host is a Ray node of its own on loopback with one core. A table of synthetic machines goes through the stage
`train` in processes of this machine, then on the cluster by each form of its address, then once more while one node is
killed as soon as the first checkpoint is there. Writes reports/ray.json.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.speed.training_memory import PARAMS, write_project
from foretwin.predictor.bundle import verify
from foretwin.project.entrypoint import KERNELS, TELEMETRY_OFF, exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.twin.simulator.processes import free_port, listens, wait_for

ROWS = 24_000  # so that classical candidates are worth a process
WINDOWS = 51_200  # and so are networks: of each of four members
CANDIDATES = ("network", "linear", "extra_trees")
NODES = 2
PATIENCE = 120.0  # seconds
SCRIPTS = Path("pipelines").resolve()
REPORT = Path("reports/ray.json")


def begun_project(root: Path) -> Paths:
    """Write a project of synthetic machines that is ready for the stage `train`."""
    write_project(root, ROWS)
    (root / "params.yaml").write_text(
        PARAMS.replace(
            "train: {windows: 2048", f"train: {{candidates: [{', '.join(CANDIDATES)}], windows: {WINDOWS}"
        ).replace("seeds: [1]", "seeds: [1, 2]")
    )
    for stage in ("prepare", "tune"):
        begin_stage(root, stage, "").wait()
    return Paths(root, "bench")


def begin_stage(root: Path, stage: str, address: str) -> subprocess.Popen[bytes]:
    """Start a stage in the project; FORETWIN_RAY is `address` where there is one."""
    told = {**os.environ, **KERNELS, **TELEMETRY_OFF, "CI": "1", "PYTHONPATH": str(SCRIPTS.parent)}
    told |= {"FORETWIN_RAY": address} if address else {}
    with (root / "log.txt").open("ab") as log:
        return subprocess.Popen([sys.executable, str(SCRIPTS / f"{stage}.py"), "bench"], cwd=root, env=told, stderr=log)


def trained(paths: Paths, address: str, meanwhile: Callable[[Path], None] = lambda _: None) -> tuple[str, float]:
    """Train from the beginning; return the bundle's digest and the seconds that it took."""
    shutil.rmtree(paths.models / "bundle", ignore_errors=True)
    begin = time.monotonic()
    root = paths.params.parent
    stage = begin_stage(root, "train", address)
    meanwhile(paths.work)
    if stage.wait():
        raise AssertionError(f"train failed: {(root / 'log.txt').read_text()[-2000:]}")
    return verify(paths.models / "bundle"), round(time.monotonic() - begin, 1)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[dict[str, str], subprocess.Popen[bytes]]]:
    """Start a head and another node; give the addresses by their form, and the other node's process."""
    port, client = free_port(), free_port()
    head = f"127.0.0.1:{port}"
    started = [_node(folder, "--head", f"--port={port}", f"--ray-client-server-port={client}")]
    try:
        wait_for(lambda: listens(port) and listens(client), "the head of the cluster", PATIENCE)
        started += [_node(folder, f"--address={head}") for _ in range(NODES - 1)]
        wait_for(lambda: _has_nodes(head), f"{NODES} nodes at {head}", PATIENCE)
        yield {"HOST:PORT": head, "ray://HOST:PORT": f"ray://127.0.0.1:{client}"}, started[-1]
    finally:
        for node in reversed(started):
            node.terminate()  # ends what it started
            node.wait()


def _node(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block", *options]
    command += ["--num-cpus=1", "--node-ip-address=127.0.0.1", "--disable-usage-stats"]
    command += ["--include-dashboard=false", f"--temp-dir={folder}"] if "--head" in options else []
    with (folder / "nodes.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def _has_nodes(head: str) -> bool:
    script = "import sys, ray; ray.init(sys.argv[1]); sys.exit(len(ray.nodes()) < int(sys.argv[2]))"
    command = [sys.executable, "-c", script, head, str(NODES)]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0


def measure() -> dict[str, Any]:
    """Train here, on the cluster, and on one that loses a node."""
    found: dict[str, Any] = {"nodes": NODES, "members": 4, "candidates": list(CANDIDATES), "trained": {}}
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as nodes:
        paths = begun_project(Path(place))
        expected, found["seconds"] = trained(paths, "")
        found["bundle"] = expected
        with cluster(Path(nodes)) as (addresses, other):
            runs = {form: (address, lambda _: None) for form, address in addresses.items()}
            runs["a node killed meanwhile"] = (addresses["HOST:PORT"], lambda work: _killed(other, work))
            for form, (address, meanwhile) in runs.items():
                digest, seconds = trained(paths, address, meanwhile)
                found["trained"][form] = {"same_bits": digest == expected, "seconds": seconds}
                print(f"{form}: {found['trained'][form]}", flush=True)
    return found


def _killed(node: subprocess.Popen[bytes], work: Path) -> None:
    """Kill a node with all of its processes once a member's first checkpoint is there."""
    wait_for(lambda: any(work.glob("train-*/*/last.ckpt")), "a member's first checkpoint", PATIENCE)
    os.killpg(node.pid, signal.SIGKILL)
    node.wait()


def main() -> None:
    """Write the report; AssertionError where a bundle is another."""
    # A cluster lets everybody run code who reaches its ports, but for this.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    found = measure()
    with fresh_file(REPORT) as out:
        out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    others = [form for form, one in found["trained"].items() if not one["same_bits"]]
    if others:
        raise AssertionError(f"other bits: {', '.join(others)}")


if __name__ == "__main__":
    with exit_on_error():
        main()
