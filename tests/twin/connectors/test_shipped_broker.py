"""The broker of serving/mosquitto/, run: what it keeps for an absent ingest; a machine speaks for itself alone."""

import json
import subprocess
import threading

import pytest

from benchmarks.reliability.shipped_broker import SHIPPED, ShippedBroker
from foretwin.errors import BrokerError
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.mqtt.receiving import TOPIC, session_name
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.connectors.mqtt.subscription import Subscription
from foretwin.twin.simulator.processes import wait_for
from support.plant_connections import listening_to, stored_rows
from support.tiny_bundle import tiny_twin

TWIN, QUICK = tiny_twin(), Backoff(0.05, 0.5)
MESSAGES = 1500  # more than the 1000 that Mosquitto keeps of itself


def message(time: int) -> bytes:
    return json.dumps({"run": 1, "time": time, "channels": dict.fromkeys(TWIN.channel_names, 1.0)}).encode()


def connected(url: str, client: str, subscription: Subscription | None = None):
    return connect_broker(url, client, threading.Event(), subscription, QUICK)


@pytest.fixture
def shipped(tmp_path):
    broker = ShippedBroker(tmp_path / "broker")
    broker.issue("broker", "DNS:broker.plant,IP:127.0.0.1")
    for name in ("foretwin", "P-1", "P-2"):
        broker.issue(name)
    broker.start()
    yield broker
    broker.stop()


def test_nothing_is_lost_while_ingest_is_away_and_no_machine_speaks_for_another(shipped, small_store):
    ingest = session_name(small_store)
    connected(shipped.url("foretwin", shipped.ours), ingest, Subscription(TOPIC, print)).close()
    pump = connected(shipped.url("P-1", shipped.machines), "any")
    sent = [pump.publish("foretwin/pump/P-1/readings", message(time)) for time in range(MESSAGES)]
    assert all(one.result(60) for one in sent), "the broker keeps it for the absent session"
    with pytest.raises(BrokerError, match="refuses the message: Not authorized"):
        pump.publish("foretwin/pump/P-2/readings", message(0)).result(20)
    pump.close()
    thief = connected(shipped.url("P-2", shipped.machines), ingest, Subscription("foretwin/pump/P-2/readings", print))
    thief.close()  # with the name of our session: it has one of its own
    shipped.stop()
    shipped.start()
    peers = [plain_peer(shipped.url("foretwin", shipped.ours))]
    with listening_to(small_store, TWIN, peers) as state:
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-1")) == MESSAGES, "all readings", 120)
    assert state.connections["mqtt"].reconnects == 0
    assert len(stored_rows(small_store, TWIN, "P-2")) == 0


def test_nobody_comes_without_a_certificate_of_the_plant_s_authority(shipped, tmp_path):
    keys = shipped.folder / "keys"
    with pytest.raises(BrokerError, match="breaks the secure connection off"):
        connected(f"mqtts://127.0.0.1:{shipped.machines}?ca={keys}/ca.pem", "nobody")
    subprocess.run(["sh", str(SHIPPED / "certificates.sh"), str(tmp_path), "P-1"], check=True, capture_output=True)
    theirs = f"ca={keys}/ca.pem&cert={tmp_path}/P-1.pem&key={tmp_path}/P-1-key.pem"
    with pytest.raises(BrokerError, match="breaks the secure connection off"):
        connected(f"mqtts://127.0.0.1:{shipped.machines}?{theirs}", "nobody")
    assert (keys / "P-1-key.pem").stat().st_mode & 0o077 == 0
    wrong = subprocess.run(
        ["sh", str(SHIPPED / "certificates.sh"), str(tmp_path), "a/b"], check=False, capture_output=True, text=True
    )
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "error: a/b: is no name of a machine; write one without /, + and #\n",
    )
