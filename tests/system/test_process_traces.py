"""Traces of the living twin's own work: real processes, whose spans arrive at a real OTLP receiver on loopback."""

import json
import shutil
import subprocess
import sys
import threading

from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.processes import free_port, wait_for
from support.live_project import message
from support.old_project import old_project
from support.plant_processes import PATIENCE, plant_processes
from support.tiny_bundle import environment
from support.trace_receiver import trace_receiver

FAILED = 2  # a span's status in the protocol


def attributes(span) -> dict:
    return {one.key.removeprefix("foretwin."): one.value.string_value or one.value.int_value for one in span.attributes}


def test_follow_ingest_and_watch_send_a_span_of_each_look_batch_and_pass_that_did_something(tmp_path, broker):
    """`follow` brings a champion, `ingest` stores what is sent, `watch` scores it."""
    root = old_project(tmp_path / "project")
    shutil.rmtree(root / "models/pump/champion")
    with trace_receiver() as receiver, plant_processes(root, tmp_path) as plant:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        plant.start("follow", "--every", "0.2", **settings)
        plant.start("ingest", "--mqtt", broker.url, **settings)
        plant.start("watch", **settings)
        plant.wait_until_ready()
        session = connect_broker(broker.url, "gateway", threading.Event())
        session.publish("foretwin/pump/P-7/readings", json.dumps(message(5)).encode()).result(20)
        session.close()
        wait_for(lambda: scored(receiver), "spans of a score", PATIENCE)
        for name in list(plant.running):
            plant.end(name)
    (look,) = receiver.spans_of("foretwin-follow")
    assert (look.name, attributes(look)) == ("look", {"pump": "2"})
    (batch,) = receiver.spans_of("foretwin-ingest")
    assert batch.name == "batch"
    assert attributes(batch) == {"messages": 1, "stored": 5, "quarantined": 0, "failed_attempts": 0}
    found = {span.name: span for span in scored(receiver)}
    assert found.keys() == {"pass", "network", "store"}
    assert {found[name].parent_span_id for name in ("network", "store")} == {found["pass"].span_id}
    assert attributes(found["store"]) == {"twin": "pump", "assets": 1, "scores": 1}
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in found.values())


def scored(receiver) -> list:
    """The spans of the trace in which an asset was scored; none before its pass has ended."""
    spans = receiver.spans_of("foretwin-watch")
    traces = {span.trace_id for span in spans if span.name == "pass" and attributes(span).get("scores") == 1}
    return [span for span in spans if span.trace_id in traces]


WORK = """
import logging, sys
from foretwin.serving.http.logs import log_json
from foretwin.serving.http.tracing import traced_process, work_span
log_json()
try:
    with traced_process("tests"):
        with work_span("idle") as idle:
            idle.drop()
        with work_span("pass"):
            logging.warning("of the pass")
            raise OSError("postgresql://foretwin:hunter2@db is away, says pass-word")
except OSError:
    print("opentelemetry" in sys.modules)
"""


def run_work(root, **settings: str) -> subprocess.CompletedProcess:
    env = environment(root, **settings) | {"FORETWIN_MQTT_PASSWORD": "pass-word"}
    return subprocess.run([sys.executable, "-c", WORK], env=env, capture_output=True, text=True, check=True)


def test_a_span_that_fails_says_why_without_secrets_and_one_that_is_dropped_is_not_sent(tmp_path):
    with trace_receiver() as receiver:
        done = run_work(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    (span,) = receiver.spans
    assert (span.name, span.status.code) == ("pass", FAILED)
    assert span.status.message == "postgresql://foretwin:***@db is away, says ***"
    assert list(span.events) == []
    assert json.loads(done.stderr)["trace_id"] == span.trace_id.hex()


def test_without_the_variables_the_work_loads_no_traces_and_a_receiver_that_is_away_ends_none(tmp_path):
    assert run_work(tmp_path).stdout == "False\n"
    away = f"http://127.0.0.1:{free_port()}"
    assert run_work(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=away).stdout == "True\n"
