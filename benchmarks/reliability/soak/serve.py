"""The scoring service under load while its champions are swapped: no call may fail, and none be answered by the past.

The peak is measured first, by calls that follow one another as fast as they are answered. Then calls come at a share
of it whether they are answered or not, and every so often a twin's champion changes: by the folder that the project
keeps, or by the registry's alias, which `foretwin follow` brings there, in turns.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.reliability.fuzz.json_calls import valid_call
from benchmarks.reliability.fuzz.send import memory_mb
from benchmarks.reliability.soak import load as soak_load
from benchmarks.reliability.soak.project import VERSIONS, Running, following, keep
from foretwin.contract.twin import Twin
from foretwin.registry.versions import set_champion
from foretwin.twin.simulator.processes import Process

CONNECTIONS = 16
SHARE_OF_PEAK = 0.7
PATIENCE = 60  # s until a champion that was put in place answers
WARM_UP, PEAK_SECONDS = 3, 10
GROWTH_MB = 15  # of the median of the last minute over that of the second


@dataclass(frozen=True)
class Load:
    """Calls for so many seconds; `every` is the time between two swaps, s."""

    seconds: float
    every: float
    peak_seconds: float = PEAK_SECONDS


@dataclass
class Swap:
    """A version that took over: put in place at `put`, reported by the service at `seen`, s of the monotonic clock."""

    twin: str
    how: str
    version: int
    put: float
    seen: float = float("inf")


@dataclass
class Course:
    """What was done and seen beside the calls; `memory` holds (time, MB)."""

    swaps: list[Swap] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)

    @property
    def pending(self) -> list[Swap]:
        """Those that the service has not reported yet."""
        return [swap for swap in self.swaps if swap.seen == float("inf")]


def serve(root: Path, service: Running, swapped: Mapping[str, Twin], load: Load) -> dict[str, Any]:
    """The figures of one soak; `complaints` is empty where the service held.

    `swapped` says how the champion of each contract changes: by `folder` or by `alias`.
    """
    contracts = list(swapped.values())
    plan = {"port": service.port, "connections": CONNECTIONS, "calls": calls(contracts, service.headers)}
    run(root, plan | {"seconds": WARM_UP, "rate": None})
    peak = run(root, plan | {"seconds": load.peak_seconds, "rate": None})
    rate = len(peak["done"]) / load.peak_seconds * SHARE_OF_PEAK
    course = Course()
    with following(root) if "alias" in swapped else nullcontext():
        process, out = begin(root, plan | {"seconds": load.seconds, "rate": rate})
        drive(root, service, swapped, load, (course, process))
    if process.wait(PATIENCE):
        raise AssertionError(f"the load ended with code {process.returncode}")
    return report(dict(np.load(out)), peak, course, contracts, load)


def calls(contracts: Sequence[Twin], headers: Mapping[str, str]) -> list[tuple[int, str]]:
    """Requests for one window of each twin in turn, as they are sent, with the twin's place."""
    generator = np.random.default_rng(1)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    found = []
    for _ in range(20):
        for i, contract in enumerate(contracts):
            body = json.dumps(valid_call(contract, generator, most_assets=1))
            length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            found.append((i, f"POST /v1/score HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}{length}\r\n{body}"))
    return found


def begin(root: Path, plan: dict[str, Any]) -> tuple[Process, Path]:
    """The load as a process of its own, and where its figures will be."""
    place, out = root / "plan.json", root / "load.npz"
    place.write_text(json.dumps(plan))
    return subprocess.Popen([sys.executable, soak_load.__file__, str(place), str(out)]), out


