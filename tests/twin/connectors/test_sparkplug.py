"""Edge nodes of Sparkplug B, by the makers' own client from npm, over a real broker."""

import itertools
import threading
import time
from contextlib import contextmanager

import pytest

from benchmarks.reliability.shipped_broker import KillableBroker
from benchmarks.reliability.sparkplug_plant import EdgeNode
from foretwin.errors import BadInput
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.connectors.sparkplug.payloads import read_payload, typed
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets, listing, open_store
from support.plant_connections import (
    QUICK,
    listening_to,
    set_aside,
    soon,
    stored_rows,
    tagged_twin,
    written_connections,
)

TWIN = tagged_twin("flow", "speed")
TEXT = """spark:
  url: {url}
  format: sparkplug
  twin: pump
  tags:
    - {{at: "plant/edge1/{{asset}}/Flow", channel: flow, unit: degF}}
    - {{at: "plant/edge1/{{asset}}/State", channel: speed, words: {{running: 1, idle: 0, "-7": -7}}}}
"""
BEGAN = int(time.time()) - 3600


@contextmanager
def plant(sparkplug_modules, broker, tmp_path, **more):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    peers = written_connections(tmp_path, TEXT.format(url=broker.url), TWIN)
    try:
        with listening_to(store, TWIN, peers) as state:
            node = EdgeNode(sparkplug_modules, broker.url)
            try:
                yield store, node, state.connections["spark"]
            finally:
                node.kill()
    finally:
        store.close()


def values(flow, state) -> dict:
    return {"Flow": [1, "Double", flow], "State": [2, "String", state]}


def at(second: int) -> int:
    return (BEGAN + second) * 1000


def flows(store, asset="P-1") -> list[float]:
    return [round(value, 3) for value in stored_rows(store, TWIN, asset)["flow"].tolist()]


def stale(store) -> list[str]:
    page = listing.Page(10, 0, "name", False)
    with store.read() as connection:
        return [row["name"] for row in listing.list_fleet(connection, page, {}, True, {})]


def test_births_name_the_metrics_and_data_messages_their_aliases(sparkplug_modules, broker, tmp_path):
    with plant(sparkplug_modules, broker, tmp_path) as (store, node, state):
        node.tell(birth={"P-1": values(212, "idle"), "P-2": values(32, "idle")}, at=at(0))
        for second in range(1, 5):
            node.tell(
                data={"P-1": values(212 + 1.8 * second, "running")},
                at=at(second),
                packed=[None, "GZIP", "DEFLATE"][second % 3],
            )
        node.tell(data={"P-1": values(None, "running")}, at=at(5))
        node.tell(data={"P-1": values(230, "broken")}, at=at(7))
        wait_for(lambda: len(stored_rows(store, TWIN, "P-1")) >= 6, "readings", 60)
        wait_for(lambda: len(stored_rows(store, TWIN, "P-2")) == 1, "a reading of the other", 60)
        assert flows(store)[:6] == [100, 101, 102, 103, 104, 104]
        assert stored_rows(store, TWIN, "P-1")["speed"].tolist()[:5] == [0, 1, 1, 1, 1]
        assert flows(store, "P-2") == [0]
        assert dict(state.bad) == {"null": 1}
        assert [(field, reason) for field, reason, _ in set_aside(store)] == [("value", "type")]
        assert state.last_value == BEGAN + 7
        # births again tell what is known already
        node.tell(birth={"P-1": values(212, "idle"), "P-2": values(32, "idle")}, at=at(0))
        wait_for(lambda: state.repeated >= 4, "repeated values", 30)
        assert len(set_aside(store)) == 1


def test_a_node_that_was_born_unheard_is_asked_for_its_birth_and_nothing_of_it_is_lost(
    sparkplug_modules, broker, tmp_path, caplog
):
    with plant(sparkplug_modules, broker, tmp_path) as (store, node, _):
        node.tell(table={"P-1": values(32, "idle")}, at=at(0))
        for second in range(1, 4):
            node.tell(data={"P-1": values(32 + 1.8 * second, "running")}, at=at(second))
        node.wait("rebirth")
        wait_for(lambda: flows(store) == [1, 2, 3], "what waited for the birth, which tells of now", 60)
        assert "spark: plant/edge1 is asked for its birth: its metrics are in no birth" in caplog.text


