"""What one process says of itself: alive, ready, and its metrics."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from foretwin import __version__
from foretwin.operations.health.families import family
from foretwin.project.loops import Heartbeat

Check = Callable[[], str | None]  # what is wrong, None where nothing is


@dataclass(eq=False)
class ProcessState(Collector):
    """A process by its heartbeat; `checks` say why it is not ready, `collect_more` gives families of its own."""

    name: str
    heartbeat: Heartbeat
    checks: tuple[Check, ...] = ()
    collect_more: tuple[Callable[[], Iterable[Metric]], ...] = ()
    _registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        """Register what is exposed."""
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def not_alive(self) -> str | None:
        """Say since when the work hangs; only a restart helps then. What it waits for is no reason."""
        late = self.heartbeat.hangs_for
        return None if late is None else f"{self.name} has not moved for {late:.0f} seconds more than it may"

    def not_ready(self) -> str | None:
        """Say what it cannot do its work without; None where it works."""
        if hanging := self.not_alive():
            return hanging
        if self.heartbeat.trouble:
            return self.heartbeat.trouble
        if self.heartbeat.done_at is None:
            return f"{self.name} has not come through its work yet"
        return next((wrong for check in self.checks if (wrong := check())), None)

    def exposition(self) -> bytes:
        """Return the body of GET /metrics."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Say nothing in advance: to collect is to ask the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        yield family("foretwin_process_info", [((self.name, __version__), 1.0)])
        yield family("foretwin_ready", [((), float(self.not_ready() is None))])
        done_at = self.heartbeat.done_at
        yield family("foretwin_last_pass_timestamp_seconds", [] if done_at is None else [((), done_at)])
        for collect in self.collect_more:
            yield from collect()
