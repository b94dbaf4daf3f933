"""Measure what partitions, batch scoring, training by pieces and large fleets take; writes reports/scale.json.

    python -m benchmarks.speed.scale [--short] [PART ...]

Parts are partitions, batch, training_memory, growth, sixteenth, idle_pass and laptop, all of them by default; each goes
into the report as soon as it is measured, and the others stay, so that one can be measured anew. The short form does
less.
Ratios within one run, with the machine's load beside them. Needs the pumps' champion and rows, which `dvc repro` makes.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed import batch, held_windows, idle_pass, laptop, partitions, training_memory
from foretwin.errors import BadInput
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment

REPORT = Path("reports") / "scale.json"
SCORED = 20_000  # windows that the short form scores of a large fleet


def measure_partitions(short: bool) -> dict[str, Any]:
    """What two partitions cost, and two workers gain."""
    shared = partitions.measure(extent=partitions.SHORT if short else partitions.FULL)
    ratios = {kind: shared[kind]["cpu_ratio"] for kind in ("ingestion", "scoring")}
    return {
        "partitions": {"cpu_ratio_ingest": ratios["ingestion"], "cpu_ratio_score": ratios["scoring"]},
        "two_workers": shared,
    }


PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "partitions": measure_partitions,
    "batch": lambda short: {"batch": batch.measure(batch.ROWS // 10 if short else batch.ROWS)},
    "training_memory": lambda short: {
        "training_memory": training_memory.measure(training_memory.SHORT if short else training_memory.ROWS)
    },
    "growth": lambda short: {"growth": held_windows.grown(most_scored=SCORED if short else None)},
    "idle_pass": lambda short: {"idle_pass": idle_pass.measure(idle_pass.SHORT if short else idle_pass.TWINS)},
    "laptop": lambda short: {"laptop": laptop.measure(laptop.SHORT if short else laptop.FULL)},
    "sixteenth": lambda short: {"sixteenth": held_windows.sixteenth(SCORED if short else None)},
}


def measure(names: list[str], short: bool) -> None:
    """Measure these parts, and put each into the report."""
    for name in names:
        found = PARTS[name](short)
        report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
        machine = environment() | {"cores": str(os.cpu_count())}
        before = {*report.get("short", [])}
        short_ones = sorted(before | {name} if short else before - {name})
        with fresh_file(REPORT) as temporary:
            temporary.write_text(
                json.dumps(report | {"machine": machine, "short": short_ones} | found, indent=1) + "\n"
            )
        print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    with exit_on_error():
        asked = [word for word in sys.argv[1:] if word != "--short"]
        if unknown := sorted({*asked} - {*PARTS}):
            raise BadInput("PART", f"there is no {unknown[0]}; there are {', '.join(PARTS)}")
        measure(asked or list(PARTS), "--short" in sys.argv[1:])
