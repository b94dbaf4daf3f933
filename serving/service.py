"""The scoring service as a BentoML service: the same application that `python -m foretwin.serving` runs, mounted.

`foretwin serve` and the container run the application by itself, since what BentoML puts around it would cost most of
each call (docs/benchmarks.md). `bentoml serve` works too; /livez, /readyz and /metrics are then BentoML's own.
"""

import os
from pathlib import Path
from typing import ClassVar

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

from foretwin.project.settings import check_names
from foretwin.serving.scoring.app import create_scoring_app
from foretwin.serving.scoring.start import freeze, service_of

TIMEOUT = 5  # seconds; BentoML keeps what belongs to a call for this long, so that a longer one costs memory


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application, which `Scoring` makes when BentoML starts it."""
    await Scoring.application(scope, receive, send)


class Scoring:
    """Scores windows of sensor readings: remaining useful life, its interval, and the probability of each fault."""

    application: ClassVar[ASGIApp]

    def __init__(self) -> None:
        check_names()
        tags = [model.tag for model in service.bento.info.all_models] if service.bento else []
        folders = [Path(bentoml.models.get(tag).path) for tag in tags]
        Scoring.application = create_scoring_app(service_of(folders, None, os.environ))
        freeze()


service = bentoml.service(
    name="foretwin",
    traffic={"timeout": TIMEOUT},
    logging={"access": {"enabled": False}},
    envs=[{"name": "OTEL_SDK_DISABLED", "value": "true"}],  # spans of a server that nobody traces cost memory
)(Scoring)
service.mount_asgi_app(app, path="/")
