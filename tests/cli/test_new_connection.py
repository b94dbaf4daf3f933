"""Machines of a server become a twin: `foretwin new`, one correction, `ingest` and `watch`, and they are scored."""

import itertools
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from benchmarks.reliability.opcua_plant import MEASURED, OpcPlant
from benchmarks.reliability.sparkplug_plant import EdgeNode
from foretwin.contract.twin import load_twin
from foretwin.twin.connectors.connections.connections_file import load_connections
from foretwin.twin.connectors.connections.proposal import ListedTag, propose
from foretwin.twin.connectors.sparkplug import overheard_births
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from foretwin.twin.store.tables import assets, scores
from support.commands import refusal, shown
from support.plant_connections import set_aside, stored_rows
from support.tiny_bundle import environment, keep_tiny_champion

TAGS = ("flow", "speedSetpoint", "dischargePressure", *(f"temperature{number}" for number in range(22)))
RATES = (1, 10, 10, 20, 9000)  # s between two values of a tag; of the last ones the newest is a day old
NODE = ("flow", "power")
MIXERS = ("M-0", "M-1", "M-2")


@pytest.fixture
def plant(tmp_path):
    """A server with 500 tags of 20 pumps."""
    (tmp_path / "plant").mkdir()
    settings = {"pumps": 20, "tags": TAGS, "rates": RATES, "speed": 4.0}
    server = OpcPlant(str(tmp_path / "plant"), history=False, **settings).start()
    yield server
    server.kill()


@pytest.fixture
def measuring(broker, sparkplug_modules):
    """An edge node with three mixers that measures until the end."""
    node = EdgeNode(sparkplug_modules, broker.url)
    ended, began = threading.Event(), int(time.time()) - 7200

    def measure() -> None:
        for second in itertools.count():
            values = {name: [place, "Double", float(second)] for place, name in enumerate(NODE, 1)}
            node.tell(**{"data" if second else "birth": dict.fromkeys(MIXERS, values)}, at=(began + second) * 1000)
            if ended.wait(0.3):
                return

    thread = threading.Thread(target=measure)
    thread.start()
    yield
    ended.set()
    thread.join(60)
    node.kill()


def corrected(twin: str):
    """The contract, corrected as the page asks for: a step is a second of this plant, and values go far."""
    path = Path("data") / twin / "twin.yaml"
    text = re.sub(r"max: (250|1e\+09)", "max: 100000", path.read_text()).replace("unit: min", "unit: s")
    path.write_text(text.replace("{length: 60, shortest: 30}", "{length: 12, shortest: 6}"))
    return load_twin(path)


def scored(store) -> set[str]:
    with store.read() as connection:
        columns = select(assets.c.name).join(scores, scores.c.asset == assets.c.id)
        return set(connection.execute(columns).scalars())


@contextmanager
def commands(*every: tuple[str, ...]):
    """Commands as processes, ended as by Ctrl-C."""
    program, env = Path(sys.executable).with_name("foretwin"), environment(Path.cwd())
    processes = [subprocess.Popen([program, *one], env=env) for one in every]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
    assert [process.wait(30) for process in processes] == [0] * len(processes)


def test_a_server_and_an_edge_node_become_twins_that_are_scored_by_the_page_s_commands(
    plant, broker, measuring, tmp_path, monkeypatch
):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(overheard_births, "QUIET", 0.5)
    told = shown("new", "press", plant.url)
    assert "20 machines: P-000, P-001, P-002, P-003, P-004, ..." in told
    press = load_twin(Path("data/press/twin.yaml"))
    assert press.channel_names[:3] == ("flow", "speed_setpoint", "discharge_pressure")
    assert len(press.channels) == len(TAGS) == 500 / 20
    assert [(c.unit, c.min, c.max, c.role) for c in press.channels.values()][:3] == [
        ("degC", -50, 250, "sensor"),
        ("degC", -50, 250, "setting"),
        ("degC", -50, 250, "sensor"),
    ]
    assert "is there already" in refusal("new", "press", plant.url)
    told = shown("new", "mixer", broker.url)
    assert "3 machines: M-0, M-1, M-2" in told
    assert "flow: no range is told" in told
    contracts = [corrected("press"), corrected("mixer")]
    assert [(name, one.unit) for name, one in contracts[1].channels.items()] == [("flow", "degC"), ("power", "degC")]
    peers = load_connections(Path("connections.yaml"), {one.name: one for one in contracts})
    assert [tag.at for tag in peers[0].settings.tags] == [f"Plant/{{asset}}/{tag}" for tag in TAGS]
    assert [tag.at for tag in peers[1].settings.tags] == [f"plant/edge1/{{asset}}/{tag}" for tag in NODE]
    for contract in contracts:
        keep_tiny_champion(Path.cwd(), contract)
    store = open_store(f"sqlite:///{tmp_path}/project/twins.db")
    pumps = {f"P-{number:03d}" for number in range(20)}
    with commands(("ingest",), ("watch",)):
        wait_for(lambda: len(stored_rows(store, contracts[0], "P-019")) > 16, "readings", 90)
        wait_for(lambda: scored(store) == pumps | set(MIXERS), "a score of each machine", 60)
    assert set_aside(store) == []
    rows = stored_rows(store, contracts[0], "P-019")
    rows = rows[rows.notna().all(axis=1)]  # from when each tag has been told
    second = ((rows["flow"] - rows["time"]).iloc[-1] + rows["time"]).to_numpy()  # of the plant, at each row
    ticks = np.array([int(line) for line in (tmp_path / "plant" / MEASURED).read_text().splitlines()])
    turns = {rate: np.unique(ticks - ticks % rate) for rate in RATES}  # when tags of a rate were measured
    every = np.unique(np.concatenate([*turns.values()]))
    assert second.tolist() == every[(every >= second[0]) & (every <= second[-1])].tolist()
    for place, channel in enumerate(contracts[0].channel_names):
        of = turns[RATES[place % len(RATES)]]
        assert (rows[channel] == of[np.searchsorted(of, second, "right") - 1] + 1000 * place).all(), channel
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
