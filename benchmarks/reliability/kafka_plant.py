"""Brokers of Kafka whose link is cut, and pumps that publish to them until they have acknowledged.

Each tick is one second of the pumps' time: every pump publishes `flow = tick` and `speed = tick + 1000`, each
in a message of its own, to a topic for each channel with the pump as its key.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from confluent_kafka import Producer

CHANNELS = {"flow": 0.0, "speed": 1000.0}  # what each adds to the tick
TAGS = '{at: "factory.{channel}/{asset}", value: $.v, time: $.t}'
PARTITIONS = 3


@dataclass
class KafkaCluster:
    """Three brokers in a process of their own, with these topics. What they hold ends with it."""

    topics: tuple[str, ...]
    hosts: str = field(init=False)
    process: "subprocess.Popen[str]" = field(init=False)

    def __post_init__(self) -> None:
        """Start them."""
        command = [sys.executable, "-m", "benchmarks.reliability.kafka_brokers", str(PARTITIONS), *self.topics]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hosts = self._line()

    @property
    def url(self) -> str:
        """Their URL."""
        return f"kafka://{self.hosts}"

    def kill(self) -> None:
        """Cut the links of all clients, and let nobody make new ones."""
        self._say("down")

    def start(self) -> "KafkaCluster":
        """Let clients connect again."""
        self._say("up")
        return self

    def delete(self, topic: str, partition: int, before: int) -> None:
        """Delete the messages of a partition before an offset."""
        self._say(f"delete {topic} {partition} {before}")

    def slow_down(self, broker: int, milliseconds: int) -> None:
        """Let one broker answer late."""
        self._say(f"slow {broker} {milliseconds}")

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def _say(self, what: str) -> None:
        print(what, file=self.process.stdin, flush=True)
        self._line()

    def _line(self) -> str:
        return next(iter(self.process.stdout or ())).strip()


class KafkaPumps(threading.Thread):
    """Publishes until `quiet` is set; `published` is the number of ticks that the brokers have acknowledged."""

    def __init__(self, hosts: str, pumps: int, every: float) -> None:
        super().__init__(daemon=True)
        self.hosts, self.every = hosts, every
        self.names = [f"P-{number:03d}" for number in range(pumps)]
        self.began = float(int(time.time()) - 7200)  # s since 1970
        self.published, self.quiet = 0, threading.Event()

    def run(self) -> None:
        """Publish tick after tick; the client repeats what is not acknowledged, and the brokers know it again."""
        backoff = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500}
        settings = {"bootstrap.servers": self.hosts, "enable.idempotence": True, "log_level": 0, **backoff}
        producer = Producer(settings)
        while not self.quiet.is_set():
            moment, tick = self.began + self.published, self.published
            for name in self.names:
                for channel, more in CHANNELS.items():
                    body = json.dumps({"v": tick + more, "t": moment}).encode()
                    producer.produce(f"factory.{channel}", key=name, value=body)
            while producer.flush(1):
                pass
            self.published += 1
            time.sleep(self.every)
