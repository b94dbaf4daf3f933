"""A receiver of webhooks on loopback, in a thread: it verifies every signature and can fail, be slow and go away."""

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from foretwin.twin.simulator.processes import free_port

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four bytes or more").decode()


@dataclass
class Receiver:
    """`answers` are given one after the other, then 204; `delay` is how long each of them takes."""

    answers: list[int] = field(default_factory=list)
    delay: float = 0
    port: int = field(default_factory=free_port)
    calls: list[tuple[dict, dict]] = field(default_factory=list)  # headers and body of each, sound ones alone
    unsound: list[str] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [body["id"] for _, body in self.calls]

    def start(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = receiver.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(status)
                if status == 307:
                    self.send_header("location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def take(self, path: str, headers: dict, body: bytes) -> int:
        time.sleep(self.delay)
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        age = abs(time.time() - int(headers["webhook-timestamp"]))
        if path != "/hook" or headers["webhook-signature"] != f"v1,{expected}" or age > 60:
            self.unsound.append(f"{path} {headers}")
            return 401
        self.calls.append((headers, json.loads(body)))
        return self.answers.pop(0) if self.answers else 204
