"""Floods, odd names and exposed files against the commands as users start them."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from benchmarks.reliability.fuzz.send import memory_mb
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from support.commands import refusal, shown
from support.live_project import PUMP, living_project, score
from support.tiny_bundle import environment, random_rows, tiny_twin

FORETWIN = Path(sys.executable).with_name("foretwin")
MANY = 40_000  # readings in a body


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    root = living_project(tmp_path / "project")
    monkeypatch.chdir(root)
    return root


@contextmanager
def command(*arguments: str, ready: str, **more: str):
    """A command in a process of its own, once it has said that it is ready; and what it has said."""
    out = Path("said.txt")
    env = environment(Path.cwd(), PYTHONUNBUFFERED="1", COLUMNS="300", **more)
    with out.open("wb") as file:
        process = subprocess.Popen([FORETWIN, *arguments], stdout=file, stderr=file, env=env, umask=0)
    try:
        wait_for(lambda: ready in out.read_text() or process.poll() is not None, ready, 40)
        yield process, out.read_text
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, out.read_text()


@contextmanager
def live():
    """The address of `foretwin live`, and what it has said."""
    with command("live", "--open", "--port", "0", ready="Ctrl-C") as (_, said):
        url = re.search(r"http://\S+:\d+", said()).group()
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            yield client, said


def rows(query: str, *values) -> list[tuple]:
    connection = sqlite3.connect("twins.db")
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def csv(name: str, begin: float = 1, **lengths: int) -> str:
    """Readings of machines that are close to their end."""
    frame = random_rows(PUMP, lengths)
    frame[list(PUMP.channel_names)] = 0.0
    frame.assign(time=frame["time"] + begin - 1).to_csv(name, index=False)
    return name


def look() -> None:
    """One pass of `foretwin watch`."""
    store = open_store("sqlite:///twins.db")
    score(store, Path())
    store.close()


def test_a_body_of_readings_that_are_all_wrong_leaves_a_few_rows_and_their_number(project):
    body = {"time": list(range(MANY)), "channels": {name: [9999] * MANY for name in PUMP.channel_names}}
    with live() as (client, said):
        answer = client.post("/v1/twins/P-1/readings?twin=pump", json=body)
        told = client.get("/v1/twins/P-1").json()
        listed = client.get("/v1/quarantine", params={"sort": "-id", "limit": 1}).json()["items"]
        size = sum(path.stat().st_size for path in project.glob("twins.db*"))
    assert (answer.status_code, answer.json()["quarantined"], answer.json()["counted_only"]) == (422, MANY, MANY - 100)
    assert told["counters"]["quarantined"] == MANY
    assert (listed[0]["readings"], rows("SELECT count(*) FROM quarantine")) == (MANY - 100, [(101,)])
    assert size < 1_000_000
    assert "39,900 of 40,000 refused readings are only counted" in said()
    assert "39,900 more in the hour" in " ".join(shown("quarantine", "--limit", "1").split())
    assert "counts 39,900 readings" in refusal("quarantine", "--release", str(listed[0]["id"]))


def test_large_messages_that_wait_for_the_store_take_bounded_memory(project, broker):
    limit = {"FORETWIN_MAX_BODY_BYTES": "1000000"}
    with command("ingest", "--mqtt", broker.url, ready="listening", **limit) as (process, said):
        writer = sqlite3.connect("twins.db", isolation_level=None)
        before = memory_mb(process.pid, "VmHWM")
        writer.execute("BEGIN IMMEDIATE")
        session = connect_broker(broker.url, "sender", threading.Event(), None, Backoff(0.05, 0.5))
        for number in range(80):
            session.publish(f"foretwin/pump/P-{number}/readings", b"%d" % number + bytes(950_000)).result(20)
        session.close()
        writer.execute("ROLLBACK")
        writer.close()
        counted = "SELECT sum(readings) FROM quarantine"
        wait_for(lambda: rows(counted)[0][0] == 80, f"80 messages in quarantine {said()}", 40)
        assert memory_mb(process.pid, "VmHWM") - before < 35  # of 76 MB that were sent


def test_watch_says_that_its_memory_is_too_small(tmp_path, monkeypatch):
    monkeypatch.chdir(living_project(tmp_path / "project", tiny_twin("pump", length=1000)))
    shown("ingest", csv("rows.csv", **{f"P-{i}": 2 for i in range(500)}), "--twin", "pump")
    with command("watch", "--memory", "8", ready="8 MB hold the newest readings") as (_, said):
        wait_for(lambda: "`--memory 11` holds them all" in said(), said(), 30)
    assert re.search(r"the newest readings of 41\d of 500 assets", said())


def test_names_that_mislead_are_refused_at_every_door_and_an_old_one_can_be_read_and_erased(project, broker):
    reading = {"time": 1, "channels": dict.fromkeys(PUMP.channel_names, 0)}
    names = ["..", "P\u202e1", " ", "P-1 ", "P\u200b1"]
    random_rows(PUMP, dict.fromkeys(names[1:], 1)).to_csv("odd.csv", index=False)
    assert "4 quarantined" in shown("ingest", "odd.csv", "--twin", "pump")
    with command("ingest", "--mqtt", broker.url, ready="listening"):
        session = connect_broker(broker.url, "sender", threading.Event(), None, Backoff(0.05, 0.5))
        session.publish("foretwin/pump/../readings", json.dumps(reading).encode()).result(20)
        session.close()
        wait_for(lambda: rows("SELECT * FROM quarantine WHERE via = 'mqtt'"), "message in quarantine")
    with live() as (client, _):
        for name in names:
            path = f"/v1/twins/{quote(name).replace('.', '%2E')}"
            assert client.put(path, json={"twin": "pump"}).status_code == 422
            assert client.post(f"{path}/readings?twin=pump", json=reading).status_code == 422
        assert rows("SELECT name FROM assets") == []
        shown("ingest", csv("rows.csv", **{"P-1": 2}), "--twin", "pump")
        connection = sqlite3.connect("twins.db")
        connection.execute("UPDATE assets SET name = '..'")  # as a version before has stored it
        connection.commit()
        connection.close()
        assert client.get("/v1/twins/%2E%2E").json()["counters"]["readings"] == 2
    assert ".." in shown("twins")
    shown("erase", "..", "--yes")
    assert rows("SELECT name FROM assets") == []


def test_a_case_of_a_file_has_no_date_and_a_closed_one_neither(project):
    shown("ingest", csv("rows.csv", **{"P-1": 4}), "--twin", "pump")
    look()
    text = shown("case", "1")
    assert "| Latest safe date | unknown: the reading came in a file" in text
    shown("verdict", "1", "no_fault_found")
    assert "| State | closed |" in shown("case", "1")
    assert "safe date" not in shown("case", "1")


def test_an_hour_of_new_cases_passes_with_the_machines_clock(project):
    policy = {"open_below": 2, "close_above": 3, "new_per_hour": 1}
    contract = json.loads((project / "data/pump/twin.yaml").read_text())
    (project / "data/pump/twin.yaml").write_text(json.dumps(contract | {"cases": policy}))
    shown("ingest", csv("rows.csv", **{"P-1": 4, "P-2": 4}), "--twin", "pump")
    look()
    assert rows("SELECT fault, state FROM cases") == [("end_of_life", "open"), ("digest", "open")]
    shown("ingest", csv("later.csv", 6, **{"P-1": 4, "P-2": 4}), "--twin", "pump")  # five hours on, at once
    look()
    assert rows("SELECT fault, state FROM cases WHERE asset IS NOT NULL") == [("end_of_life", "open")] * 2


def test_the_store_and_its_log_are_their_owners_alone(project):
    shown("ingest", csv("rows.csv", **{"P-1": 2}), "--twin", "pump")
    Path("twins.db").chmod(0o644)
    with live() as (client, _):
        client.post("/v1/twins/P-1/readings", json={"time": 9, "channels": dict.fromkeys(PUMP.channel_names, 0)})
        found = {path.name: path.stat().st_mode & 0o777 for path in project.glob("twins.db*")}
    assert found == {"twins.db": 0o600, "twins.db-wal": 0o600, "twins.db-shm": 0o600}
