"""Measure the living twin, as ratios within one run; writes reports/bench_twin.json.

    python -m benchmarks.speed.twin

Ingest into SQLite and PostgreSQL, readings over a Mosquitto, the scoring loop, what-if: each has a script of its own
that measures it alone. Needs the pumps' champion, rows and forward model, which `dvc repro` makes.
"""

import json
import os
import tempfile
from pathlib import Path

from benchmarks.servers import Postgres
from benchmarks.speed import twin_ingest, twin_mqtt, twin_scoring, twin_what_if
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment


def main(root: Path = Path()) -> None:
    """Measure everything and write the figures."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres().start()
        try:
            result = {
                "machine": environment() | {"cores": str(os.cpu_count())},
                "ingest": twin_ingest.measure(postgres.new_database("ingest")),
                "mqtt": twin_mqtt.measure(f"sqlite:///{folder}/twins.db"),
                "watch": twin_scoring.measure(root=root),
                "what_if": twin_what_if.measure(root),
            }
        finally:
            postgres.remove()
    with fresh_file(root / "reports" / "bench_twin.json") as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    with exit_on_error():
        main()