def run(root: Path, plan: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """A load from beginning to end."""
    process, out = begin(root, plan)
    if process.wait(plan["seconds"] + PATIENCE):
        raise AssertionError(f"the load ended with code {process.returncode}")
    return dict(np.load(out))


def drive(
    root: Path, service: Running, swapped: Mapping[str, Twin], load: Load, beside: tuple[Course, Process]
) -> None:
    """Swap champions in turns and look at the memory each second until the load has ended."""
    course, process = beside
    now = time.monotonic()
    swap_at, look_at = now + load.every, now
    with httpx.Client(base_url=f"http://127.0.0.1:{service.port}", headers=service.headers, trust_env=False) as client:
        while process.poll() is None:
            if time.monotonic() >= look_at:
                course.memory.append((time.monotonic(), memory_mb(service.process.pid)))
                look_at += 1
            if time.monotonic() >= swap_at:
                swap_at += load.every
                swap(root, swapped, course)
            if course.pending:
                see(client, course)
            time.sleep(0.05)


def swap(root: Path, swapped: Mapping[str, Twin], course: Course) -> None:
    """Put another version of a twin in place, in turns; one whose last swap is still under way is passed over."""
    busy = {swap.twin for swap in course.pending}
    counts = {how: sum(swap.how == how for swap in course.swaps) for how in swapped if swapped[how].name not in busy}
    if not counts:
        return
    how = min(counts, key=lambda name: counts[name])
    twin, version = swapped[how].name, VERSIONS[(counts[how] + 1) % len(VERSIONS)]
    print(f"{twin}: version {version} by {how}", file=sys.stderr)
    course.swaps.append(Swap(twin, how, version, put=time.monotonic()))
    if how == "folder":
        keep(root, twin, version)
    else:
        set_champion(root, twin, str(version))


def see(client: httpx.Client, course: Course) -> None:
    """Note which swaps the service reports; AssertionError where one takes too long."""
    models = client.get("/v1/models").raise_for_status().json()["models"]
    versions = {model["twin"]: model["version"] for model in models}
    for pending in course.pending:
        if versions[pending.twin] == str(pending.version):
            pending.seen = time.monotonic()
        elif time.monotonic() > pending.put + PATIENCE:
            raise AssertionError(f"{pending.twin}: version {pending.version} did not take over within {PATIENCE} s")


def report(
    seen: dict[str, NDArray[Any]], peak: dict[str, NDArray[Any]], course: Course, contracts: Sequence[Twin], load: Load
) -> dict[str, Any]:
    """The figures, and what is wrong with them."""
    failed = int((seen["status"] != 200).sum()) + int((peak["status"] != 200).sum())
    wrong = count_wrong(seen, course.swaps, [contract.name for contract in contracts])
    memory = medians(course.memory, load.seconds)
    figures = {
        "twins": len(contracts),
        "connections": CONNECTIONS,
        "peak_per_second": round(len(peak["done"]) / load.peak_seconds),
        "rate_per_second": round(len(seen["done"]) / load.seconds),
        "seconds": load.seconds,
        "calls": len(seen["done"]),
        "failed": failed,
        "answered by no champion of the moment": wrong,
        "swaps": {how: sum(swap.how == how for swap in course.swaps) for how in sorted({s.how for s in course.swaps})},
        "seconds until a swap is seen": slowest(course),
        "memory_mb": memory,
        "latency_ms by minute": latencies(seen),
    }
    complaints = [f"{failed} calls failed"] if failed else []
    complaints += [f"{wrong} answers were of no champion of their moment"] if wrong else []
    if memory["last"] > memory["second"] + GROWTH_MB:
        complaints.append(f"memory grew: {memory}")
    return figures | {"complaints": complaints}


def slowest(course: Course) -> dict[str, float]:
    """The longest time that a swap of each kind took until the service reported it, s."""
    found = {swap.how: 0.0 for swap in course.swaps}
    for swap in course.swaps:
        if swap not in course.pending:
            found[swap.how] = round(max(found[swap.how], swap.seen - swap.put), 2)
    return found


def count_wrong(seen: dict[str, NDArray[Any]], swaps: Sequence[Swap], twins: Sequence[str]) -> int:
    """Answers by a version that was at no moment of its call a champion of its twin.

    From the moment when a new one is put in place until the service reports it, both are right.
    """
    right = np.zeros(len(seen["done"]), bool)
    answered = seen["status"] == 200
    for i, twin in enumerate(twins):
        its = [swap for swap in swaps if swap.twin == twin]
        versions = [VERSIONS[0], *(swap.version for swap in its)]
        begins = [-np.inf, *(swap.put for swap in its)]
        ends = [*(swap.seen for swap in its), np.inf]
        for version, first, last in zip(versions, begins, ends, strict=True):
            of_it = (seen["twin"] == i) & (seen["version"] == version)
            right |= of_it & (seen["done"] >= first) & (seen["sent"] <= last)
    return int((answered & ~right).sum())


def medians(memory: Sequence[tuple[float, float]], seconds: float) -> dict[str, float]:
    """Median MB in the second and in the last tenth of the time, which are minutes of ten; and the most."""
    begin = memory[0][0]
    part = seconds / 10
    second = [mb for at, mb in memory if part <= at - begin < 2 * part]
    last = [mb for at, mb in memory if at - begin >= 9 * part]
    median = {"second": float(np.median(second or [0])), "last": float(np.median(last or [0]))}
    return median | {"most": max(mb for _, mb in memory)}


def latencies(seen: dict[str, NDArray[Any]]) -> list[dict[str, float]]:
    """Median and 99th percentile of each minute, ms."""
    minute = ((seen["sent"] - seen["sent"].min()) // 60).astype(int)
    taken = 1000 * (seen["done"] - seen["sent"])
    rounded = []
    for i in range(minute.max() + 1):
        p50, p99, most = np.percentile(taken[minute == i], [50, 99, 100]).tolist()
        rounded.append({"p50": round(p50, 2), "p99": round(p99, 2), "most": round(most, 1)})
    return rounded
