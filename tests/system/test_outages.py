"""The living twin while its database or its broker is away: real commands, a real PostgreSQL, a real Mosquitto."""

import signal
from functools import partial

import httpx
import pytest

from benchmarks.servers import Postgres
from foretwin.twin.simulator.processes import wait_for
from support.live_project import living_project, message
from support.plant_processes import PATIENCE, PlantProcesses, plant_processes


@pytest.fixture
def database():
    """A PostgreSQL of this test's own, which it may stop and start."""
    server = Postgres().start()
    yield server
    server.remove()


def test_the_processes_outlast_their_database_and_broker_and_say_how_they_are(tmp_path, database, broker):
    store = {"FORETWIN_STORE": database.new_database("plant")}
    database.stop()
    with plant_processes(living_project(tmp_path / "project"), tmp_path) as plant:
        plant.start("watch", **store)
        plant.start("live", "--open", "--port", str(plant.port), **store)
        plant.start("ingest", "--mqtt", broker.url, **store)
        for name in plant.running:
            plant.wait_for_words(name, "waiting for the store")
        database.start()
        plant.wait_for_words("live", "answering anybody on this machine")
        assert httpx.post(f"{plant.url}/v1/twins/P-1/readings?twin=pump", json=message(5)).status_code == 200
        wait_for(lambda: is_scored(plant, "P-1"), "a score of P-1", PATIENCE)
        check_while_well(plant)

        broker.stop()
        plant.wait_until_not_ready("ingest", "not connected: mqtt")
        assert "foretwin_broker_connected 0.0" in plant.asked("ingest", "/metrics").text
        broker.start()
        plant.wait_until_ready("ingest")

        database.stop(signal.SIGQUIT)
        plant.wait_for_words("watch", "scoring goes on once it can be used again")
        answer = httpx.post(f"{plant.url}/v1/twins/P-2/readings?twin=pump", json=message(5), timeout=60)
        assert answer.status_code == 503
        assert [process.poll() for process in plant.running.values()] == [None, None, None]
        check_without_a_store(plant)

        database.start()
        assert httpx.post(f"{plant.url}/v1/twins/P-2/readings?twin=pump", json=message(5)).status_code == 200
        wait_for(lambda: is_scored(plant, "P-2"), "a score of P-2", PATIENCE)
        plant.wait_until_ready()
        for name in list(plant.running):
            plant.end(name)
        assert "2 opened" in plant.said("watch")
        check_log_of_live(plant)


def is_scored(plant: PlantProcesses, asset: str) -> bool:
    return plant.client.get(f"{plant.url}/v1/twins/{asset}").json().get("last_score") is not None


def check_while_well(plant: PlantProcesses) -> None:
    plant.wait_until_ready()
    for name in plant.running:
        assert "foretwin_store_available 1.0" in plant.asked(name, "/metrics").text
    assert 'foretwin_scores_total{twin="pump"} 1.0' in plant.asked("watch", "/metrics").text
    up_to_date = 'foretwin_scoring_backlog_seconds{twin="pump"} 0.0'
    wait_for(lambda: up_to_date in plant.asked("live", "/metrics").text, "the end of the backlog", PATIENCE)


def check_without_a_store(plant: PlantProcesses) -> None:
    for name in plant.running:
        plant.wait_until_not_ready(name, "plant")
        wait_for(partial(is_told_without_a_store, plant, name), f"figures of {name} without a store", PATIENCE)


def is_told_without_a_store(plant: PlantProcesses, name: str) -> bool:
    """Whether it says that the store is away, and no backlog, which nobody knows then; answers are kept for seconds."""
    text = plant.asked(name, "/metrics").text
    return "foretwin_store_available 0.0" in text and "foretwin_scoring_backlog_seconds{" not in text


def check_log_of_live(plant: PlantProcesses) -> None:
    lines = plant.logged("live")
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, lines))
    refused = next(line for line in lines if line.get("status") == 503)
    assert (refused["route"], refused["method"]) == ("/v1/twins/{asset}/readings", "POST")
    assert refused["request_id"]
