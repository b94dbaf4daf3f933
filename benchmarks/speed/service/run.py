"""Measure the scoring service beside what else could answer; writes reports/bench_service.json.

    python -m benchmarks.speed.service.run            three rounds, about twenty minutes
    python -m benchmarks.speed.service.run --quick    one short round, printed alone

In each round every server is started in turn on loopback, with one worker and the same bundle, and must answer with the
bundle's numbers before wrk puts load on it: on one server at a time, point by point. A figure is the median of the
rounds; a ratio is made within its round.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.speed.service import model as bench_service_model
from benchmarks.speed.service.line_up import OURS, RIVAL, layers, ours, peers
from benchmarks.speed.service.load import press
from benchmarks.speed.service.model import COUNTS, Model, inputs
from benchmarks.speed.service.servers import Running, Server, check, memory_mb, running
from foretwin.project.entrypoint import exit_on_error, switch_telemetry_off
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment

CONNECTIONS = (1, 8, 16, 64)  # of calls with a single window
FEW = (1, 16)  # where only the layers' cost is looked for
AT_ONCE = 4  # connections of calls with many windows
BATCHES = (1, 16, 64, 256)  # windows that the network alone gets at once
QUEUE = 16  # calls that adaptive batching is imagined to gather
Tree = dict[str, Any]  # numbers at its leaves


def main(rounds: int, seconds: float, out: Path | None) -> None:
    """Measure everything, and write the figures or print them."""
    switch_telemetry_off()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("bundle", "project"):
            (folder / part).mkdir()
        model = bench_service_model.make(folder / "bundle")
        scoring = ours(model, folder / "project") + peers(model, folder)
        measured = []
        for i in range(rounds):
            say(f"round {i + 1} of {rounds}")
            measured.append(one_round(model, scoring, layers(), folder / "log.txt", seconds))
    result = {"machine": machine(), "rounds": rounds, "seconds": seconds, **middle(measured)}
    if out is None:
        print(json.dumps(result, indent=1))
        return
    with fresh_file(out) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")


def one_round(model: Model, scoring: list[Server], bare: list[Server], log: Path, seconds: float) -> Tree:
    """Everything once."""
    expected = {count: model.bundle.score(model.rows(count))["rul"].to_numpy() for count in COUNTS}
    alone = in_process(model, seconds)
    servers = scorers(scoring, expected, log, seconds)
    return {
        "in_process": alone,
        "servers": servers,
        "layers": idlers(bare, log, seconds),
        "ratios": ratios(servers, alone),
    }


def scorers(servers: list[Server], expected: Mapping[int, Any], log: Path, seconds: float) -> Tree:
    """All servers that score, point by point, so that what disturbs the machine disturbs neighbours alike.

    Single windows over more and more connections, then many windows a call.
    """
    found: Tree = {server.name: {"single": {}} for server in servers}
    with ExitStack() as stack:
        there = started(servers, stack, log)
        for server in servers:
            check(server, there[server.name].port, expected)
            press(there[server.name].port, server.calls[1, "json"], CONNECTIONS[-1], seconds)  # warm-up
        for count in CONNECTIONS:
            say(f"single windows, {count} connections")
            for server in servers:
                measured = press(there[server.name].port, server.calls[1, "json"], count, seconds)
                found[server.name]["single"][str(count)] = asdict(measured)
        say("many windows a call")
        for server in servers:
            many = {key: call for key, call in server.calls.items() if key[0] > 1}
            for (windows, form), call in many.items():
                measured = press(there[server.name].port, call, AT_ONCE, seconds)
                at_windows = {"windows_per_second": windows * measured.calls_per_second}
                found[server.name][f"{form}_{windows}"] = asdict(measured) | at_windows
        for name, one in there.items():
            found[name] |= {"ready_seconds": one.ready_seconds, "memory_mb": memory_mb(one.process)}
    return found


def idlers(servers: list[Server], log: Path, seconds: float) -> Tree:
    """All servers whose handler does nothing, point by point."""
    found: Tree = {server.name: {} for server in servers}
    with ExitStack() as stack:
        there = started(servers, stack, log)
        for count in (CONNECTIONS[-1], *FEW):  # the first is warm-up
            say(f"handlers that do nothing, {count} connections")
            for server in servers:
                measured = press(there[server.name].port, server.calls[1, "json"], count, seconds)
                found[server.name] |= {str(count): asdict(measured)} if count in FEW else {}
    return found


def started(servers: list[Server], stack: ExitStack, log: Path) -> dict[str, Running]:
    """The servers by name, started one after the other."""
    there = {}
    for server in servers:
        say(f"starting {server.name}")
        there[server.name] = stack.enter_context(running(server, server.calls[1, "json"], log))
    return there


def in_process(model: Model, seconds: float) -> Tree:
    """The bare loops: rows to scores and the network alone, in windows a second."""
    say("the bare loops")
    bundle, found = model.bundle, {}
    for count in (1, COUNTS[-1]):
        rows = model.rows(count)
        found[f"score_{count}"] = count * rate(lambda rows=rows: bundle.score(rows), seconds)  # type: ignore[misc]
    for count in BATCHES:
        windows = inputs(model, count)
        run = lambda windows=windows: bundle.session.run(None, windows)  # noqa: E731 # type: ignore[misc]
        found[f"network_{count}"] = count * rate(run, seconds)
    return found


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often a second the work is done, over so many seconds."""
    work()
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work()
        count += 1
    return count / (time.perf_counter() - begin)


