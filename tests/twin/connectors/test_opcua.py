"""Tags of a real OPC UA server, in a process of its own that is killed: every value that it can give again, once."""

import random
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from benchmarks.reliability.opcua_plant import OpcPlant
from foretwin.errors import BrokerError, ConnectionsError
from foretwin.twin.connectors.listening import listen
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
PAGE = (Path(__file__).parents[3] / "docs" / "connectors.md").read_text()


@pytest.fixture
def plants(tmp_path):
    started = []

    def start(**settings) -> OpcPlant:
        folder = tmp_path / f"plant-{len(started)}"
        folder.mkdir()
        started.append(OpcPlant(str(folder), **settings).start())
        return started[-1]

    yield start
    for plant in started:
        plant.kill()


def peers_of(plant, folder, more="", tag='{at: "Plant/{asset}/{channel}"}'):
    text = f'hall: {{url: "{plant.url}", twin: pump, publish_every: 0.1, tags: [{tag}]{more}}}'
    return written_connections(folder, text, TWIN)


def stored_values(store, plant, first: float) -> dict[tuple[str, str], dict[float, float]]:
    """As the plant remembers them: pump and tag -> second of the plant -> value, read back from the readings."""
    found = {}
    for pump in {f"P-{number:03d}" for number in range(plant.pumps)}:
        rows = stored_rows(store, TWIN, pump)
        assert rows[["run", "time"]].duplicated().sum() == 0
        for tag in plant.tags:
            found[pump, tag] = dict(zip((rows["time"] + first).tolist(), rows[tag].tolist(), strict=True))
    return found


def first_second(store) -> float:
    """The plant's second at which the machines' runs began: the first tag says it."""
    return float(stored_rows(store, TWIN, "P-000")["flow"].iloc[0])


def lacking(store, plant) -> int:
    """How many of the values that the plant remembers are not stored, since the first one that is."""
    if len(stored_rows(store, TWIN, "P-000")) == 0:
        return -1
    first, missing = first_second(store), 0
    stored = stored_values(store, plant, first)
    for key, remembered in plant.remembered().items():
        newest = max(remembered)  # the last step waits for the next
        missing += sum(stored[key].get(s) != value for s, value in remembered.items() if first <= s < newest)
    return missing


def test_a_server_that_is_killed_loses_nothing_that_its_history_has_though_it_is_away_for_longer_than_values_wait(
    small_store, plants, tmp_path, caplog
):
    plant, chance = plants(), random.Random(1)
    with listening_to(small_store, TWIN, peers_of(plant, tmp_path)) as state:
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-001")) > 3, "first readings", 60)
        for _ in range(3):
            threading.Event().wait(chance.uniform(0.2, 1.5))
            plant.kill()
            assert soon(lambda: state.not_connected == ["hall"] and "connection lost" in caplog.text, "loss") < 10
            caplog.clear()
            threading.Event().wait(2 * TWIN.clock.wait)
            plant.start()
            wait_for(lambda: state.is_connected, "connection", 60)
    with listening_to(small_store, TWIN, peers_of(plant, tmp_path)) as again:  # what came while nobody listened
        plant.be_quiet()
        wait_for(lambda: lacking(small_store, plant) == 0, "what the history has", 90)
    assert set_aside(small_store) == []
    assert (state.connections["hall"].reconnects, again.connections["hall"].reconnects) == (3, 0)
    rows = stored_rows(small_store, TWIN, "P-001")
    assert len(rows) > 20
    assert (rows["speed"] - rows["flow"] == 1000).all()


def test_a_server_that_falls_silent_is_told_within_ten_seconds_and_without_history_the_gap_too(
    small_store, plants, tmp_path, caplog
):
    plant = plants(history=False, pumps=1)
    with listening_to(small_store, TWIN, peers_of(plant, tmp_path)) as state:
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-000")) > 3, "first readings", 60)
        plant.process.send_signal(signal.SIGSTOP)
        assert soon(lambda: state.not_connected == ["hall"] and "connection lost" in caplog.text, "loss") < 10
        plant.kill()
        before = len(stored_rows(small_store, TWIN, "P-000"))
        plant.start()
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-000")) > before + 3, "readings after it", 60)
    assert re.search(r"what came since \d{4}-.* UTC is lost of 2 tags without history: Plant/\{asset\}/", caplog.text)


