"""Run independent tasks at once: in joblib's processes, or on the Ray cluster that FORETWIN_RAY names."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed

from foretwin.errors import ParamsError, TrainingError
from foretwin.project.entrypoint import KERNELS, switch_telemetry_off
from foretwin.project.settings import read_setting

Task = TypeVar("Task")
Result = TypeVar("Result")

CONNECTING = 5.0  # seconds
JOINING = 60.0  # seconds
QUIET = {"logging_level": "ERROR", "log_to_driver": False}
ADDRESS = re.compile(r"(?:ray://)?(?P<host>[\w.-]+):(?P<port>\d{1,5})")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_tasks(call: Callable[[Task], Result], tasks: Sequence[Task], alone: bool) -> Iterator[Result]:
    """Yield `call(task)` of each task, in order; as many at once as there are cores, one by one if `alone`.

    `call` must be a module's function, or a `partial` of it: processes and hosts get it pickled.
    ParamsError where FORETWIN_RAY names no cluster that can be reached, TrainingError where it is lost.
    """
    address = read_setting("FORETWIN_RAY")
    if not address or alone:
        yield from Parallel(n_jobs=1 if alone else -1, return_as="generator")(delayed(call)(task) for task in tasks)
    else:
        yield from _on_cluster(address, call, tasks)


def _on_cluster(address: str, call: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    ray = _joined(address)
    try:
        # A mapped array would be copied into each worker: as a plain one, the workers of a host read the same copy.
        ray.util.register_serializer(np.memmap, serializer=np.asarray, deserializer=np.asarray)
        shared = ray.put(call)
        remote = ray.remote(num_cpus=1, runtime_env={"env_vars": worker_variables(os.environ)})(_called)
        for waiting in [remote.remote(shared, task) for task in tasks]:
            yield ray.get(waiting)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None  # as in this process, not with Ray's traceback for a text
    except ray.exceptions.RayError as error:
        raise TrainingError(f"FORETWIN_RAY: {address} failed ({type(error).__name__}); run again to resume") from error
    finally:
        ray.shutdown()  # ends what still runs


def _called(call: Callable[[Task], Result], task: Task) -> Result:
    return call(task)


def worker_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables with which a worker computes the same bits as a process of joblib on this machine."""
    pinned = {name: environ[name] for name in KERNELS if name in environ}
    return pinned | {name: environ.get(name, "1") for name in THREADS} | {"CUDA_VISIBLE_DEVICES": ""}


def _joined(address: str) -> Any:
    """Connect to the cluster, and return Ray; ParamsError where it cannot be reached."""
    remote = ADDRESS.fullmatch(address)
    if remote is None and address not in ("auto", "local"):
        raise ParamsError(f'FORETWIN_RAY: is "{address[:60]}"; give auto, local, ray://HOST:PORT or HOST:PORT')
    switch_telemetry_off()
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        if remote:  # of a port where nothing listens Ray asks for minutes
            socket.create_connection((remote["host"], int(remote["port"])), CONNECTING).close()
        import ray

        if address != "local":
            _try_to_join(address)
        ray.init(address, **QUIET, **options)
    except ModuleNotFoundError as error:
        raise ParamsError(f"FORETWIN_RAY: {error.name} is not installed; `pip install 'foretwin[ray]'`") from None
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0].partition(". ")[0].rstrip(".")
        advice = "start it, or unset the variable"
        raise ParamsError(f"FORETWIN_RAY: no cluster at {address}: {reason}; {advice}") from error
    return ray


def _try_to_join(address: str) -> None:
    """Join and leave the cluster in a process of its own: if it does not answer, Ray waits for minutes, or exits."""
    script = f"import sys, ray\ntry: ray.init(sys.argv[1], **{QUIET})\nexcept Exception as error: sys.exit(str(error))"
    try:
        tried = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, address],
            timeout=JOINING,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no answer within {JOINING:.0f} s") from None
    if tried.returncode:
        raise ConnectionError(tried.stderr)
