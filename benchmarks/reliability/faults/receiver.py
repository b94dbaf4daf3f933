"""A receiver of webhooks that remembers which events it has taken, and how often."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from foretwin.twin.simulator.processes import free_port


@dataclass
class Receiver:
    """`taken` counts the deliveries of each event, `openings` the events that tell of one case's opening."""

    host: str
    port: int = field(default_factory=free_port)
    taken: Counter[str] = field(default_factory=Counter)
    openings: Counter[str] = field(default_factory=Counter)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where events go."""
        return f"http://{self.host}:{self.port}/events"

    def start(self) -> "Receiver":
        """Listen, in a thread."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer((self.host, self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def take(self, event: dict[str, str]) -> None:
        """Count an event; one that comes again by its id is no second opening."""
        if self.taken[event["id"]] == 0 and event["type"] == "foretwin.case.opened.v1":
            self.openings[event["subject"]] += 1
        self.taken[event["id"]] += 1

    def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
