"""Commands of the living twin while their database is away, with the real commands and a real PostgreSQL."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.servers import Postgres
from foretwin.twin.simulator.processes import free_port, wait_for
from support.live_project import living_project, message
from support.tiny_bundle import environment

FORETWIN = Path(sys.executable).with_name("foretwin")


@pytest.fixture
def database():
    """A PostgreSQL of this test's own, which it may stop and start."""
    server = Postgres().start()
    yield server
    server.remove()


def test_watch_and_live_outlast_their_database_at_the_start_and_later(tmp_path, database):
    root = living_project(tmp_path / "project")
    env = environment(root, FORETWIN_STORE=database.new_database("plant"), PYTHONUNBUFFERED="1", COLUMNS="300")
    url = f"http://127.0.0.1:{(port := free_port())}"
    database.stop()
    said, processes = {}, {}
    for name, options in {"watch": (), "live": ("--open", "--port", str(port))}.items():
        said[name] = tmp_path / f"{name}.txt"
        with said[name].open("wb") as file:
            command = [FORETWIN, name, *options]
            processes[name] = subprocess.Popen(command, stdout=file, stderr=file, cwd=root, env=env)

    def wait_for_words(name: str, words: str) -> None:
        wait_for(lambda: words in said[name].read_text(), f"{name} to say {words!r}", 40)

    def is_scored(asset: str) -> bool:
        return httpx.get(f"{url}/v1/twins/{asset}").json().get("last_score") is not None

    try:
        for name in processes:
            wait_for_words(name, "waiting for the store")
        database.start()
        wait_for_words("watch", "watching; Ctrl-C ends it")
        wait_for_words("live", "answering anybody on this machine")
        assert httpx.post(f"{url}/v1/twins/P-1/readings?twin=pump", json=message(5)).status_code == 200
        wait_for(lambda: is_scored("P-1"), "a score of P-1", 40)

        database.stop(signal.SIGQUIT)
        wait_for_words("watch", "scoring goes on once it can be used again")
        assert httpx.post(f"{url}/v1/twins/P-2/readings?twin=pump", json=message(5), timeout=60).status_code == 503
        assert [process.poll() for process in processes.values()] == [None, None]

        database.start()
        assert httpx.post(f"{url}/v1/twins/P-2/readings?twin=pump", json=message(5)).status_code == 200
        wait_for(lambda: is_scored("P-2"), "a score of P-2", 60)
        for name, process in processes.items():
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0, said[name].read_text()
        assert "2 opened" in said["watch"].read_text()
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
