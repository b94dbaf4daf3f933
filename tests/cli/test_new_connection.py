"""A server of machines becomes a twin: `foretwin new`, one correction, `foretwin ingest`, and readings are there."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.reliability.opcua_plant import OpcPlant
from foretwin.contract.twin import load_twin
from foretwin.twin.connectors.connections.connections_file import load_connections
from foretwin.twin.connectors.connections.proposal import ListedTag, propose
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from support.commands import refusal, shown
from support.plant_connections import stored_rows
from support.tiny_bundle import environment

TAGS = ("flow", "speedSetpoint", "dischargePressure")


@pytest.fixture
def plant(tmp_path):
    (tmp_path / "plant").mkdir()
    server = OpcPlant(str(tmp_path / "plant"), pumps=20, tags=TAGS, history=False).start()
    yield server
    server.kill()


def test_a_server_becomes_a_twin_by_the_page_s_commands(plant, tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    told = shown("new", "press", plant.url)
    assert "20 machines: P-000, P-001, P-002, P-003, P-004, ..." in told
    contract = load_twin(tmp_path / "project/data/press/twin.yaml")
    assert contract.channel_names == ("flow", "speed_setpoint", "discharge_pressure")
    assert [(c.unit, c.min, c.max, c.role) for c in contract.channels.values()] == [
        ("degC", -50, 250, "sensor"),
        ("degC", -50, 250, "setting"),
        ("degC", -50, 250, "sensor"),
    ]
    (peer,) = load_connections(tmp_path / "project/connections.yaml", {"press": contract})
    assert [tag.at for tag in peer.settings.tags] == [f"Plant/{{asset}}/{tag}" for tag in TAGS]
    assert "is there already" in refusal("new", "press", plant.url)
    # the correction: values beyond 250 are as they should be, and a step is a second of the plant
    text = (tmp_path / "project/data/press/twin.yaml").read_text()
    text = re.sub(r"max: 250", "max: 100000", text).replace("unit: min", "unit: s")
    (tmp_path / "project/data/press/twin.yaml").write_text(text)
    store = open_store(f"sqlite:///{tmp_path}/project/twins.db")
    command = [Path(sys.executable).with_name("foretwin"), "ingest", "press"]
    listening = subprocess.Popen(command, env=environment(Path.cwd()))
    try:
        wait_for(lambda: len(stored_rows(store, contract, "P-019")) > 3, "readings", 90)
    finally:
        listening.send_signal(signal.SIGINT)
    assert listening.wait(30) == 0
    rows = stored_rows(store, contract, "P-019")
    assert (rows["discharge_pressure"] - rows["flow"] == 2000).all()
    store.close()


def test_a_server_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin = time.monotonic()
    assert "opc.tcp://127.0.0.1:1/: cannot be read" in refusal("new", "press", "opc.tcp://127.0.0.1:1/")
    assert time.monotonic() - begin < 30
    assert not (tmp_path / "data").exists()


def test_machines_are_told_apart_by_the_level_that_repeats(tmp_path):
    tags = [
        ListedTag(f"Site/Line/{name}/Bearing/{tag}", True, "°C", 0, 9) for name in ("A", "B") for tag in ("T1", "T2")
    ]
    tags += [
        ListedTag("Site/Line/A/Motor/T1", True),
        ListedTag("Site/Line/B/Motor/T1", True, "furlongs/x"),
        ListedTag("Site/v", False),
    ]
    found = propose("press", "opc.tcp://h", tags)
    (tmp_path / "twin.yaml").write_text(found.contract)
    contract = load_twin(tmp_path / "twin.yaml")
    assert contract.channel_names == ("bearing_t1", "t2", "motor_t1")
    assert '"Site/Line/{asset}/Bearing/T1"' in found.connection
    assert "motor_t1: no range is told; min and max are wide, correct them" in found.told
    assert "1 of 7 tags are left out: no numbers, or not of these machines" in found.told


def test_a_single_machine_is_named_after_its_object(tmp_path):
    found = propose("press", "opc.tcp://h", [ListedTag("Press7/T", True, "bar", 0, 9), ListedTag("Press7/9x", True)])
    (tmp_path / "twin.yaml").write_text(found.contract)
    (tmp_path / "connections.yaml").write_text(found.connection)
    (peer,) = load_connections(tmp_path / "connections.yaml", {"press": load_twin(tmp_path / "twin.yaml")})
    assert [(tag.at, tag.asset, tag.channel) for tag in peer.settings.tags] == [
        ("Press7/T", "Press7", "t"),
        ("Press7/9x", "Press7", "c_9x"),
    ]
