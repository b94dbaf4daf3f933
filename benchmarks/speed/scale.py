"""Measure what partitions, batch scoring and training by pieces give; writes reports/scale.json.

    python -m benchmarks.speed.scale

Ratios within one run, with the machine's load beside them. Needs the pumps' champion and rows, which `dvc repro` makes.
"""

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.speed import batch, partitions, training_memory
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment


def measure(root: Path = Path()) -> dict[str, Any]:
    """Measure all of it."""
    shared = partitions.measure(root)
    ingestion, scoring = shared["ingestion"], shared["scoring"]
    return {
        "machine": environment() | {"cores": str(os.cpu_count())},
        "partitions": {"cpu_ratio_ingest": ingestion["cpu_ratio"], "cpu_ratio_score": scoring["cpu_ratio"]},
        "two_workers": {"ingestion": ingestion, "scoring": scoring, "load": shared["load"]},
        "batch": batch.measure(root=root),
        "training_memory": training_memory.measure(),
    }


if __name__ == "__main__":
    with exit_on_error():
        found = measure()
        with fresh_file(Path("reports") / "scale.json") as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps(found, indent=1))
