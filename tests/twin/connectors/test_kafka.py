"""Messages of the brokers of librdkafka's own mock cluster, whose links are cut: each once, whatever comes again."""

import json
import os
import random
import re
import signal
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.reliability.counted_pumps import CHANNELS
from benchmarks.reliability.kafka_plant import PARTITIONS, TAGS, KafkaCluster, KafkaPumps
from foretwin.errors import BrokerError, ConnectionsError, StoreAway
from foretwin.project.loops import Backoff
from foretwin.twin.connectors import sink
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.kafka import group_consumer, partition_rounds
from foretwin.twin.connectors.kafka.client_settings import client_settings
from foretwin.twin.connectors.kafka.group_consumer import GroupConsumer
from foretwin.twin.connectors.kafka.listening_kafka import subscribed_topics
from foretwin.twin.connectors.listening import listen
from foretwin.twin.connectors.mqtt.receiving import session_name
from foretwin.twin.ingest.single_values import taking
from foretwin.twin.simulator.processes import wait_for
from support.certificate import self_signed
from support.plant_connections import (
    QUICK,
    listening_to,
    set_aside,
    soon,
    stored_rows,
    tagged_twin,
    written_connections,
)
from support.tiny_bundle import tiny_twin

TWIN, WHOLE = tagged_twin(*CHANNELS), tiny_twin()
OWN = "foretwin.pump.readings"


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(group_consumer, "SESSION", 2000)  # the mock, no broker, waits so long for those that have left
    monkeypatch.setattr(group_consumer, "BEAT", 400)
    one = KafkaCluster((*(f"factory.{channel}" for channel in CHANNELS), OWN))
    yield one
    one.end()


def peers_of(cluster, folder, more=""):
    return written_connections(folder, f'hall: {{url: "{cluster.url}", twin: pump, tags: [{TAGS}]{more}}}', TWIN)


def test_links_that_are_cut_or_silent_lose_nothing(small_store, cluster, tmp_path, caplog):
    pumps, chance = KafkaPumps(cluster.hosts, 2, 0.05), random.Random(1)
    pumps.start()
    with listening_to(small_store, TWIN, peers_of(cluster, tmp_path)) as state:
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-000")) > 3, "first readings", 60)
        for cut, again in (
            (
                lambda: os.kill(cluster.process.pid, signal.SIGSTOP),
                lambda: os.kill(cluster.process.pid, signal.SIGCONT),
            ),
            (cluster.kill, cluster.start),
        ):
            threading.Event().wait(chance.uniform(0.2, 0.6))
            cut()
            assert soon(lambda: state.not_connected == ["hall"] and "connection lost" in caplog.text, "loss") < 10
            caplog.clear()
            threading.Event().wait(1.5 * TWIN.clock.wait)
            again()
            wait_for(lambda: state.is_connected, "connection", 60)
        pumps.quiet.set()
        pumps.join(30)
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-001")) == pumps.published, "all readings", 60)
    assert set_aside(small_store) == []
    rows = stored_rows(small_store, TWIN, "P-001")
    assert rows["flow"].tolist() == list(range(pumps.published))
    assert (rows["speed"] - rows["flow"] == 1000).all()


def test_a_broker_that_answers_late_makes_no_step_without_its_values(small_store, cluster, tmp_path):
    pumps = KafkaPumps(cluster.hosts, 6, 0.1)
    pumps.start()
    wait_for(lambda: pumps.published >= 12, "some ticks", 60)
    pumps.quiet.set()
    pumps.join(30)
    cluster.slow_down(1, 400)
    with listening_to(small_store, TWIN, peers_of(cluster, tmp_path)):
        names = pumps.names
        wait_for(lambda: all(len(stored_rows(small_store, TWIN, name)) == pumps.published for name in names), "all", 60)
    for name in names:
        rows = stored_rows(small_store, TWIN, name)
        assert (rows["speed"] - rows["flow"] == 1000).all()
        assert rows["flow"].tolist() == list(range(pumps.published))


def send(cluster, *messages: tuple[str | None, bytes], topic: str = OWN) -> None:
    """Publish keys and bodies, acknowledged by the brokers."""
    producer = Producer({"bootstrap.servers": cluster.hosts, "enable.idempotence": True})
    for key, body in messages:
        producer.produce(topic, body, key)
    assert producer.flush(20) == 0


def reading(time: float) -> bytes:
    return json.dumps({"run": 1, "time": time, "channels": dict.fromkeys(WHOLE.channel_names, 1.0)}).encode()


@contextmanager
def whole_readings(store, cluster):
    """Listen to Foretwin's own topic; gives the receipts."""
    receipts, stop, peers = [], threading.Event(), [plain_peer(cluster.url)]
    run = threading.Thread(target=listen, args=(store, {"pump": WHOLE}, peers, stop, receipts.append, QUICK))
    run.start()
    yield receipts
    stop.set()
    run.join(20)
    assert not run.is_alive()


