"""The commands of both services as a person starts them, and callers on bare sockets."""

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from foretwin.serving.access.keys import SCOPES, KeyRequest, make_key
from foretwin.twin.simulator.processes import free_port, wait_for
from support.live_project import message
from support.tiny_bundle import environment

FORETWIN = Path(sys.executable).with_name("foretwin")
CALLS = {  # of each service: what is read with a key, where a body goes, and a good one
    "live": ("/v1/twins", "/v1/twins/P-1/readings?twin=pump", message()),
    "serve": (
        "/v1/models",
        "/v1/score",
        {"twin": "pump", "assets": [{"asset": "P-1", **message()}]},
    ),
}


@dataclass(frozen=True)
class Door:
    """A service that runs as a process of its own."""

    command: str
    port: int
    process: subprocess.Popen
    key: str

    @property
    def reading(self) -> str:
        """What a caller with a key may read."""
        return CALLS[self.command][0]

    @property
    def sending(self) -> str:
        """Where a caller with a key may send a body."""
        return CALLS[self.command][1]

    @property
    def body(self) -> bytes:
        """A body that is taken there."""
        return orjson.dumps(CALLS[self.command][2])

    def head(self, method: str, path: str, *lines: str, key: bool = True) -> bytes:
        """The head of a request; `lines` are further headers."""
        access = [f"Authorization: Bearer {self.key}"] if key else []
        kind = ["Content-Type: application/json"] if method == "POST" else []
        return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *access, *kind, *lines, "", ""]).encode()

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        """A connection from that address of loopback."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=15, source_address=(address, 0))

    def ask(self, path: str, address: str = "127.0.0.1", key: bool = True) -> int:
        """The status of one call on a connection of its own."""
        with self.connect(address) as wire:
            wire.sendall(self.head("GET", path, key=key))
            return heard(wire)[0]

    def descriptors(self) -> int:
        """How many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


def heard(wire: socket.socket) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Status, body and headers of the next answer."""
    response = http.client.HTTPResponse(wire)
    response.begin()
    return response.status, response.read(), response.headers


@contextmanager
def door(command: str, root: Path, files: int, **more: str) -> Iterator[Door]:
    """`foretwin live` or `foretwin serve` in a project, with a key, and `files` descriptors at most."""
    token = make_key(root / "keys.json", KeyRequest(command, tuple(SCOPES), 1e6), "ann", datetime.now(UTC))
    port, log = free_port(), root / f"{command}.log"

    with log.open("ab") as out:
        process = subprocess.Popen(
            ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(files), FORETWIN, command, "--port", str(port)],
            stdout=out,
            stderr=out,
            env=environment(root, OMP_NUM_THREADS="1", **more),
            cwd=root,
        )
    opened = Door(command, port, process, token)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return opened.ask(opened.reading) == 200
        except (OSError, http.client.HTTPException):  # the latter where a port that nobody listens on met itself
            return False

    try:
        wait_for(answers, f"{command} on port {port}", 60)
        yield opened
    finally:
        process.terminate()
        process.wait(30)
