"""Measure the living twin, as ratios within one run; writes reports/bench_twin.json.

    python pipelines/bench_twin.py

Ingest into SQLite and PostgreSQL, readings over a Mosquitto, the scoring loop, what-if: each has a script of its own
that measures it alone. Needs the pumps' champion, rows and forward model, which `dvc repro` makes.
"""

import json
import os
import tempfile
from pathlib import Path

import bench_twin_ingest
import bench_twin_mqtt
import bench_twin_watch
import bench_twin_what_if
from foretwin.config import fresh_file
from foretwin.edge import exit_on_error
from foretwin.members import environment
from processes import Postgres


def main(root: Path = Path()) -> None:
    """Measure everything and write the figures."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres().start()
        try:
            result = {
                "machine": environment() | {"cores": str(os.cpu_count())},
                "ingest": bench_twin_ingest.measure(postgres.new_database("ingest")),
                "mqtt": bench_twin_mqtt.measure(f"sqlite:///{folder}/twins.db"),
                "watch": bench_twin_watch.measure(root=root),
                "what_if": bench_twin_what_if.measure(root),
            }
        finally:
            postgres.remove()
    with fresh_file(root / "reports" / "bench_twin.json") as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    with exit_on_error():
        main()
