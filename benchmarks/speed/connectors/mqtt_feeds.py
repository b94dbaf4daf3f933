"""Mosquitto with values that wait in sessions: one value a message, and payloads of Sparkplug B."""

import base64
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from benchmarks.speed.connectors.drains import Heard, Teller
from benchmarks.speed.connectors.feeds import BUS_TAGS
from benchmarks.speed.connectors.workload import (
    BEGAN,
    CHANNELS,
    MICROSECONDS,
    NAMES,
    TAGS,
    as_body,
    peers_of,
    tick_values,
)
from benchmarks.speed.twin_mqtt import plain_client
from foretwin.errors import ForetwinError
from foretwin.twin.connectors.mqtt.receiving import session_name
from foretwin.twin.connectors.mqtt.session import Session, connect_broker
from foretwin.twin.connectors.sparkplug.listening_sparkplug import FILTERS
from foretwin.twin.connectors.sparkplug.payloads import read_payload
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.store import open_store

BARE = "bench-bare"
WEEK = 7 * 24 * 3600
ENCODE = """
const { encodePayload } = require("sparkplug-payload").get("spBv1.0");
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(Buffer.from(encodePayload(JSON.parse(line))).toString("base64") + "\\n");
});
"""


def hear_messages(port: int, name: str, topics: Sequence[str], stop: Event, told: Connection) -> None:
    """A plain client that takes over its session and decodes JSON."""
    _hear(port, name, topics, stop, told, lambda body: 1 if orjson.loads(body)["v"] is not None else 0)


def hear_payloads(port: int, name: str, topics: Sequence[str], stop: Event, told: Connection) -> None:
    """A plain client that decodes payloads of Sparkplug B by the protobuf runtime."""
    _hear(port, name, topics, stop, told, lambda body: sum(one.raw is not None for one in read_payload(body).metrics))


def _hear(port: int, name: str, topics: Sequence[str], stop: Event, told: Connection, count: Any) -> None:
    teller, client = Teller(told), plain_client(name)
    client.on_connect = lambda *_: client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
    client.on_message = lambda _, __, message: teller.note(count(message.payload))
    client.connect("127.0.0.1", port, clean_start=False, properties=_kept())
    client.loop_start()
    while not stop.wait(0.2):
        teller.flush()
    client.disconnect()
    client.loop_stop()


class MqttFeed:
    """A broker whose sessions hold one value a message."""

    ticks, batch = 100, 500
    bare = staticmethod(hear_messages)

    def start(self, folder: Path) -> None:
        """Start the broker."""
        self._folder, self._topics = folder, ["factory/+/+"]
        self.broker = Broker(folder / "broker").start()
        self.connection = self._connection()
        self._names = list[str]()  # of the sessions of this round
        self._rounds = 0
        self._mouth: Session = connect_broker(self.broker.url, "bench-mouth", threading.Event())

    def stop(self) -> None:
        """End it."""
        self._mouth.close()
        self.broker.stop()

    def prepare(self, store_url: str) -> None:
        """Have a new session for each of both, and the values wait in them.

        Mosquitto 2.0.11 was seen to give nothing to a session that began anew with the name of an earlier one.
        """
        for name in self._names:
            self._connect(name, None)
        (peer,) = peers_of(self._folder, self.connection)
        store = open_store(store_url)
        self._rounds += 1
        self._names = [f"{BARE}-{self._rounds}", session_name(store, peer)]
        store.close()
        for name in self._names:
            self._connect(name, _kept())
        self._fill()

    def bare_arguments(self) -> tuple[object, ...]:
        """Its port, the session, and topics."""
        return self.broker.port, self._names[0], self._topics

    def begin(self, heard: Heard) -> None:
        """They wait already."""

    def send(self, tick: int) -> None:
        """Publish the values of a tick as of now."""
        for value in tick_values(tick, time.time_ns() // 1000):
            self._mouth.publish(f"factory/{value.pump}/{value.channel}", as_body(value))

    def _connection(self) -> str:
        return f'url: "{self.broker.url}", tags: {BUS_TAGS}'

    def _fill(self) -> None:
        answers = [
            self._mouth.publish(f"factory/{value.pump}/{value.channel}", as_body(value))
            for tick in range(self.ticks)
            for value in tick_values(tick)
        ]
        for answer in answers:
            answer.result(60)

    def _connect(self, name: str, kept: Properties | None) -> None:
        """Begin a session that is kept, or end one."""
        done, client = threading.Event(), plain_client(name)
        client.on_connect = lambda *_: client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._topics])
        client.on_subscribe = lambda *_: done.set()
        client.connect("127.0.0.1", self.broker.port, clean_start=True, properties=kept)
        client.loop_start()
        if not done.wait(30):
            raise ForetwinError(f"{name}: the broker makes no session")
        client.disconnect()
        client.loop_stop()


