"""Kill our process and cut the links to Kafka at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.kafka_kills [KILLS]

Two pumps publish ten times a second to three brokers, which are those of the client's own mock cluster: they forget all
when they end, so that the links of all clients are cut, twice as often as `foretwin ingest` is killed with SIGKILL, and
each other cut is a silence. In the end every value that the brokers have acknowledged must be stored once, with its
source's time. Of each cut it is measured when the log tells it.
"""

import os
import random
import signal
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
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
from benchmarks.reliability.kafka_plant import CHANNELS, TAGS, KafkaCluster, KafkaPumps
from foretwin.project.entrypoint import exit_on_error
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store

EVERY = 0.1  # s between two ticks


@dataclass
class CutLinks:
    """The links to the brokers: cut, and at each second time silent without a word."""

    cluster: KafkaCluster
    cuts: int = 0

    def kill(self) -> None:
        """Cut them."""
        self.cuts += 1
        if self.cuts % 2:
            self.cluster.kill()
        else:
            os.kill(self.cluster.process.pid, signal.SIGSTOP)

    def start(self) -> None:
        """Let them be made again."""
        if self.cuts % 2:
            self.cluster.start()
        else:
            os.kill(self.cluster.process.pid, signal.SIGCONT)


def main(kills: int) -> None:
    """Run it, write the figures; ForetwinError where a value was lost or stands twice."""
    with tempfile.TemporaryDirectory(prefix="foretwin-kafka-") as folder:
        found = _disturbed(Path(folder), kills)
    keep_kills("kafka", found)


def _disturbed(folder: Path, kills: int) -> dict[str, Any]:
    contract, chance = tagged_pump(), random.Random(1)
    (folder / "data/pump").mkdir(parents=True)
    (folder / "data/pump/twin.yaml").write_text(contract.model_dump_json())
    cluster = KafkaCluster(tuple(f"factory.{channel}" for channel in CHANNELS))
    (folder / "connections.yaml").write_text(f'hall: {{url: "{cluster.url}", twin: pump, tags: [{TAGS}]}}\n')
    pumps, ingest = KafkaPumps(cluster.hosts, 2, EVERY), IngestProcess(folder)
    pumps.start()
    ingest.start()
    try:
        with closing(open_store(f"sqlite:///{folder}/twins.db")) as store:
            wait_for(lambda: len(stored_seconds(store, contract)) > 0, "first readings", PATIENCE)
            seconds = kill_in_turns(kills, CutLinks(cluster), ingest, chance)
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
        cluster.end()


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
