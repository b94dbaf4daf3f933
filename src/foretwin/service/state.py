"""What every call of the scoring service works with."""

from dataclasses import dataclass

from foretwin.access.guard import Guard
from foretwin.http.limits import Limits
from foretwin.service.champions import Champions
from foretwin.service.metrics import Metrics


@dataclass(frozen=True)
class Service:
    """Champions, limits, who may call, and what is counted."""

    champions: Champions
    limits: Limits
    guard: Guard
    metrics: Metrics
