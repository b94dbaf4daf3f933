"""OpenTelemetry traces, imported only where its environment variables ask for them.

OTEL_EXPORTER_OTLP_ENDPOINT (or ..._TRACES_ENDPOINT) is where spans go, by OTLP over HTTP. OTEL_TRACES_EXPORTER is
`otlp` or `none`, OTEL_SDK_DISABLED=true switches it off. Sampler, batches, headers, propagation, the resource's
attributes and the service's name are OpenTelemetry's own variables too.
"""

import asyncio
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from foretwin.errors import ParamsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

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
                await asyncio.to_thread(self._flush)
            await send(message)

        await self.app(scope, receive, flush_first if scope["type"] == "lifespan" else send)

    def _flush(self) -> None:
        """Flush in a thread: an unreachable receiver would delay the end until its retries are over."""
        ending = threading.Thread(target=self.provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(FLUSHING)