def committed(cluster, store) -> int:
    """How many messages the group has done with."""
    ear = Consumer({"bootstrap.servers": cluster.hosts, "group.id": session_name(store)})
    places = ear.committed([TopicPartition(OWN, number) for number in range(PARTITIONS)], timeout=10)
    ear.close()
    return sum(max(0, place.offset) for place in places)


def test_readings_that_are_stored_and_not_committed_come_again_and_change_nothing(small_store, cluster, monkeypatch):
    send(cluster, ("P.1", reading(0)), ("P-2", reading(0)))
    with monkeypatch.context() as patch, whole_readings(small_store, cluster) as receipts:
        patch.setattr(GroupConsumer, "commit", lambda *_: None)  # as where the process is killed before it
        wait_for(lambda: sum(one.stored for one in receipts) == 2, "the readings", 30)
    assert committed(cluster, small_store) == 0
    with whole_readings(small_store, cluster) as receipts:
        wait_for(lambda: sum(one.duplicates for one in receipts) == 2, "them again", 30)
        send(cluster, ("P.1", reading(1)), ("P.1", b"{"), (None, reading(2)), ("P/1", reading(2)))
        wait_for(lambda: sum(one.stored for one in receipts) == 1 and len(set_aside(small_store)) == 3, "the rest", 30)
        wait_for(lambda: committed(cluster, small_store) == 6, "all commits", 20)
    assert stored_rows(small_store, WHOLE, "P.1")["time"].tolist() == [0, 1]
    assert {reason for _, reason, _ in set_aside(small_store)} == {"undecodable"}


def test_processes_share_the_partitions_and_a_store_that_is_away_keeps_them(small_store, cluster, monkeypatch):
    names = [f"P-{number}" for number in range(12)]
    monkeypatch.setattr(group_consumer, "STANDSTILL", 0.2)
    monkeypatch.setattr(sink, "RETRY", Backoff(0.05, 0.1))
    ingest, away = sink.ingest_as, threading.Event()

    def ingest_or_fail(*arguments, **named):
        if away.is_set():
            raise StoreAway("store: away")
        return ingest(*arguments, **named)

    monkeypatch.setattr(sink, "ingest_as", ingest_or_fail)
    with whole_readings(small_store, cluster) as first:
        send(cluster, *((name, reading(0)) for name in names))
        wait_for(lambda: sum(one.stored for one in first) == 12, "readings of one process", 30)
        with whole_readings(small_store, cluster) as second:
            wait_for(lambda: _said_by(second, cluster, names), "readings of another", 40)
            away.set()
            send(cluster, *((name, reading(1000)) for name in names))
            threading.Event().wait(1.5)  # longer than STANDSTILL: both are paused, and stay in the group
            before = len(first) + len(second)
            away.clear()
            wait_for(lambda: all(_has(small_store, name, 1000) for name in names), "readings of both", 30)
            assert len(first) + len(second) > before
        send(cluster, *((name, reading(1001)) for name in names))
        wait_for(lambda: all(_has(small_store, name, 1001) for name in names), "readings of the one that is left", 30)
        wait_for(lambda: committed(cluster, small_store) == _sent[0] + 36, "all commits", 20)
    assert set_aside(small_store) == []


_sent = [0]


def _said_by(receipts, cluster, names) -> bool:
    """Send one more reading of each machine, until a process gets some."""
    _sent[0] += len(names)
    send(cluster, *((name, reading(_sent[0] / len(names))) for name in names))
    threading.Event().wait(0.3)
    return sum(one.stored for one in receipts) > 0


def _has(store, name, time) -> bool:
    return time in stored_rows(store, WHOLE, name)["time"].tolist()


def test_what_was_deleted_unread_is_told_and_what_is_left_is_read(small_store, cluster, caplog):
    send(cluster, *(("P-1", reading(time)) for time in range(5)))
    with whole_readings(small_store, cluster):
        wait_for(lambda: committed(cluster, small_store) == 5, "all commits", 30)
    send(cluster, *(("P-1", reading(time)) for time in range(5, 9)))
    for partition in range(PARTITIONS):
        cluster.delete(OWN, partition, 7)
    with whole_readings(small_store, cluster):
        wait_for(lambda: _has(small_store, "P-1", 8), "what is left", 30)
        wait_for(lambda: "2 messages were deleted before they were read" in caplog.text, "the gap", 20)
    assert stored_rows(small_store, WHOLE, "P-1")["time"].tolist() == [0, 1, 2, 3, 4, 7, 8]