def test_bad_values_are_told_and_a_dead_band_keeps_small_changes_away(small_store, plants, tmp_path, caplog):
    plant = plants(history=False, pumps=1, bad_every=10)
    tags = '{at: "ns=2;i=1000", asset: P-000, channel: flow}, {at: Plant/no, asset: P-0, channel: flow}, '
    tags += "{at: Plant/P-000/speed, asset: P-000, channel: speed, dead_band: 25}"
    with listening_to(small_store, TWIN, peers_of(plant, tmp_path, tag=tags)) as state:
        wait_for(lambda: state.connections["hall"].bad, "a bad value", 60)
        before = len(stored_rows(small_store, TWIN, "P-000"))
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-000")) > before + 5, "readings after it", 60)
    rows, connection = stored_rows(small_store, TWIN, "P-000"), state.connections["hall"]
    assert set(connection.bad) == {"BadSensorFailure"}
    assert caplog.text.count("hall: ns=2;i=1000 is BadSensorFailure and not stored") == 1
    assert "hall: 1 tags are not there: Plant/no" in caplog.text
    assert len(rows) > 5
    assert (rows["flow"] % 10 != 0).all()
    assert rows["speed"].nunique() == 1  # it goes up by 1, and this server compares each value with the one before
    assert connection.last_value < time.time() - 3600  # the source's own time


def test_security_trusts_one_server_and_the_page_says_how(small_store, plants, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"openssl req .*?(?=\n```)", PAGE, re.DOTALL)
    for name in ("server", "ours", "other"):
        made = command.replace("foretwin-key.pem", f"{name}-key.pem").replace("foretwin.pem", f"{name}.pem")
        subprocess.run(["bash", "-c", made], check=True, capture_output=True)
    keys = {"certificate": str(tmp_path / "server.pem"), "private_key": str(tmp_path / "server-key.pem")}
    plant = plants(history=False, pumps=1, security=keys)
    ours = "certificate: ours.pem, private_key: ours-key.pem"
    with listening_to(
        small_store, TWIN, peers_of(plant, tmp_path, f", security: {{{ours}, server_certificate: server.pem}}")
    ):
        wait_for(lambda: len(stored_rows(small_store, TWIN, "P-000")) > 3, "readings", 60)
    other = f", security: {{{ours}, server_certificate: other.pem}}"
    with listening_to(small_store, TWIN, peers_of(plant, tmp_path, other), connected=False) as state:
        wait_for(lambda: "is security.server_certificate its own?" in caplog.text, "what is wrong", 30)
        assert state.not_connected == ["hall"]
    with pytest.raises(BrokerError, match="the server refuses"):
        listen(small_store, {"pump": TWIN}, peers_of(plant, tmp_path), threading.Event(), None, QUICK)
    absent = f", security: {{{ours}, server_certificate: none.pem}}"
    with pytest.raises(BrokerError, match=r"security: No such file or directory.*none\.pem; correct the file"):
        listen(small_store, {"pump": TWIN}, peers_of(plant, tmp_path, absent), threading.Event(), None, QUICK)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (", user: me", "would go over the wire in clear; add `security`"),
        (", security: {certificate: a, private_key: b}", "server_certificate: Field required"),
        (", publish_every: 60", "publish_every"),
    ],
)
def test_what_would_be_unsafe_is_refused(tmp_path, more, told):
    text = f"x: {{url: opc.tcp://h:4840, twin: pump, tags: [{{at: a, asset: P, channel: flow}}]{more}}}"
    with pytest.raises(ConnectionsError, match=told):
        written_connections(tmp_path, text, TWIN)
