"""An OTLP receiver on loopback, as a collector of traces is one."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class TraceReceiver:
    """What came: path, headers and content of each call."""

    url: str = ""
    sent: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        """In the order in which they came."""
        parts = [part for *_, request in self.sent for part in request.resource_spans]
        return [span for part in parts for scope in part.scope_spans for span in scope.spans]

    def spans_of(self, service: str) -> list[Span]:
        """Those of the process with this `service.name`."""
        parts = [part for *_, request in self.sent for part in request.resource_spans]
        own = [part for part in parts if resource(part)["service.name"] == service]
        return [span for part in own for scope in part.scope_spans for span in scope.spans]

    @property
    def resource(self) -> dict[str, str]:
        """That of the first call."""
        return resource(self.sent[0][2].resource_spans[0])


def resource(part) -> dict[str, str]:
    return {one.key: one.value.string_value for one in part.resource.attributes}


@contextmanager
def trace_receiver() -> Iterator[TraceReceiver]:
    """A receiver that listens for the body's time."""
    received = TraceReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            received.sent.append((self.path, dict(self.headers), ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    received.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
