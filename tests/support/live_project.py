"""A project of tiny twins with champions, and its HTTP interface: a real server on a free port of this machine."""

import re
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from foretwin.serving.access.authentication import Guard
from foretwin.twin.api.server import serve_twins
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from support.tiny_bundle import environment, tiny_project, tiny_twin

PUMP = tiny_twin("pump")
OPEN = Guard(None)
FAN = tiny_twin("fan", rul=False)


def living_project(root: Path, *twins, bias: float = 1) -> Path:
    """The folder of a project with these twins; a pump that shows nothing is close to its end."""
    chosen = twins or (PUMP, FAN)
    tiny_project(root, *chosen, bias=bias)
    for twin in chosen:
        (root / "data" / twin.name).mkdir(parents=True)
        (root / "data" / twin.name / "twin.yaml").write_text(twin.model_dump_json())
    return root


@contextmanager
def live(store, root: Path, guard=OPEN):
    """A client of the server, which ends with the block; everybody may call unless a guard says otherwise."""
    stop, ready, urls = threading.Event(), threading.Event(), []

    def started(url):
        urls.append(url)
        ready.set()

    thread = threading.Thread(target=serve_twins, args=(store, root, guard, ("127.0.0.1", 0), stop, started))
    thread.start()
    try:
        assert ready.wait(20), "the server did not start"
        with httpx.Client(base_url=urls[0], trust_env=False, timeout=30) as client:
            yield client
    finally:
        stop.set()
        thread.join(20)


@contextmanager
def live_process(root: Path, *arguments: str):
    """The URL of `foretwin live` in a process of its own, in the project's folder."""
    said = root / "live.txt"
    command = [Path(sys.executable).with_name("foretwin"), "live", "--port", "0", *arguments]
    with said.open("wb") as out:
        env = environment(root, PYTHONUNBUFFERED="1")
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=root, env=env)
    try:
        wait_for(lambda: "Ctrl-C" in said.read_text() or process.poll() is not None, "line of the command", 40)
        yield re.search(r"http://\S+:\d+", said.read_text()).group()
    finally:
        process.kill()
        process.wait()


@contextmanager
def live_sqlite(root: Path):
    """As `live`, of a project and a SQLite store of its own, for tests that leave nothing in it."""
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, living_project(root / "project")) as client:
        yield client
    store.close()


def message(count: int = 3, start: float = 1, value: float = 0.0, **more) -> dict:
    """Readings of one asset; each channel always shows `value`."""
    time = [start + i for i in range(count)]
    return {"time": time, "channels": {name: [value] * count for name in PUMP.channel_names}} | more


def score(store, root: Path) -> int:
    """One pass of the scoring loop; how many assets were scored."""
    watching = Watching(store, root, WatchSettings())
    with closing(watching.owner):
        return score_once(watching, lambda: datetime.now(UTC))


def assert_problem(response, status: int, field: str, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert {"type", "title", "status", "detail", "field"} <= set(problem)
    assert (problem["status"], problem["field"]) == (status, field), problem
    assert "Traceback" not in response.text
    for word in words:
        assert word in problem["detail"]
