"""Kill the broker of an edge node and our process at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.sparkplug_kills [KILLS]

Two devices of an edge node, by the makers' own client, speak ten times a second by a Mosquitto that keeps what waits by
the settings of serving/mosquitto/. It and `foretwin ingest` are killed with SIGKILL, the broker twice as often, and
started again. What the node measures without a broker it sends afterwards as historical. In the end every value must be
stored once, with its source's time. Sparkplug promises no delivery: what was on its way at a kill is counted apart.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.reliability.bus_kills import EVERY, PUMPS, disturb
from benchmarks.reliability.connector_kills import IngestProcess, keep_kills, write_connection
from benchmarks.reliability.shipped_broker import KillableBroker
from benchmarks.reliability.sparkplug_plant import TAGS, SparkplugPumps, installed_client
from foretwin.project.entrypoint import exit_on_error


def main(kills: int) -> None:
    """Run it, write the figures; ForetwinError where a value was lost or stands twice."""
    with tempfile.TemporaryDirectory(prefix="foretwin-sparkplug-") as name:
        folder = Path(name)
        modules = installed_client(folder / "npm")
        broker = KillableBroker(folder / "broker").start()
        write_connection(folder, broker.url, TAGS, "format: sparkplug,")
        pumps = SparkplugPumps(modules, broker, IngestProcess(folder).log, PUMPS, EVERY)
        try:
            found = disturb(folder, broker, pumps, kills)
        finally:
            broker.kill()
    keep_kills("sparkplug", found)


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
