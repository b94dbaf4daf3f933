"""Topics of anybody's invention over a real broker, several connections at once, and what is told of a loss."""

import json
import random
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.reliability.mqtt_plant import TAGS, MqttPumps
from benchmarks.reliability.shipped_broker import KillableBroker
from foretwin.operations.health.each_process import ingest_state
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import wait_for
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
TEXT = """plain:
  url: {url}
  twin: pump
  tags:
    - at: "factory/{{site}}/{{asset}}/flow"
      channel: flow
      unit: degF
      value: $.v
      time: $.t
      quality: $.q
    - at: "factory/{{site}}/{{asset}}/{{channel}}"
      time: $.t
      value: $.v
"""


def metrics_of(state, store) -> str:
    registry = CollectorRegistry()
    registry.register(ingest_state(store, Path(), state, {}))
    return generate_latest(registry).decode()


def test_values_on_free_topics_become_readings_in_the_contract_s_unit(broker, small_store, tmp_path, caplog):
    peers = written_connections(tmp_path, TEXT.format(url=broker.url), TWIN)
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    with listening_to(small_store, TWIN, peers) as state:
        device = connect_broker(broker.url, "device", threading.Event(), None, QUICK)
        for second in range(6):
            at = (begun + timedelta(seconds=second)).isoformat()
            for channel, value in (("flow", 212 + 1.8 * second), ("speed", 10.0 * second)):
                body = json.dumps({"v": value, "t": at, "q": "good"}).encode()
                device.publish(f"factory/berlin/P-1/{channel}", body).result(20)
        bad = json.dumps({"v": 1, "t": at, "q": "bad"}).encode()
        for topic, body in (("flow", bad), ("colour", b"{}"), ("flow", b"none"), ("speed", b'{"v": 2}')):
            device.publish(f"factory/berlin/P-1/{topic}", body).result(20)
        wait_for(
            lambda: len(set_aside(small_store)) == 3 and len(stored_rows(small_store, TWIN, "P-1")) >= 5, "rows", 60
        )
        device.close()
        rows = stored_rows(small_store, TWIN, "P-1").iloc[:5]
        assert rows["time"].tolist() == [0, 1, 2, 3, 4]
        assert rows["flow"].tolist() == pytest.approx([100, 101, 102, 103, 104])
        assert rows["speed"].tolist() == [0, 10, 20, 30, 40]
        assert sorted(field for field, _, _ in set_aside(small_store)) == ["body", "channel", "time"]
        told = metrics_of(state, small_store)
    assert 'foretwin_connection_up{connection="plain"} 1.0' in told
    assert 'foretwin_connection_bad_values_total{code="missing",connection="plain"} 1.0' in told
    assert state.connections["plain"].last_value == (begun + timedelta(seconds=5)).timestamp()
    assert 'foretwin_connection_last_value_timestamp_seconds{connection="plain"}' in told
    assert state.connections["plain"].lag > 3500


def test_a_lost_connection_is_told_within_ten_seconds_and_the_other_one_goes_on(broker, small_store, tmp_path, caplog):
    mute = Broker(tmp_path / "mute").start()
    text = TEXT.format(url=broker.url) + TEXT.format(url=mute.url).replace("plain", "other")
    peers = written_connections(tmp_path, text, TWIN)
    try:
        with listening_to(small_store, TWIN, peers) as state:
            mute.process.send_signal(signal.SIGSTOP)  # no word of it, as where a cable is pulled
            assert soon(lambda: state.not_connected == ["other"] and "connection lost" in caplog.text, "loss") < 10
            assert 'foretwin_connection_up{connection="other"} 0.0' in metrics_of(state, small_store)
            device = connect_broker(broker.url, "device", threading.Event(), None, QUICK)
            body = json.dumps({"v": 1, "t": datetime.now(UTC).isoformat()}).encode()
            device.publish("factory/berlin/P-1/speed", body).result(20)
            wait_for(lambda: state.connections["plain"].last_value is not None, "a value of the other one", 20)
            mute.process.send_signal(signal.SIGCONT)
            wait_for(lambda: state.is_connected, "connection", 30)
            assert state.connections["other"].reconnects == 1
            device.close()
    finally:
        mute.process.send_signal(signal.SIGCONT)
        mute.stop()


def test_a_broker_that_is_killed_loses_nothing_that_it_has_acknowledged(small_store, tmp_path, caplog):
    broker, chance = KillableBroker(tmp_path / "broker").start(), random.Random(1)
    pumps = MqttPumps(broker.url, 2, 0.05)
    pumps.start()
    try:
        text = f'hall: {{url: "{broker.url}", twin: pump, tags: [{TAGS}]}}'
        with listening_to(small_store, TWIN, written_connections(tmp_path, text, TWIN)) as state:
            for _ in range(3):
                threading.Event().wait(chance.uniform(0.2, 1))
                broker.kill()
                assert soon(lambda: state.not_connected == ["hall"] and "connection lost" in caplog.text, "loss") < 10
                caplog.clear()
                broker.start()
                wait_for(lambda: state.is_connected, "connection", 60)
            pumps.quiet.set()
            pumps.join(30)
            wait_for(lambda: len(stored_rows(small_store, TWIN, "P-001")) >= pumps.published, "all readings", 60)
    finally:
        broker.kill()
    rows = stored_rows(small_store, TWIN, "P-001").iloc[: pumps.published]
    assert rows["flow"].tolist() == list(range(pumps.published))
    assert (rows["speed"] - rows["flow"] == 1000).all()
    assert set_aside(small_store) == []
    assert state.connections["hall"].reconnects == 3


def test_one_of_several_that_refuses_is_told_and_the_others_go_on(broker, small_store, tmp_path, caplog):
    (tmp_path / "users").touch(0o700)
    closed = Broker(tmp_path / "closed", (f"password_file {tmp_path}/users",)).start()
    text = TEXT.format(url=broker.url) + TEXT.format(url=closed.url).replace("plain", "other")
    try:
        with listening_to(small_store, TWIN, written_connections(tmp_path, text, TWIN), connected=False) as state:
            wait_for(lambda: "the other connections go on" in caplog.text, "refusal", 20)
            wait_for(lambda: state.not_connected == ["other"], "the other connection", 20)
            assert "Not authorized" in state.connections["other"].trouble
    finally:
        closed.stop()
