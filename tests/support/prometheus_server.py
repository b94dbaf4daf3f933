"""A real Prometheus on loopback with a data folder of its own."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from foretwin.twin.simulator.processes import PATIENCE, free_port, started, wait_for


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def get(self, path: str, **parameters: str) -> object:
        """What its API answers; HTTPError where it refuses, such as an expression that it cannot read."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=10) as answer:
            content = json.load(answer)
        assert content["status"] == "success"
        assert not content.get("warnings"), content
        return content["data"]

    def ask(self, expression: str) -> list[dict]:
        """The series of an instant query."""
        return self.get("query", query=expression)["result"]


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    found = shutil.which(name)
    assert found, f"{name}: is not installed; on Debian `apt install prometheus` brings it"
    return found


@contextmanager
def prometheus(config: Path):
    """Prometheus with this configuration while the body runs; it keeps its data beside the file."""
    port = free_port()
    command = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={config.parent / 'data'}"]
    process = started([*command, f"--web.listen-address=127.0.0.1:{port}"], config.parent / "log.txt", config.parent)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: process.poll() is not None or _ready(url), f"Prometheus: see {config.parent}/log.txt")
        assert process.poll() is None, (config.parent / "log.txt").read_text()
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/-/ready", timeout=1):
            return True
    except OSError:  # it listens a while before it answers
        return False
