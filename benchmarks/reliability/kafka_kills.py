"""Kill our process and cut the links to Kafka at random, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.kafka_kills [KILLS]

Two pumps publish ten times a second to three brokers, which are those of the client's own mock cluster: they forget all
when they end, so that the links of all clients are cut, twice as often as `foretwin ingest` is killed with SIGKILL, and
each other cut is a silence. In the end every value that the brokers have acknowledged must be stored once, with its
source's time. Of each cut it is measured when the log tells it.
"""

import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.bus_kills import EVERY, PUMPS, disturb
from benchmarks.reliability.connector_kills import keep_kills, write_connection
from benchmarks.reliability.counted_pumps import CHANNELS
from benchmarks.reliability.kafka_plant import TAGS, KafkaCluster, KafkaPumps
from foretwin.project.entrypoint import exit_on_error


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
    cluster = KafkaCluster(tuple(f"factory.{channel}" for channel in CHANNELS))
    try:
        with tempfile.TemporaryDirectory(prefix="foretwin-kafka-") as folder:
            write_connection(Path(folder), cluster.url, TAGS)
            pumps = KafkaPumps(cluster.hosts, PUMPS, EVERY)
            found = disturb(Path(folder), CutLinks(cluster), pumps, kills)
    finally:
        cluster.end()
    keep_kills("kafka", found)


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
