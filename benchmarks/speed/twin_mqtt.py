"""Measure the way of readings from a publisher over Mosquitto into the store, beside Mosquitto's own rate.

    python -m benchmarks.speed.twin_mqtt [STORE_URL]

Publisher, broker and listener are a process each. The same messages go through the same broker to a plain paho client
in the listener's place; one rate by the other is what storing costs.
"""

import json
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from foretwin.contract.twin import Twin, load_twin
from foretwin.project.entrypoint import exit_on_error
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.listening import listen
from foretwin.twin.connectors.mqtt.session import Session, connect_broker
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.store import open_store

MESSAGES = 20_000
ASSETS = 200
RATE, SECONDS = 200, 10  # messages a second, for so long, to measure how long one takes
CONTRACT = Path("data/pump/twin.yaml")


def bodies(contract: Twin, count: int) -> list[tuple[str, bytes]]:
    """Asset and message of so many readings, one each, all assets together step by step."""
    generator = np.random.default_rng(1)
    low = np.array([channel.min for channel in contract.channels.values()])
    high = np.array([channel.max for channel in contract.channels.values()])
    values = generator.uniform(low, high, (count, len(low))).astype(np.float32)
    made = []
    for i, row in enumerate(values):
        channels = dict(zip(contract.channel_names, row, strict=True))
        message = {"run": 1, "time": float(i // ASSETS), "channels": channels}
        made.append((f"B-{i % ASSETS:03d}", orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)))
    return made


def store_what_comes(store_url: str, url: str, stop: Event, told: Connection) -> None:
    """The listener's process: tells after each commit when it was, and how many readings it stored."""
    contract = load_twin(CONTRACT)
    store = open_store(store_url)

    def tell(receipt: Receipt) -> None:
        told.send((time.time(), receipt.stored))

    listen(store, {contract.name: contract}, [plain_peer(url)], stop, tell)  # type: ignore[arg-type]
    store.close()


def hear_what_comes(port: int, topic: str, stop: Event, told: Connection) -> None:
    """The plain client's process: tells of each message when it came."""
    client = plain_client("bench-ear")
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.on_message = lambda *_: told.send((time.time(), 1))
    client.connect("127.0.0.1", port)
    client.loop_start()
    stop.wait()
    client.disconnect()
    client.loop_stop()


def plain_client(name: str) -> Any:
    """A paho client as it is."""
    return Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)


@contextmanager
def process(target: Any, *arguments: object) -> Iterator[Connection]:
    """Run `target` in a process of its own; gives the end of a pipe where it tells of what it does."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    stop = context.Event()
    child = context.Process(target=target, args=(*arguments, stop, theirs))
    child.start()
    try:
        yield ours
    finally:
        stop.set()
        child.join(30)
        child.kill()


def wake(session: Session, topic: str, body: bytes, told: Connection) -> None:
    """Publish until somebody subscribes, and wait until the first message is through."""
    while not session.publish(topic, body).result(30):
        time.sleep(0.1)
    told.recv()


def arrivals(told: Connection, count: int) -> list[float]:
    """When each of so many messages, which keep their order, was through."""
    moments: list[float] = []
    while len(moments) < count:
        moment, number = told.recv()
        moments += [moment] * number
    return moments


def measure_storing(url: str, store_url: str) -> dict[str, float]:
    """Readings a second into the store, and how long one takes from publishing to its commit at an easy pace."""
    with process(store_what_comes, store_url, url) as told:
        session = connect_broker(url, "bench-mouth", threading.Event())
        made = bodies(load_twin(CONTRACT), MESSAGES + RATE * SECONDS)
        wake(session, "foretwin/pump/B-999/readings", made[0][1], told)
        begin = time.time()
        for asset, body in made[:MESSAGES]:
            session.publish(f"foretwin/pump/{asset}/readings", body)
        seconds = arrivals(told, MESSAGES)[-1] - begin
        published: list[float] = []
        for i, (asset, body) in enumerate(made[MESSAGES:]):
            time.sleep(max(0.0, (published[0] if i else time.time()) + i / RATE - time.time()))
            published.append(time.time())
            session.publish(f"foretwin/pump/{asset}/readings", body)
        waits = 1000 * (np.array(arrivals(told, len(published))) - published)
        session.close()
    return {
        "messages_per_second": round(MESSAGES / seconds),
        "median_ms": round(float(np.median(waits)), 1),
        "p99_ms": round(float(np.quantile(waits, 0.99)), 1),
    }


def measure_broker(url: str, port: int) -> float:
    """Messages a second through the broker alone, from one plain client to another, with QoS 1."""
    topic = "foretwin/pump/{}/plain"
    with process(hear_what_comes, port, topic.format("+")) as told:
        made = bodies(load_twin(CONTRACT), MESSAGES)
        session = connect_broker(url, "bench-waker", threading.Event())
        wake(session, topic.format("B-999"), made[0][1], told)
        session.close()
        mouth = plain_client("bench-plain")
        mouth.connect("127.0.0.1", port)
        mouth.loop_start()
        begin = time.time()
        for asset, body in made:
            mouth.publish(topic.format(asset), body, qos=1)
        seconds = arrivals(told, MESSAGES)[-1] - begin
        mouth.disconnect()
        mouth.loop_stop()
    return MESSAGES / seconds


def measure(store_url: str) -> dict[str, float]:
    """Our rate and times, the broker's own rate, and one by the other; `store_url` is of an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(Path(folder)).start()
        try:
            ours = measure_storing(broker.url, store_url)
            alone = measure_broker(broker.url, broker.port)
        finally:
            broker.stop()
    share = round(ours["messages_per_second"] / alone, 2)
    return {**ours, "broker_messages_per_second": round(alone), "share_of_broker": share}


if __name__ == "__main__":
    with exit_on_error(), tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(measure(sys.argv[1] if sys.argv[1:] else f"sqlite:///{scratch}/twins.db"), indent=1))
