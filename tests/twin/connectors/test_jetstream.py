"""Messages of a real NATS server with JetStream that is killed: each once, whatever is delivered again."""

import asyncio
import json
import random
import signal
import ssl
import threading

import nats
import pytest

from benchmarks.reliability import nats_plant
from benchmarks.reliability.counted_pumps import CHANNELS
from benchmarks.reliability.nats_plant import TAGS, NatsPumps, NatsServer
from foretwin.errors import BrokerError, ConnectionsError
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.jetstream import durable_consumer
from foretwin.twin.connectors.jetstream.durable_consumer import DurableConsumer
from foretwin.twin.connectors.listening import listen
from foretwin.twin.connectors.sink import Sink
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

TWIN, WHOLE = tagged_twin(*CHANNELS, wait=2.0), tiny_twin()


@pytest.fixture
def server(tmp_path):
    one = NatsServer(tmp_path / "nats").start()
    yield one
    one.kill()


def peers_of(server, folder, more=""):
    return written_connections(folder, f'hall: {{url: "{server.url}", twin: pump, tags: [{TAGS}]{more}}}', TWIN)


def send(server, *messages: tuple[str, bytes]) -> None:
    """Publish to subjects, each acknowledged by the stream."""

    async def publish():
        client = await nats.connect(server.url)
        for subject, body in messages:
            await client.jetstream().publish(subject, body)
        await client.close()

    asyncio.run(publish())