@pytest.mark.parametrize(("ticks", "late"), [(700, 0), (1500, 300)])
def test_a_backlog_is_read_without_a_pause_and_nothing_of_it_is_too_late(
    small_store, cluster, tmp_path, monkeypatch, ticks, late
):
    """With little room those partitions wait that are ahead of a slow broker's."""
    monkeypatch.setattr(partition_rounds, "MOST", 8800 if late else partition_rounds.MOST)
    waited, let_wait = set(), GroupConsumer._let_wait

    def note_ahead(self) -> None:
        let_wait(self)
        waited.update(self._waiting)

    monkeypatch.setattr(GroupConsumer, "_let_wait", note_ahead)
    monkeypatch.setattr(group_consumer, "STANDSTILL", 60.0)  # storing may be slow here
    monkeypatch.setattr(taking, "MOST_HELD", 300)  # values of a machine beyond which steps settle without the others
    paused, pause = [], GroupConsumer._pause

    def note(self) -> None:  # the client forgets what it has fetched of a partition that is paused
        paused.append(len(self._owned))
        pause(self)

    monkeypatch.setattr(GroupConsumer, "_pause", note)
    producer = Producer({"bootstrap.servers": cluster.hosts, "log_level": 0})
    for tick in range(ticks):
        for channel, more in CHANNELS.items():
            body = json.dumps({"v": tick + more, "t": 1_790_000_000 + tick}).encode()
            for name in ("P-000", "P-001"):
                producer.produce(f"factory.{channel}", key=name, value=body)
    producer.flush(30)
    if late:
        cluster.slow_down(1, late)
    with listening_to(small_store, TWIN, peers_of(cluster, tmp_path)):
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-001")) == ticks, "all readings", 60)
    assert set_aside(small_store) == []
    assert paused == []
    assert bool(waited) == bool(late)


@contextmanager
def tls_server(folder):
    """A server that takes TLS connections and says nothing; gives its port and the handshakes that it made."""
    own = self_signed(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own["FORETWIN_TLS_CERT"], own["FORETWIN_TLS_KEY"])
    made: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def accept():
            with suppress(OSError):
                while True:
                    line, _ = door.accept()
                    with suppress(OSError), context.wrap_socket(line, server_side=True) as secure:
                        made.append(secure.version())
                        secure.recv(1)

        threading.Thread(target=accept, daemon=True).start()
        yield door.getsockname()[1], made
        door.shutdown(socket.SHUT_RDWR)


def test_brokers_are_trusted_by_their_authority_alone(small_store, tmp_path):
    self_signed(tmp_path, "other")
    with tls_server(tmp_path) as (port, made):
        peers = [plain_peer(f"kafkas://127.0.0.1:{port}?ca={tmp_path}/other.pem")]
        with pytest.raises(BrokerError, match=r"certificate verify failed.*; name the brokers' authority as \?ca=FILE"):
            listen(small_store, {"pump": WHOLE}, peers, threading.Event(), None, QUICK)
        assert made == []
        stop = threading.Event()
        peers = [plain_peer(f"kafkas://127.0.0.1:{port}?ca={tmp_path}/own.pem")]
        run = threading.Thread(target=listen, args=(small_store, {"pump": WHOLE}, peers, stop, None, QUICK))
        run.start()
        wait_for(lambda: made, "a handshake", 20)
        stop.set()
        run.join(20)
    assert made[0] in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize(
    ("url", "user", "told"),
    [
        ("kafka://h?ca=x", None, "ca is not known; kafkas:// knows ca, cert, key and sasl, kafka:// sasl"),
        ("kafka://h/topic", None, "/topic is not known"),
        ("kafka://h?sasl=PLAIN", "me", "would send the password in clear; use kafkas://, or SCRAM-SHA-512"),
        ("kafkas://h?sasl=GSSAPI", "me", "sasl=GSSAPI is not known; there is SCRAM-SHA-512, SCRAM-SHA-256, PLAIN"),
        ("kafkas://h?sasl=PLAIN", None, "user: is missing, but sasl is not"),
        ("kafkas://h?ca=absent.pem", None, "absent.pem: No such file or directory; name a file in PEM"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, url, user, told):
    with pytest.raises(BrokerError, match=re.escape(told)):
        client_settings("hall", url, tmp_path, user, "secret")


def test_addresses_are_topics_and_keys(tmp_path):
    found = client_settings("hall", "kafkas://a,b:9093,[::1]", tmp_path, "me", "secret")
    assert found["bootstrap.servers"] == "a:9092,b:9093,[::1]:9092"
    assert (found["security.protocol"], found["sasl.mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    (peer,) = written_connections(tmp_path, "x: {url: 'kafka://a,[::1]:9093', twin: pump, tags: [" + TAGS + "]}", TWIN)
    assert client_settings("hall", peer.settings.url, tmp_path, None, None)["bootstrap.servers"] == "a:9092,[::1]:9093"
    addresses = ["factory.{channel}/{asset}", "old/P-1", "old/P-2", "{site}.x"]
    assert subscribed_topics(addresses) == [r"^factory\.[^/]+$", "old", r"^[^/]+\.x$"]
    for text, told in (
        (", format: sparkplug", "format: sparkplug is of MQTT"),
        (", tags: [{at: /P, asset: P, channel: flow}]", "at: /P begins with no topic of Kafka; write TOPIC/KEY"),
        (", tags: [{at: 'a b/P', asset: P, channel: flow}]", "at: a b/P begins with no topic of Kafka"),
    ):
        with pytest.raises(ConnectionsError, match=told):
            written_connections(tmp_path, f"x: {{url: kafka://h, twin: pump{text}}}", TWIN)
