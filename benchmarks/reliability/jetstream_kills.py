"""Kill a NATS server and our process at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.jetstream_kills [KILLS]

Two pumps publish ten times a second to a stream of a real server. It and `foretwin ingest` are killed with SIGKILL, the
server twice as often, and started again. In the end every value that the server has acknowledged must be stored once,
with its source's time. Of each loss of the server it is measured when the log tells it.
"""

import random
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.reliability.connector_kills import (
    PATIENCE,
    IngestProcess,
    count_lost,
    count_set_aside,
    keep_kills,
    kill_in_turns,
    stored_seconds,
    tagged_pump,
)
from benchmarks.reliability.nats_plant import CHANNELS, TAGS, NatsPumps, NatsServer
from foretwin.project.entrypoint import exit_on_error
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store

EVERY = 0.1  # s between two ticks


def main(kills: int) -> None:
    """Run it, write the figures; ForetwinError where a value was lost or stands twice."""
    with tempfile.TemporaryDirectory(prefix="foretwin-jetstream-") as folder:
        found = _disturbed(Path(folder), kills)
    keep_kills("jetstream", found)


def _disturbed(folder: Path, kills: int) -> dict[str, Any]:
    contract, chance = tagged_pump(), random.Random(1)
    (folder / "data/pump").mkdir(parents=True)
    (folder / "data/pump/twin.yaml").write_text(contract.model_dump_json())
    server = NatsServer(folder / "nats").start()
    (folder / "connections.yaml").write_text(f'hall: {{url: "{server.url}", twin: pump, tags: [{TAGS}]}}\n')
    pumps, ingest = NatsPumps(server.url, 2, EVERY), IngestProcess(folder)
    pumps.start()
    wait_for(lambda: pumps.published > 0, "the stream", PATIENCE)
    ingest.start()
    try:
        with closing(open_store(f"sqlite:///{folder}/twins.db")) as store:
            wait_for(lambda: len(stored_seconds(store, contract)) > 0, "first readings", PATIENCE)
            seconds = kill_in_turns(kills, server, ingest, chance)
            pumps.quiet.set()
            pumps.join(PATIENCE)
            begin = time.monotonic()
            added = CHANNELS.values()
            while lost := count_lost(stored_seconds(store, contract), pumps, added):
                if time.monotonic() - begin > PATIENCE:
                    break
                time.sleep(1)
        values = pumps.published * len(pumps.names) * len(CHANNELS)
        told = {"values": values, "seconds_to_tell": round(max(seconds), 2)}
        return {"kills": kills, "lost": lost, "doubled": count_set_aside(folder), **told}
    finally:
        ingest.kill()
        server.kill()


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
