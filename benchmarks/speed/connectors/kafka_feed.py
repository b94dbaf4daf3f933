"""Three brokers of Kafka, the client's own mock cluster, whose topics hold one value a message."""

import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import orjson
from confluent_kafka import Consumer, Producer

from benchmarks.reliability.kafka_plant import KafkaCluster
from benchmarks.speed.connectors.drains import Heard, Teller
from benchmarks.speed.connectors.workload import CHANNELS, PlantValue, as_body, tick_values
from foretwin.twin.connectors.kafka.partition_rounds import BATCH

FETCHED, PATIENCE = 500, 0.1  # messages of one question, and s that it waits
TOPICS = tuple(f"factory.{channel}" for channel in CHANNELS)


def consume_messages(hosts: str, group: str, stop: Event, told: Connection) -> None:
    """A plain client that decodes JSON, and commits in the background."""
    settings = {"bootstrap.servers": hosts, "group.id": group, "auto.offset.reset": "earliest", "log_level": 0}
    consumer, teller = Consumer(settings), Teller(told)
    consumer.subscribe(list(TOPICS))
    while not stop.is_set():
        for one in consumer.consume(FETCHED, PATIENCE):
            if one.error() is None:
                teller.note(1 if orjson.loads(one.value() or b"")["v"] is not None else 0)
        teller.flush()
    consumer.close()


class KafkaFeed:
    """The brokers, and a client that publishes: a topic for each channel, the pump is the key."""

    ticks, batch = 300, BATCH
    bare = staticmethod(consume_messages)

    def start(self, folder: Path) -> None:
        """Nothing to start yet: what the brokers hold ends with them."""
        del folder
        self._cluster: KafkaCluster | None = None
        self._rounds = 0

    def stop(self) -> None:
        """End them."""
        if self._cluster is not None:
            self._cluster.end()

    def prepare(self, store_url: str) -> None:
        """Start brokers anew and fill their topics; each group begins with the first message."""
        del store_url
        self.stop()
        self._rounds += 1
        self._cluster = KafkaCluster(TOPICS)
        self.connection = (
            f'url: "{self._cluster.url}", tags: [{{at: "factory.{{channel}}/{{asset}}", value: $.v, time: $.t}}]'
        )
        self._producer = Producer({"bootstrap.servers": self._cluster.hosts, "log_level": 0, "linger.ms": 5})
        for tick in range(self.ticks):
            for value in tick_values(tick):
                self._produce(value)
            self._producer.flush(30)

    def bare_arguments(self) -> tuple[object, ...]:
        """Their addresses, and a group that has read nothing."""
        return self._cluster.hosts if self._cluster else "", f"bare-{self._rounds}"

    def begin(self, heard: Heard) -> None:
        """They wait already."""

    def send(self, tick: int) -> None:
        """Publish the values of a tick as of now."""
        for value in tick_values(tick, time.time_ns() // 1000):
            self._produce(value)
        self._producer.flush(30)

    def _produce(self, value: PlantValue) -> None:
        self._producer.produce(f"factory.{value.channel}", key=value.pump, value=as_body(value))
        self._producer.poll(0)
