"""Events to a real NATS server and to the brokers of librdkafka's mock cluster, whose links and process are killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import nats
import pytest
from confluent_kafka import Consumer, TopicPartition
from nats.js.api import StreamConfig
from sqlalchemy import select

from benchmarks.reliability.kafka_plant import PARTITIONS, KafkaCluster
from benchmarks.reliability.nats_plant import NatsServer
from foretwin.errors import BadInput
from foretwin.twin.outbox.bus_targets import bus_targets
from foretwin.twin.outbox.dispatcher import targets_from
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.tables import deliveries
from support.delivered import delivering

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DELIVERING = """
import os, threading
from foretwin.project.loops import Backoff
from foretwin.twin.outbox.dispatcher import deliver, targets_from
from foretwin.twin.store import open_store
deliver(open_store(os.environ["FORETWIN_STORE"]), targets_from(os.environ), threading.Event(), Backoff(0.2, 0.4), 100)
"""


def tell(store, *names: str) -> list[str]:
    """Emit an event of each machine; returns their ids."""
    with store.write() as connection:
        known = assets.register_assets(connection, "pump", sorted(set(names)), NOON)
        return [emit(connection, "case.opened", "pump", known[name], "cases/1", {"a": 1}, NOON) for name in names]


def left(store) -> set[str]:
    with store.read() as connection:
        return set(connection.execute(select(deliveries.c.state)).scalars())


def kept_by(server) -> list[tuple[str, dict]]:
    """Subject and event of each message that the stream keeps."""

    async def read():
        client = await nats.connect(server.url)
        context = client.jetstream()
        count = (await context.stream_info("events")).state.messages
        found = [await context.get_msg("events", number + 1) for number in range(count)]
        await client.close()
        return [(one.subject, json.loads(one.data)) for one in found]

    return asyncio.run(read())


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_stream_gets_each_event_once_whatever_is_killed(store, store_url, tmp_path):
    server = NatsServer(tmp_path / "nats").start()
    environ = {"FORETWIN_EVENTS_NATS": server.url}
    names = [f"P.{number % 5}" for number in range(20)]
    ids = tell(store, *names)
    try:
        with delivering(store, *targets_from(environ), attempts=100):
            wait_for(lambda: "no stream holds" in str(_errors(store)), "that there is no stream", 20)
        asyncio.run(_make_stream(server))
        process = subprocess.Popen(
            [sys.executable, "-c", DELIVERING], env=os.environ | environ | {"FORETWIN_STORE": store_url}
        )
        wait_for(lambda: len(kept_by(server)) > 3, "first events", 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
        server.kill()
        with delivering(store, *targets_from(environ), attempts=100):
            server.start()
            wait_for(lambda: left(store) == {"delivered"}, "delivery of all", 40)
        found = kept_by(server)
    finally:
        server.kill()
    assert sorted(event["id"] for _, event in found) == sorted(ids)
    assert {subject for subject, _ in found} == {f"foretwin.pump.P%2E{number}.events" for number in range(5)}


async def _make_stream(server) -> None:
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(StreamConfig("events", subjects=["foretwin.*.*.events"]))
    await client.close()


def _errors(store) -> list[str]:
    with store.read() as connection:
        return list(connection.execute(select(deliveries.c.error)).scalars())


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_topics_get_each_event_with_its_machine_as_the_key(store):
    cluster = KafkaCluster(("foretwin.pump.events",))
    names = [f"P-{number % 5}" for number in range(40)]
    ids = tell(store, *names)
    environ = {"FORETWIN_EVENTS_KAFKA": cluster.url}
    try:
        cluster.kill()
        with delivering(store, *targets_from(environ), attempts=100):
            threading.Event().wait(1)
            assert left(store) == {"waiting"}
            cluster.start()
            wait_for(lambda: left(store) == {"delivered"}, "delivery of all", 60)
        ear = Consumer({"bootstrap.servers": cluster.hosts, "group.id": "ear", "auto.offset.reset": "earliest"})
        ear.assign([TopicPartition("foretwin.pump.events", number, 0) for number in range(PARTITIONS)])
        found = []
        wait_for(lambda: found.extend(ear.consume(100, 0.2)) or len(found) >= 40, "the events", 20)
        ear.close()
    finally:
        cluster.end()
    events = [(one.key().decode(), json.loads(one.value())) for one in found]
    assert {event["id"] for _, event in events} == set(ids)
    assert all(event["source"] == f"/foretwin/pump/{key}" for key, event in events)
    for name in set(names):
        mine = [event["id"] for key, event in events if key == name]
        assert list(dict.fromkeys(mine)) == [one for one, of in zip(ids, names, strict=True) if of == name]


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {"FORETWIN_EVENTS_NATS": "http://h"},
            "is no URL such as nats://host or tls://user@host",
        ),
        ({"FORETWIN_EVENTS_KAFKA": "kafka://me:word@h"}, "holds a password; leave it out and set FORETWIN_KAFKA_PASS"),
        (
            {"FORETWIN_EVENTS_KAFKA": "kafkas://me@h"},
            "names a user; set FORETWIN_KAFKA_PASSWORD",
        ),
    ],
)
def test_a_url_that_is_none_is_refused(environ, told):
    with pytest.raises(BadInput, match=told):
        bus_targets(environ)