class SparkplugFeed(MqttFeed):
    """A broker whose sessions hold an edge node's births and data, encoded by the makers' own library."""

    ticks, batch = 100, 500 * TAGS
    bare = staticmethod(hear_payloads)

    def start(self, folder: Path) -> None:
        """Start the broker, and node with the library of npm."""
        super().start(folder)
        if shutil.which("npm") is None:
            raise ForetwinError("npm: not installed; on Debian `apt install npm` brings it")
        (folder / "npm").mkdir()
        subprocess.run(["npm", "install", "--silent", "sparkplug-payload@1.0.3"], cwd=folder / "npm", check=True)
        (folder / "npm" / "encode.js").write_text(ENCODE)
        command, pipe = ["node", "encode.js"], subprocess.PIPE
        self._node = subprocess.Popen(command, cwd=folder / "npm", stdin=pipe, stdout=pipe, text=True)
        self._topics, self._seq = list(FILTERS), 0

    def stop(self) -> None:
        """End both."""
        self._node.kill()
        self._node.wait()
        super().stop()

    def send(self, tick: int) -> None:
        """Publish the data of a tick as of now; a node's first are its births."""
        now = time.time_ns() // MICROSECONDS
        for name in NAMES:
            self._data(name, tick, now)

    def _connection(self) -> str:
        tags = '[{at: "plant/edge1/{asset}/{channel}"}]'
        return f'url: "{self.broker.url}", format: sparkplug, tags: {tags}'

    def _fill(self) -> None:
        self._seq = 0
        born = {"name": "bdSeq", "type": "UInt64", "value": 0}
        answers = [self._publish("NBIRTH/edge1", [born], BEGAN * 1000 - 1000)]
        for name in NAMES:
            table = [self._metric(place, 0.0, channel) for place, channel in enumerate(CHANNELS)]
            answers.append(self._publish(f"DBIRTH/edge1/{name}", table, BEGAN * 1000 - 1000))
        for tick in range(self.ticks):
            answers += [self._data(name, tick, (BEGAN + tick) * 1000) for name in NAMES]
        for answer in answers:
            answer.result(60)

    def _data(self, name: str, tick: int, at: int) -> Any:
        return self._publish(
            f"DDATA/edge1/{name}", [self._metric(place, float(tick + place)) for place in range(TAGS)], at
        )

    @staticmethod
    def _metric(place: int, value: float, name: str | None = None) -> dict[str, Any]:
        named = {"name": name} if name else {}
        return {**named, "alias": place + 1, "type": "Double", "value": value}

    def _publish(self, where: str, metrics: list[dict[str, Any]], at: int) -> Any:
        payload = {"timestamp": at, "seq": self._seq, "metrics": [{**one, "timestamp": at} for one in metrics]}
        self._seq = (self._seq + 1) % 256
        print(json.dumps(payload), file=self._node.stdin, flush=True)
        body = base64.b64decode(next(iter(self._node.stdout or ())))
        kind, _, rest = where.partition("/")
        return self._mouth.publish(f"spBv1.0/plant/{kind}/{rest}", body, "application/octet-stream")


def _kept() -> Properties:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = WEEK
    properties.ReceiveMaximum = 1000  # as `foretwin ingest` has it
    return properties
