"""OpenTelemetry traces, imported only where its environment variables ask for them.

OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT) is where spans go, by OTLP over HTTP. OTEL_TRACES_EXPORTER is
`otlp` or `none`, OTEL_SDK_DISABLED=true switches it off. Sampler, batches, headers, propagation, the resource's
attributes and the service's name are OpenTelemetry's own variables too.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foretwin.errors import ParamsError
from foretwin.project.redaction import Redacted

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
FLUSHING = 3.0  # seconds for the last spans to leave
PROBES = "/(livez|readyz|metrics)$"  # asked every few seconds: their spans would bury the others


def traced(app: ASGIApp, service_name: str) -> ASGIApp:
    """Wrap the application in spans, children of the caller's `traceparent`; unchanged where tracing is off.

    What is still unsent leaves before the server ends. ParamsError for an exporter or a protocol that is not there.
    """
    if not _asked_for(os.environ):
        return app
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    provider = _provider(service_name)
    # Spans of each piece that is sent and received would treble their number and say nothing.
    middleware = OpenTelemetryMiddleware(
        app, excluded_urls=PROBES, tracer_provider=provider, exclude_spans=["send", "receive"]
    )
    return _Flushed(middleware, provider)


class WorkSpan:
    """A span of a process' own work; where nothing traces, each method does nothing."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span
        self._dropped = False

    def note(self, **attributes: str | int) -> None:
        """Add attributes, each with `foretwin.` before its name."""
        if self._span:
            self._span.set_attributes({f"foretwin.{name}": value for name, value in attributes.items()})

    def fail(self, reason: object) -> None:
        """Mark it as failed, with the reason without secrets."""
        if self._span:
            from opentelemetry.trace import StatusCode

            record = logging.makeLogRecord({"msg": str(reason)})
            self._span.set_status(StatusCode.ERROR, Redacted(logging.Formatter(), os.environ).format(record))

    def drop(self) -> None:
        """Send nothing of it: what was looked for was not there."""
        self._dropped = True

    def end(self) -> None:
        """End it; only now it is sent."""
        if self._span and not self._dropped:
            self._span.end()


@contextmanager
def traced_process(service_name: str) -> Iterator[None]:
    """Send the spans of the body's work, and what is unsent at its end; nothing where tracing is off.

    ParamsError for an exporter or a protocol that is not there.
    """
    if not _asked_for(os.environ):
        yield
        return
    from opentelemetry.trace import set_tracer_provider

    provider = _provider(service_name)
    set_tracer_provider(provider)
    try:
        yield
    finally:
        _flush(provider)


@contextmanager
def work_span(name: str, **attributes: str | int) -> Iterator[WorkSpan]:
    """Give the body a span, a child of the one around it; an exception marks it as failed and goes on.

    Lines that are logged meanwhile carry its `trace_id`. Outside of `traced_process` it costs and sends nothing.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        yield WorkSpan()
        return
    span = trace.get_tracer("foretwin").start_span(name)
    work = WorkSpan(span)
    work.note(**attributes)
    # OpenTelemetry's own record of an exception would hold its text and traceback as they are.
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        try:
            yield work
        except Exception as error:
            work.fail(error)
            raise
        finally:
            work.end()


def _asked_for(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    default = "otlp" if any(environ.get(name) for name in ENDPOINTS) else "none"
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip() or default
    if exporter not in ("otlp", "none"):
        raise ParamsError(f"OTEL_TRACES_EXPORTER: is {exporter!r}; there is otlp and none")
    if exporter == "none":
        return False
    for name in PROTOCOLS:
        if (environ.get(name) or PROTOCOL) != PROTOCOL:
            raise ParamsError(f"{name}: is {environ[name]!r}; spans are sent by {PROTOCOL} alone")
    return True


def _provider(service_name: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": service_name}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _Flushed:
    """Flushes unsent spans before the application reports its end."""

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        self.app = app
        self.provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI call; only the end of the lifespan is changed."""

        async def flush_first(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                await asyncio.to_thread(_flush, self.provider)
            await send(message)

        await self.app(scope, receive, flush_first if scope["type"] == "lifespan" else send)


def _flush(provider: "TracerProvider") -> None:
    """Flush in a thread: an unreachable receiver would delay the end until its retries are over."""
    ending = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
    ending.start()
    ending.join(FLUSHING)
