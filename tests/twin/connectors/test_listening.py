"""Readings over a real broker into a real store: all of them, once, whoever is killed meanwhile."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select

from benchmarks.servers import Postgres
from foretwin.errors import BrokerError
from foretwin.project.loops import Backoff
from foretwin.twin.connectors import sink
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.listening import listen
from foretwin.twin.connectors.mqtt import receiving
from foretwin.twin.connectors.mqtt.receiving import PendingMessages, session_name
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.connectors.mqtt.subscription import Message, Subscription
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import listing, open_store
from foretwin.twin.store.tables import assets, quarantine, readings
from support.tiny_bundle import tiny_twin

QUICK = Backoff(0.05, 0.5)
TWIN = tiny_twin()
CONTRACTS = {TWIN.name: TWIN}
SCRIPT = Path(__file__).parents[2] / "support" / "listener.py"


def message(time_, value=1.0, **more) -> bytes:
    channels = dict.fromkeys(TWIN.channel_names, value)
    return json.dumps({"run": 1, "time": time_, "channels": channels} | more).encode()


@contextmanager
def mouth(url):
    """A sender: a function of asset and body."""
    session = connect_broker(url, "mouth", threading.Event(), None, QUICK)
    try:
        yield lambda asset, body, twin="pump": session.publish(f"foretwin/{twin}/{asset}/readings", body)
    finally:
        session.close()


@contextmanager
def ear(store, url):
    """A listener in a thread of this process; gives the receipts of its transactions."""
    stop, receipts, errors = threading.Event(), [], []

    def run():
        try:
            listen(store, CONTRACTS, [plain_peer(url)], stop, receipts.append, QUICK)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield receipts
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
        assert errors == []


class Process:
    """A listener in a process of its own."""

    def __init__(self, folder, store_url, url, *more):
        (folder / "contract.json").write_text(TWIN.model_dump_json())
        command = [sys.executable, SCRIPT, folder / "contract.json", store_url, url, *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def wait_for(self, word) -> str:
        for line in self.process.stdout:
            if line.startswith(word):
                return line
        raise AssertionError(f"the listener ended before it said {word}")

    def end(self, how) -> int:
        self.process.send_signal(how)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


def keys(store) -> list[tuple[str, int, float]]:
    """(asset, run, time) of every reading that is stored."""
    with store.read() as connection:
        columns = select(assets.c.name, readings.c.run, readings.c.time).join(assets, readings.c.asset == assets.c.id)
        return sorted((name, run, time_) for name, run, time_ in connection.execute(columns))


def subscribed(broker, store):
    """Let the broker know the listener's session, so that it keeps what comes while nobody listens."""
    topic = Subscription(receiving.TOPIC, print)
    connect_broker(broker.url, session_name(store), threading.Event(), topic, QUICK).close()


def left_over(broker, store) -> list[Message]:
    """What the broker still holds for the listener."""
    held = []
    topic = Subscription(receiving.TOPIC, held.append)
    session = connect_broker(broker.url, session_name(store), threading.Event(), topic, QUICK)
    time.sleep(0.3)
    session.close()
    return held


def fleet(count, steps):
    """Asset and time of one message each, step by step."""
    return [(f"P-{asset:03d}", float(step)) for step in range(steps) for asset in range(count)]


def test_readings_arrive_once_and_are_acknowledged(broker, store):
    sent = fleet(20, 60)
    with ear(store, broker.url) as receipts:
        wait_for(lambda: not left_behind(broker, sent[0]), "subscription")
        with mouth(broker.url) as send:
            for asset, time_ in sent:
                send(asset, message(time_))
        wait_for(lambda: sum(receipt.stored for receipt in receipts) == len(sent), "readings")
    assert keys(store) == sorted((asset, 1, time_) for asset, time_ in sent)
    assert left_over(broker, store) == []


def left_behind(broker, first) -> bool:
    """Publish the first reading until somebody hears it."""
    with mouth(broker.url) as send:
        return not send(first[0], message(first[1])).result(5)


