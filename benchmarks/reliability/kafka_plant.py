"""Brokers of Kafka whose link is cut, and pumps that publish to them: a topic for each channel, the pump as the key."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field

from confluent_kafka import Producer

from benchmarks.reliability.counted_pumps import CountedPumps

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


class KafkaPumps(CountedPumps):
    """Publishes until the brokers have acknowledged."""

    def __init__(self, hosts: str, pumps: int, every: float) -> None:
        super().__init__(pumps, every)
        self.hosts = hosts

    def run(self) -> None:
        """Publish tick after tick; the client repeats what is not acknowledged, and the brokers know it again."""
        backoff = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500}
        settings = {"bootstrap.servers": self.hosts, "enable.idempotence": True, "log_level": 0, **backoff}
        producer = Producer(settings)
        while not self.quiet.is_set():
            moment = self.began + self.published
            for name, values in self.values_of(self.published).items():
                for channel, value in values.items():
                    body = json.dumps({"v": value, "t": moment}).encode()
                    producer.produce(f"factory.{channel}", key=name, value=body)
            while producer.flush(1):
                pass
            self.published += 1
            time.sleep(self.every)
