"""Shared state of the scoring service."""

import asyncio
from dataclasses import dataclass, field

from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.limits import Limits
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.metrics import Metrics

LARGE_CALLS = 8  # in work at once, which bounds the memory that their bodies take


@dataclass(frozen=True)
class Service:
    """Champions, limits, access and metrics."""

    champions: Champions
    limits: Limits
    guard: Guard
    metrics: Metrics
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_CALLS))