def test_many_messages_share_a_transaction(broker, store):
    subscribed(broker, store)
    with mouth(broker.url) as send:
        for asset, time_ in fleet(10, 100):
            send(asset, message(time_))
    with ear(store, broker.url) as receipts:
        wait_for(lambda: sum(receipt.stored for receipt in receipts) == 1000, "readings")
    assert len(receipts) <= 10
    assert max(receipt.stored for receipt in receipts) <= receiving.BATCH


def test_repeated_and_disordered_readings_are_stored_once(broker, store):
    subscribed(broker, store)
    times = [1.0, 2.0, 2.0, 5.0, 3.0, 4.0, 5.0, 1.0]
    with mouth(broker.url) as send:
        for time_ in times:
            send("P-001", message(time_))
    with ear(store, broker.url) as receipts:
        wait_for(lambda: sum((one for one in receipts), Receipt()).duplicates == 3, "duplicates")
    total = sum(receipts, Receipt())
    assert (total.stored, total.late) == (5, 2)
    assert [time_ for _, _, time_ in keys(store)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("twin", "asset", "body", "reason"),
    [
        ("pump", "P-001", b"no json", "undecodable"),
        ("pump", "P-001", b"\0\xff\xfe binary", "undecodable"),
        ("pump", "P-001", b"", "undecodable"),
        ("pump", "P-001", b'{"time": 1}', "undecodable"),
        ("pump", "P-001", message(1, 5000), "range"),
        ("pump", "P-001", message(1, asset="P-002"), "undecodable"),
        ("pump", "P-001", message(1, twin="fan"), "undecodable"),
        ("pump", "P-001", message(1, run=2_000_000_000), "run"),
        ("submarine", "S-001", message(1), "unknown"),
    ],
)
def test_what_cannot_be_stored_goes_to_quarantine_and_does_not_come_again(broker, store, twin, asset, body, reason):
    subscribed(broker, store)
    with mouth(broker.url) as send:
        send(asset, body, twin).result(5)
        send("P-002", message(7)).result(5)
    with ear(store, broker.url) as receipts:
        wait_for(lambda: sum(receipts, Receipt()).rejected, "rejection")
        wait_for(lambda: sum(receipts, Receipt()).stored, "good reading")
    with store.read() as connection:
        held = connection.execute(select(quarantine.c.asset, quarantine.c.reason, quarantine.c.via)).all()
    assert [tuple(one) for one in held] == [(asset, reason, "mqtt")]
    assert left_over(broker, store) == []


@contextmanager
def locked(store_url):
    """Nobody can write to the store meanwhile."""
    if store_url.startswith("sqlite"):
        connection = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
    else:
        connection = psycopg.connect(store_url)
        connection.execute("LOCK TABLE readings, batches IN ACCESS EXCLUSIVE MODE")
    yield
    connection.rollback()
    connection.close()


def test_a_listener_killed_before_its_commit_loses_nothing(broker, store, store_url, tmp_path):
    sent = fleet(3, 200)
    subscribed(broker, store)
    with mouth(broker.url) as send:
        for asset, time_ in sent:
            send(asset, message(time_))
    with locked(store_url):
        listener = Process(tmp_path, store_url, broker.url)
        listener.wait_for("storing")
        time.sleep(0.2)
        listener.end(signal.SIGKILL)
    assert keys(store) == []
    with ear(store, broker.url) as receipts:
        wait_for(lambda: sum(receipts, Receipt()).stored == len(sent), "readings")
    assert keys(store) == sorted((asset, 1, time_) for asset, time_ in sent)
    assert sum(receipts, Receipt()).duplicates == 0
    assert left_over(broker, store) == []