def test_a_server_that_is_killed_loses_nothing_that_it_has_acknowledged(
    small_store, server, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(durable_consumer, "ACK_WAIT", 1.0)
    # A step's other value comes once its publisher has a connection again too: well within the time that values wait.
    monkeypatch.setattr(nats_plant, "ANSWER", TWIN.clock.wait / 2)
    pumps, chance = NatsPumps(server.url, 2, 0.05), random.Random(1)
    pumps.start()
    wait_for(lambda: pumps.published, "the stream", 30)
    with listening_to(small_store, TWIN, peers_of(server, tmp_path)) as state:
        for kill in range(3):
            threading.Event().wait(chance.uniform(0.2, 1.5))
            server.process.send_signal(signal.SIGKILL if kill else signal.SIGSTOP)  # the first falls silent
            assert soon(lambda: state.not_connected == ["hall"] and "connection lost" in caplog.text, "loss") < 10
            caplog.clear()
            server.kill()
            threading.Event().wait(1.5 * TWIN.clock.wait)
            server.start()
            wait_for(lambda: state.is_connected, "connection", 60)
        pumps.quiet.set()
        pumps.join(30)
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-001")) == pumps.published, "all readings", 60)
    assert set_aside(small_store) == []
    assert state.connections["hall"].reconnects == 3
    rows = stored_rows(small_store, TWIN, "P-001")
    assert rows["flow"].tolist() == list(range(pumps.published))
    assert (rows["speed"] - rows["flow"] == 1000).all()


@pytest.fixture
def broken(monkeypatch):
    """The sizes of batches that were stored, and not acknowledged: the first one."""
    monkeypatch.setattr(durable_consumer, "ACK_WAIT", 1.0)
    acknowledge, sizes = DurableConsumer.acknowledge, []

    async def break_once(self, batch):
        if batch.fetched and not sizes:
            sizes.append(len(batch.fetched))
            raise OSError("cut off before the acknowledgement")
        await acknowledge(self, batch)

    monkeypatch.setattr(DurableConsumer, "acknowledge", break_once)
    return sizes


def test_readings_that_are_stored_and_not_acknowledged_come_again_and_change_nothing(small_store, server, broken):
    body = json.dumps({"run": 1, "time": 0, "channels": dict.fromkeys(WHOLE.channel_names, 1.0)}).encode()
    later = body.replace(b'"time": 0', b'"time": 1')
    receipts, stop = [], threading.Event()
    peers = [plain_peer(server.url)]
    run = threading.Thread(target=listen, args=(small_store, {"pump": WHOLE}, peers, stop, receipts.append, QUICK))
    run.start()
    try:
        wait_for(lambda: _sends(server, body), "the stream of Foretwin's own", 30)
        wait_for(lambda: sum(one.duplicates for one in receipts) == 1, "it again", 30)
        send(server, ("foretwin.pump.P%2E1.readings", later), ("foretwin.pump.P%2E1.readings", b"{"))
        wait_for(lambda: sum(one.stored for one in receipts) == 2 and set_aside(small_store), "the rest", 30)
    finally:
        stop.set()
        run.join(20)
    assert broken == [1]
    assert stored_rows(small_store, WHOLE, "P.1")["time"].tolist() == [0, 1]
    assert [reason for _, reason, _ in set_aside(small_store)] == ["undecodable"]


def test_values_of_steps_that_were_made_come_again_and_change_nothing(small_store, server, broken, tmp_path):
    pumps = NatsPumps(server.url, 1, 0.01)
    pumps.start()
    wait_for(lambda: pumps.published > 5, "some values", 30)
    pumps.quiet.set()
    pumps.join(30)
    with listening_to(small_store, TWIN, peers_of(server, tmp_path), connected=False) as state:
        connection = state.connections
        wait_for(lambda: connection and broken and connection["hall"].repeated == broken[0], "them again", 60)
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-000")) == pumps.published, "all readings", 60)
    assert broken[0] > 1
    assert set_aside(small_store) == []


def test_what_an_earlier_process_stored_changes_nothing_though_the_server_has_forgotten(small_store, server, tmp_path):
    pumps = NatsPumps(server.url, 1, 0.01)
    pumps.start()
    wait_for(lambda: pumps.published > 5, "some values", 30)
    pumps.quiet.set()
    pumps.join(30)

    def all_stored() -> bool:
        return len(stored_rows(small_store, TWIN, "P-000")) == pumps.published

    async def forget() -> None:
        client = await nats.connect(server.url)
        (told,) = await client.jetstream().consumers_info("factory")
        await client.jetstream().delete_consumer("factory", told.name)
        await client.close()

    with listening_to(small_store, TWIN, peers_of(server, tmp_path)):
        wait_for(all_stored, "all readings", 60)
    asyncio.run(forget())
    with listening_to(small_store, TWIN, peers_of(server, tmp_path), connected=False) as state:
        connections = state.connections
        wait_for(lambda: connections and connections["hall"].repeated == pumps.published * len(CHANNELS), "them", 60)
    assert set_aside(small_store) == []


@pytest.mark.parametrize("memory", [durable_consumer.MEMORY, 20_000])
def test_what_waits_is_taken_in_batches_as_large_as_the_memory_allows(
    small_store, server, tmp_path, monkeypatch, memory
):
    monkeypatch.setattr(durable_consumer, "MEMORY", memory)
    sizes, acknowledge = [], DurableConsumer.acknowledge

    async def note(self, batch):
        sizes.append(len(batch.fetched))
        await acknowledge(self, batch)

    async def publish():
        client = await nats.connect(server.url)
        context = client.jetstream()
        await context.add_stream(name="factory", subjects=["factory.>"])
        bodies = [json.dumps({"v": float(tick), "t": 1_790_000_000 + tick}).encode() for tick in range(300)]
        await asyncio.gather(*(context.publish("factory.P-1.flow", body) for body in bodies))
        await client.close()

    monkeypatch.setattr(DurableConsumer, "acknowledge", note)
    asyncio.run(publish())
    with listening_to(small_store, TWIN, peers_of(server, tmp_path)):
        wait_for(lambda: sum(sizes) == 300, "all messages", 30)
    if memory > 20_000:
        assert sizes[0] == 300  # not 128, which may be that many MiB of the server's largest messages
    else:
        assert 100 < max(sizes) < 250


def test_at_the_end_nothing_is_left_that_the_next_start_would_have_to_wait_for(
    small_store, server, tmp_path, monkeypatch
):
    take, came = Sink.take, []

    def take_slowly(*arguments) -> bool:  # what is asked for goes on to come meanwhile
        threading.Event().wait(0.3)
        came.append(1)
        return take(*arguments)

    monkeypatch.setattr(Sink, "take", take_slowly)
    pumps = NatsPumps(server.url, 2, 0.01)
    pumps.start()
    wait_for(lambda: pumps.published, "the stream", 30)
    with listening_to(small_store, TWIN, peers_of(server, tmp_path)):
        wait_for(lambda: len(came) > 1, "some batches", 30)
    pumps.quiet.set()
    pumps.join(30)

    async def unacknowledged() -> int:
        client = await nats.connect(server.url)
        (told,) = await client.jetstream().consumers_info("factory")
        await client.close()
        return int(told.num_ack_pending)

    assert asyncio.run(unacknowledged()) == 0


def _sends(server, body) -> bool:
    try:
        send(server, ("foretwin.pump.P%2E1.readings", body))
    except nats.js.errors.NoStreamResponseError:
        return False
    return True


def test_what_cannot_work_is_told(small_store, tmp_path, monkeypatch):
    server = NatsServer(tmp_path / "nats", 'authorization {user: foretwin, password: "right"}').start()
    try:
        monkeypatch.setenv("NATS_PASSWORD", "wrong")
        peers = peers_of(server, tmp_path, ", user: foretwin, password_from: NATS_PASSWORD")
        with pytest.raises(BrokerError, match=r"the server refuses: .*; correct user and password"):
            listen(small_store, {"pump": TWIN}, peers, threading.Event(), None, QUICK)
        monkeypatch.setenv("NATS_PASSWORD", "right")
        with pytest.raises(BrokerError, match=r"no stream holds factory\.\*\.\*; make one, or correct the tag"):
            listen(small_store, {"pump": TWIN}, peers, threading.Event(), None, QUICK)
    finally:
        server.kill()
    for more, told in (
        (", format: sparkplug", "format: sparkplug is of MQTT"),
        (", tags: [{at: a.b, asset: P, channel: flow}]", "has a dot; write the levels of a subject with /"),
    ):
        with pytest.raises(ConnectionsError, match=told):
            written_connections(tmp_path, f"x: {{url: nats://h, twin: pump{more}}}", TWIN)


def test_tls_trusts_the_server_s_authority_alone_and_shows_our_own_certificate(small_store, tmp_path):
    own = self_signed(tmp_path)
    self_signed(tmp_path, "other")
    files = f'cert_file: "{own["FORETWIN_TLS_CERT"]}", key_file: "{own["FORETWIN_TLS_KEY"]}"'
    server = NatsServer(
        tmp_path / "nats", f'tls {{{files}, ca_file: "{own["FORETWIN_TLS_CERT"]}", verify: true}}'
    ).start()
    url = server.url.replace("nats://", "tls://")
    try:
        with pytest.raises(BrokerError, match=r"no secure connection: .*: name its authority as \?ca=FILE"):
            listen(small_store, {"pump": WHOLE}, [plain_peer(f"{url}?ca={tmp_path}/other.pem")], threading.Event())
        mine = f"?ca={tmp_path}/own.pem&cert={tmp_path}/own.pem&key={tmp_path}/own.key"
        with listening_to(small_store, WHOLE, [plain_peer(url + mine)]):
            body = json.dumps({"run": 1, "time": 0, "channels": dict.fromkeys(WHOLE.channel_names, 1.0)}).encode()
            secure = ssl.create_default_context(cafile=own["FORETWIN_TLS_CERT"])
            secure.load_cert_chain(own["FORETWIN_TLS_CERT"], own["FORETWIN_TLS_KEY"])

            async def publish():
                client = await nats.connect(url, tls=secure)
                await client.jetstream().publish("foretwin.pump.P-1.readings", body)
                await client.close()

            asyncio.run(publish())
            wait_for(lambda: len(stored_rows(small_store, WHOLE, "P-1")) == 1, "the reading", 30)
    finally:
        server.kill()