def ratios(servers: Tree, alone: Tree) -> Tree:
    """What is asked of the service, within one round."""
    mine, rival, largest = servers[OURS], servers[RIVAL], COUNTS[-1]
    bare, arrow = alone[f"score_{largest}"], mine[f"arrow_{largest}"]["windows_per_second"]
    found = {"single": {name: against(mine, other) for name, other in servers.items() if name != OURS}}
    longer = {n: mine["single"][n]["p99_ms"] / rival["single"][n]["p99_ms"] for n in rival["single"]}
    per_window = 1 / mine["single"][str(CONNECTIONS[-1])]["calls_per_second"]
    gained = 1 / alone["network_1"] - 1 / alone[f"network_{QUEUE}"]
    return found | {
        "p99_of_rival": longer,
        "one_connection_of_bare": mine["single"]["1"]["calls_per_second"] / alone["score_1"],
        "arrow_of_bare": arrow / bare,
        "json_of_bare": mine[f"json_{largest}"]["windows_per_second"] / bare,
        "arrow_of_json": arrow / mine[f"json_{largest}"]["windows_per_second"],
        "most_that_a_queue_gains": per_window / (per_window - gained) - 1,
    }


def against(mine: Tree, other: Tree) -> Tree:
    """Calls a second with single windows, by connections, and with 64 windows, as multiples of another server's."""
    rates = {n: mine["single"][n]["calls_per_second"] / at["calls_per_second"] for n, at in other["single"].items()}
    return rates | {"json_64": mine["json_64"]["calls_per_second"] / other["json_64"]["calls_per_second"]}


def middle(trees: list[Tree]) -> Tree:
    """Trees of one shape -> the median at each leaf, rounded to four digits."""
    found: Tree = {}
    for name, first in trees[0].items():
        parts = [tree[name] for tree in trees]
        found[name] = middle(parts) if isinstance(first, dict) else float(f"{statistics.median(parts):.4g}")
    return found


def machine() -> dict[str, str]:
    """What the figures depend on beside the code."""
    libraries = ("bentoml", "fastapi", "httptools", "mlflow", "orjson", "pydantic", "starlette", "uvicorn", "uvloop")
    described = Path("/proc/cpuinfo").read_text().partition("model name")[2].partition("\n")[0].strip(" \t:")
    found = environment() | {name: version(name) for name in libraries}
    return found | {"processor": described or "unknown", "cores": str(os.cpu_count())}


def say(what: str) -> None:
    """Progress, on the terminal alone."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    with exit_on_error():
        if sys.argv[1:] not in ([], ["--quick"]):
            raise SystemExit(__doc__)
        quick = bool(sys.argv[1:])
        main(1 if quick else 3, 2, None if quick else Path("reports/bench_service.json"))
