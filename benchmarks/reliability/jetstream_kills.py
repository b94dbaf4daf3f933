"""Kill a NATS server and our process at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.jetstream_kills [KILLS]

Two pumps publish ten times a second to a stream of a real server. It and `foretwin ingest` are killed with SIGKILL, the
server twice as often, and started again. In the end every value that the server has acknowledged must be stored once,
with its source's time. Of each loss of the server it is measured when the log tells it.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.reliability.bus_kills import EVERY, PUMPS, disturb
from benchmarks.reliability.connector_kills import keep_kills, write_connection
from benchmarks.reliability.nats_plant import TAGS, NatsPumps, NatsServer
from foretwin.project.entrypoint import exit_on_error


def main(kills: int) -> None:
    """Run it, write the figures; ForetwinError where a value was lost or stands twice."""
    with tempfile.TemporaryDirectory(prefix="foretwin-jetstream-") as name:
        folder = Path(name)
        server = NatsServer(folder / "nats").start()
        write_connection(folder, server.url, TAGS)
        try:
            found = disturb(folder, server, NatsPumps(server.url, PUMPS, EVERY), kills)
        finally:
            server.kill()
    keep_kills("jetstream", found)


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
