"""Let values come to one connector for minutes, and see whether the memory of `foretwin ingest` levels off.

    python -m benchmarks.speed.connectors.long_run CONNECTOR [SECONDS]

Values come at half of the rate that reports/connectors.json has of it; it keeps how fast the memory grew in each third.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.reliability.connector_kills import REPORT, keep_figures
from benchmarks.speed.connectors.__main__ import FEEDS, MEGABYTE, SETTLING
from benchmarks.speed.connectors.drains import Heard, store_what_comes
from benchmarks.speed.connectors.feeds import Feed, at_a_pace
from benchmarks.speed.connectors.workload import VALUES
from benchmarks.speed.twin_mqtt import process
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error

EVERY, PARTS = 2.0, 3  # s between two looks at the memory


def main(name: str, seconds: float) -> None:
    """Measure, and keep what was found."""
    known = json.loads(REPORT.read_text()).get(name, {})
    if name not in FEEDS or "values_per_second" not in known:
        raise ForetwinError(f"{name}: has no rate in {REPORT}; measure it by `python -m benchmarks.speed.connectors`")
    with tempfile.TemporaryDirectory(prefix="foretwin-long-") as folder:
        feed = FEEDS[name]()
        feed.start(Path(folder))
        try:
            found = _followed(feed, Path(folder), known["values_per_second"] / 2, seconds)
        finally:
            feed.stop()
    keep_figures(name, {"long_run": found})


def _followed(feed: Feed, folder: Path, rate: float, seconds: float) -> dict[str, Any]:
    store = f"sqlite:///{folder}/long.db"
    feed.prepare(store)
    with process(store_what_comes, store, str(folder), feed.connection) as told:
        heard = Heard(told)
        heard.values_a_second(feed.ticks * VALUES, feed.begin(heard))
        at_a_pace(feed.send, rate, SETTLING)
        heard.settle()
        (listener,) = [one for one in psutil.Process().children() if "spawn_main" in " ".join(one.cmdline())]
        memory: list[tuple[float, float]] = []
        begin = time.monotonic()

        def send(tick: int) -> None:
            feed.send(tick)
            if not memory or time.monotonic() - begin - memory[-1][0] > EVERY:
                memory.append((time.monotonic() - begin, listener.memory_info().rss / MEGABYTE))

        sent = at_a_pace(send, rate, seconds)
        took = time.monotonic() - begin
    thirds = [part.T for part in np.array_split(np.array(memory), PARTS)]
    growth = [round(float(np.polyfit(moments, sizes, 1)[0]) * 60, 1) for moments, sizes in thirds]
    return {"seconds": round(took), "values_per_second": round(sent / took), "rss_mb_per_minute": growth}


if __name__ == "__main__":
    with exit_on_error():
        main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 300.0)