def test_what_a_node_keeps_while_its_broker_is_killed_is_stored_though_its_birth_comes_first(
    sparkplug_modules, tmp_path, caplog
):
    broker, flow = KillableBroker(tmp_path / "broker").start(), iter(range(100))

    def measure(count: int) -> int:
        for second in itertools.islice(flow, count):
            node.tell(data={"P-1": values(32 + 1.8 * second, "idle")}, at=at(second))
        return second + 1

    try:
        with plant(sparkplug_modules, broker, tmp_path) as (store, node, state):
            node.tell(birth={"P-1": values(32, "idle")}, at=at(next(flow)))
            for loss in range(2):
                before = measure(2)
                wait_for(lambda before=before: len(flows(store)) == before, "readings", 30)
                broker.write_down()
                broker.kill()
                assert soon(lambda: state.connected_since is None and "connection lost" in caplog.text, "loss") < 10
                caplog.clear()
                node.wait("lost", loss + 1)  # what it sends before is on its way, and lost
                kept = measure(10 + loss)  # ten times as long as values wait
                broker.start()
                node.wait("connected", loss + 2)
                wait_for(lambda kept=kept: len(flows(store)) == kept, "what the node has kept", 30)
            assert flows(store) == list(range(kept))
            assert set_aside(store) == []
    finally:
        broker.kill()


def test_a_node_that_dies_makes_its_machines_stale_at_once_until_they_speak(sparkplug_modules, broker, tmp_path):
    with plant(sparkplug_modules, broker, tmp_path) as (store, node, _):
        node.tell(birth={"P-1": values(32, "idle"), "P-2": values(32, "idle")}, at=at(0))
        for machine in ("P-1", "P-2"):
            node.tell(data={machine: values(33.8, "idle")}, at=at(1))
            wait_for(lambda machine=machine: len(stored_rows(store, TWIN, machine)) == 2, "readings", 60)
        assert stale(store) == []
        node.tell(gone=True, device="P-2", at=at(2))
        wait_for(lambda: stale(store) == ["P-2"], "the device's death", 30)
        node.kill()  # the broker publishes its will
        wait_for(lambda: stale(store) == ["P-1", "P-2"], "the node's death", 30)
        with store.read() as connection:
            assert [one.is_silent for one in assets.find_all(connection, ["P-1", "P-2"]).values()] == [True, True]
            told = connection.exec_driver_sql("SELECT type FROM events").scalars().all()
        assert told == ["foretwin.asset.stale.v1"] * 2
        again = EdgeNode(sparkplug_modules, broker.url)
        again.tell(birth={"P-1": values(32, "idle")}, at=at(10))
        again.tell(data={"P-1": values(35.6, "idle")}, at=at(12))
        wait_for(lambda: stale(store) == ["P-2"], "its return", 60)
        again.kill()


def test_what_is_no_payload_is_set_aside(sparkplug_modules, broker, tmp_path):
    with plant(sparkplug_modules, broker, tmp_path) as (store, _, _):
        device = connect_broker(broker.url, "device", threading.Event(), None, QUICK)
        device.publish("spBv1.0/plant/DDATA/edge1/P-1", b"\xff\xff\xff").result(20)
        wait_for(lambda: set_aside(store), "refusal", 30)
        device.close()
        assert set_aside(store)[0][:2] == ("body", "undecodable")


@pytest.mark.parametrize(
    ("raw", "datatype", "value"),
    [
        (2**32 - 7, 3, -7),
        (249, 1, -7),
        (2**64 - 7, 4, -7),
        (2**32 - 7, 7, 2**32 - 7),
        (1.5, 3, 1.5),
        (2**32 - 7, 1, -7),
    ],
)
def test_signed_numbers_are_read_as_such(raw, datatype, value):
    assert typed(raw, datatype) == value


def test_a_bomb_is_not_unpacked(monkeypatch):
    import zlib

    from foretwin.twin.connectors.sparkplug import payloads

    monkeypatch.setattr(payloads, "LARGEST", 1000)
    outer = payloads._classes()["Payload"](uuid=payloads.COMPRESSED, body=zlib.compress(bytes(5000)))
    with pytest.raises(BadInput, match="larger than 1000 bytes unpacked"):
        read_payload(outer.SerializeToString())