def test_more_than_it_holds_is_sent_again_at_the_start_and_stored(broker, store):
    held = []
    topic = Subscription(receiving.TOPIC, held.append, 65535)
    dead = connect_broker(broker.url, session_name(store), threading.Event(), topic, QUICK)
    sent = fleet(100, 3 * 2 * receiving.AHEAD // 100)
    with mouth(broker.url) as say:
        for asset, time_ in sent:
            say(asset, message(time_))
    wait_for(lambda: len(held) == len(sent), "all of them in flight")
    dead._client.socket().close()  # gone without a word, nothing acknowledged
    dead._closing.set()
    with ear(store, broker.url):
        wait_for(lambda: len(keys(store)) == len(sent), "all of them stored", 60)


def test_a_listener_killed_between_commit_and_acknowledgement_stores_nothing_twice(broker, store, store_url, tmp_path):
    sent = fleet(3, 200)
    subscribed(broker, store)
    with mouth(broker.url) as send:
        for asset, time_ in sent:
            send(asset, message(time_))
    listener = Process(tmp_path, store_url, broker.url, "hang")
    first = int(listener.wait_for("committed").split()[1])
    listener.end(signal.SIGKILL)
    assert len(keys(store)) == first > 0
    with ear(store, broker.url) as receipts:
        wait_for(lambda: len(keys(store)) == len(sent), "readings")
        wait_for(lambda: sum(receipts, Receipt()).duplicates == first, "what was not acknowledged")
    assert keys(store) == sorted((asset, 1, time_) for asset, time_ in sent)


def test_a_listener_that_is_asked_to_stop_leaves_cleanly_and_the_next_goes_on(broker, store, store_url, tmp_path):
    sent = fleet(5, 300)
    subscribed(broker, store)
    with mouth(broker.url) as send:
        for asset, time_ in sent[:1000]:
            send(asset, message(time_))
        first = Process(tmp_path, store_url, broker.url)
        first.wait_for("committed")
        assert first.end(signal.SIGTERM) == 0
        before = len(keys(store))
        for asset, time_ in sent[1000:]:
            send(asset, message(time_))
    with ear(store, broker.url) as receipts:
        wait_for(lambda: len(keys(store)) == len(sent), "readings")
    total = sum(receipts, Receipt())
    assert total.stored == len(sent) - before
    assert total.duplicates == 0  # each batch that it stored it has acknowledged too


class Load(threading.Thread):
    """Sends a fleet's readings one by one, at a steady pace; `join` returns when the broker has them all."""

    def __init__(self, url, sent, pause):
        super().__init__()
        self.url, self.sent, self.pause, self.answers = url, sent, pause, []

    def run(self):
        with mouth(self.url) as send:
            for asset, time_ in self.sent:
                self.answers.append(send(asset, message(time_)))
                time.sleep(self.pause)


def test_a_broker_killed_under_load_loses_nothing_that_it_has_written_down(tmp_path, store):
    # Else it would write its sessions down each second, and leave the last message to the kernel until an earlier one
    # is confirmed: both are lost with it.
    broker = Broker(tmp_path, ("autosave_on_changes true", "set_tcp_nodelay true")).start()
    sent = fleet(10, 60)
    subscribed(broker, store)
    with ear(store, broker.url):
        load = Load(broker.url, sent, 0.004)
        load.start()
        time.sleep(1)
        broker.stop(signal.SIGKILL)
        time.sleep(0.3)
        broker.start()
        load.join(60)
        try:
            wait_for(lambda: len(keys(store)) == len(sent), "readings")
        finally:
            broker.stop()
    assert keys(store) == sorted((asset, 1, time_) for asset, time_ in sent)


@pytest.fixture(scope="module")
def crashing():
    """A PostgreSQL server that the tests here may crash."""
    server = Postgres().start()
    yield server
    server.remove()


def test_a_database_that_crashes_under_load_is_waited_for(broker, crashing, monkeypatch, caplog):
    monkeypatch.setattr(sink, "RETRY", QUICK)
    sent = fleet(10, 60)
    store = open_store(crashing.url)
    with ear(store, broker.url) as receipts:
        wait_for(lambda: not left_behind(broker, sent[0]), "subscription")
        load = Load(broker.url, sent, 0.004)
        load.start()
        wait_for(lambda: receipts, "first transaction")
        crashing.stop(signal.SIGQUIT)
        time.sleep(1)
        stored = sum(receipts, Receipt()).stored
        crashing.start()
        load.join(60)
        wait_for(lambda: len(keys(store)) == len(sent), "readings")
    assert 0 < stored < len(sent)
    assert keys(store) == sorted((asset, 1, time_) for asset, time_ in sent)
    assert left_over(broker, store) == []
    assert "nothing is acknowledged meanwhile" in caplog.text
    store.close()


def test_a_listener_stops_while_the_database_is_away_and_acknowledges_nothing(broker, crashing, monkeypatch):
    monkeypatch.setattr(sink, "RETRY", QUICK)
    store = open_store(crashing.new_database("away"))
    subscribed(broker, store)
    crashing.stop()
    try:
        with mouth(broker.url) as send:
            send("P-001", message(1)).result(5)
        with ear(store, broker.url):
            time.sleep(0.5)
        assert [one.body for one in left_over(broker, store)] == [message(1)]
    finally:
        crashing.start()
        store.close()


def test_a_broker_that_refuses_ends_it(tmp_path):
    (tmp_path / "users").touch(0o700)
    broker = Broker(tmp_path, (f"password_file {tmp_path}/users",)).start()
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    try:
        with pytest.raises(BrokerError, match="Not authorized"):
            listen(store, CONTRACTS, [plain_peer(broker.url)], threading.Event())
    finally:
        broker.stop()
        store.close()


def test_the_sessions_name_is_the_stores_own(tmp_path):
    stores = [open_store(f"sqlite:///{tmp_path}/{name}.db") for name in ("a", "b", "a")]
    names = [session_name(store) for store in stores]
    assert names[0] == names[2] != names[1]
    for store in stores:
        store.close()


def test_a_batch_waits_for_more_but_not_for_long():
    waiting = PendingMessages(1000)
    never = threading.Event()
    arrived = [Message("t", b"%d" % i, "x", 0, i, 1) for i in range(5)]
    for one in arrived[:3]:
        waiting.put(one)
    begin = time.monotonic()
    assert waiting.take(2, 5, never) == arrived[:2]
    assert time.monotonic() - begin < 4, "it did not wait, though it might have for 5 s"
    threading.Timer(0.05, waiting.put, arrived[3:4]).start()
    begin = time.monotonic()
    assert waiting.take(9, 0.3, never) == arrived[2:4]
    assert time.monotonic() - begin > 0.2
    assert waiting.take(9, 0.3, never) == []


def test_waiting_messages_fill_up_to_a_limit():
    waiting = PendingMessages(1000)
    for i in range(2 * receiving.AHEAD):
        assert not waiting.full()
        waiting.put(Message("t", b"", "x", 0, i, 0))
    assert waiting.full()
    waiting.take(1, 0, threading.Event())
    assert not waiting.full()


def test_waiting_messages_are_bounded_by_their_bytes_too():
    waiting, never = PendingMessages(1000), threading.Event()
    for i in range(8):
        assert not waiting.full()
        waiting.put(Message("t", bytes(600), "x", 0, i, 600))
        if 600 * (i + 1) >= receiving.AHEAD_BODIES * 1000:
            break
    assert waiting.full()
    assert len(waiting.take(100, 0, never)) == 2  # the first is below the largest size, the second exceeds it
    assert not waiting.full()


def test_messages_that_are_too_large_are_set_aside_or_not_sent_and_hold_nothing_up(broker, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETWIN_MAX_BODY_BYTES", "100000")
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with ear(store, broker.url), mouth(broker.url) as send:
        wait_for(lambda: not left_behind(broker, ("P-0", 0.0)), "subscription")
        send("P-1", message(1.0) + bytes(150_000)).result(5)
        send("P-1", message(1.0) + bytes(150_001)).result(5)
        send("P-1", message(1.5) + bytes(400_000)).result(5)  # more than the broker may pass on
        send("P-1", message(2.0)).result(5)
        wait_for(lambda: ("P-1", 1, 2.0) in keys(store), "reading")
    one, _ = set_aside(store)  # two, though their beginnings are the same
    assert (one["asset"], one["field"], one["reason"]) == ("P-1", "body", "undecodable")
    assert one["detail"].startswith(f"has {150_000 + len(message(1.0))} bytes, too many for one message")
    assert one["content"].startswith(message(1.0).decode())
    assert left_over(broker, store) == []
    store.close()


def set_aside(store) -> list[dict]:
    with store.read() as connection:
        return listing.list_quarantine(connection, listing.Page(10, 0, "id", False), {}, None)
