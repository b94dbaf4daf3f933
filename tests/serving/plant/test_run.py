"""What the compose file runs, run: its commands, settings and probes, its broker's configuration and rules."""

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime

import httpx
import pytest
import yaml

from benchmarks.servers import Postgres
from foretwin.operations.env_file import read_env_file
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import wait_for
from support.live_project import living_project, message
from support.plant_processes import PATIENCE, plant_processes
from support.tiny_bundle import REPOSITORY

pytestmark = pytest.mark.dated
SERVING = REPOSITORY / "serving"
SERVICES = yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]
OURS = ("live", "watch", "ingest")


@pytest.fixture
def broker(tmp_path):
    """The broker of the compose file: its configuration with this machine's folders and a free port, and its users."""
    folder = tmp_path / "broker"
    folder.mkdir()
    lines = (SERVING / "compose/mosquitto.conf").read_text()
    lines = lines.replace("/mosquitto/config", str(folder)).replace("/mosquitto/data", str(folder))
    kept = [
        line for line in lines.splitlines() if not line.startswith(("listener", "persistence", "autosave_interval"))
    ]
    (folder / "mosquitto.acl").write_text((SERVING / "compose/mosquitto.acl").read_text())
    for name in ("foretwin", "P-1"):
        create = [] if (folder / "mosquitto.users").exists() else ["-c"]
        command = ["mosquitto_passwd", "-b", *create, "mosquitto.users", name, f"word of {name}"]
        subprocess.run(command, cwd=folder, check=True)
    for path in folder.iterdir():
        path.chmod(0o700)
    server = Broker(folder, tuple(kept)).start()
    yield server
    server.stop()


def settings_of(name: str, broker: Broker, database: Postgres, folder) -> dict[str, str]:
    """The settings that compose gives to a service, with the addresses and folders of this machine."""
    settings = read_env_file(SERVING / "compose/foretwin.env.example") | SERVICES[name]["environment"]
    assert settings["FORETWIN_MQTT_URL"] == "mqtt://foretwin@broker:1883"
    assert settings["FORETWIN_STORE"].endswith("@database/foretwin")
    return settings | {
        "FORETWIN_MQTT_URL": broker.url.replace("//", "//foretwin@"),
        "FORETWIN_MQTT_PASSWORD": "word of foretwin",
        "FORETWIN_STORE": database.url.replace("/postgres", "/foretwin"),
        "FORETWIN_KEYS": str(folder / "keys.json"),
        "FORETWIN_ARCHIVE": str(folder / "archive"),
    }


def send_as_gateway(broker: Broker, asset: str, monkeypatch) -> None:
    """Send readings of an asset as the user P-1."""
    monkeypatch.setenv("FORETWIN_MQTT_PASSWORD", "word of P-1")
    session = connect_broker(broker.url.replace("//", "//P-1@"), f"gateway-{asset}", threading.Event())
    try:
        session.publish(f"foretwin/pump/{asset}/readings", json.dumps(message(5)).encode()).exception(20)
    finally:
        session.close()


def test_the_plant_of_the_compose_file_scores_what_a_gateway_sends_and_its_probes_say_so(tmp_path, broker, monkeypatch):
    root = living_project(tmp_path / "project")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    token = make_key(tmp_path / "keys.json", KeyRequest("ann", ["read"], 100.0), "tests", datetime.now(UTC))
    database = Postgres().start()
    try:
        database.new_database("foretwin")
        with plant_processes(root, tmp_path) as plant:
            for name in OURS:
                more = ("--port", str(plant.port)) if name == "live" else ()
                settings = settings_of(name, broker, database, tmp_path)
                plant.start(*SERVICES[name]["command"], *more, **settings)
            for name in OURS:
                wait_for(lambda name=name: probed(plant, name) == 0, f"{name} to be healthy", PATIENCE)
            send_as_gateway(broker, "P-1", monkeypatch)
            send_as_gateway(broker, "P-2", monkeypatch)  # which its rules of access do not allow
            client = httpx.Client(base_url=plant.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
            wait_for(lambda: client.get("/v1/twins/P-1").json().get("last_score"), "a score of P-1", PATIENCE)
            assert client.get("/v1/twins/P-2").status_code == 404
            assert httpx.get(f"{plant.url}/v1/twins", trust_env=False).status_code == 401
            broker.stop()
            wait_for(lambda: probed(plant, "ingest") == 1, "ingest to be unhealthy", PATIENCE)
            broker.start()
            for name in OURS:
                plant.end(name)
    finally:
        database.remove()
    after = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert after == before, "the project is mounted read-only: nothing may be written there"


def probed(plant, name: str) -> int:
    """The exit code of the service's own probe."""
    _, program, *arguments = SERVICES[name]["healthcheck"]["test"]
    assert program == "python"
    port = SERVICES[name]["environment"]["FORETWIN_HEALTH_PORT"]
    asked = [argument.replace(f":{port}/", f":{plant.health[name]}/") for argument in arguments]
    return subprocess.run([sys.executable, *asked], capture_output=True, check=False).returncode
