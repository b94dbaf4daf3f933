"""Metrics of the store that live, watch and ingest share: is it there, how far is the scoring behind, what waits."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.core import Metric

from foretwin.errors import BadInput, ConnectionsError, StoreError
from foretwin.operations.health.families import family
from foretwin.twin.outbox.dispatcher import targets_from
from foretwin.twin.outbox.routes.route_targets import target_name
from foretwin.twin.outbox.routes.routes_file import load_routes
from foretwin.twin.store import Store
from foretwin.twin.store.casework.delivery_queue import DeliveryQueue, delivery_queues
from foretwin.twin.store.readiness import Readiness
from foretwin.twin.store.scoring.backlog import Backlog, partition_backlogs, scoring_backlogs

KEPT = 5.0  # seconds for which an answer of the store is told again, however many ask
LONGEST = 2.0  # seconds for one


@dataclass(frozen=True)
class _Figures:
    backlogs: dict[str, Backlog]  # by twin
    partitions: dict[int, datetime | None]  # by partition: when the oldest reading came that no score has seen
    queues: list[DeliveryQueue]


class StoreState:
    """What the store says; any thread may ask. While it is away its figures are left out, not told as before."""

    def __init__(self, store: Store, root: Path) -> None:
        self._store = replace(store, read_seconds=LONGEST)
        self._targets = _targets(root)
        self._root = root
        self._readiness = Readiness(store)
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._found: _Figures | None = None

    def not_ready(self) -> str | None:
        """Say why the store takes no writes; None where it does."""
        try:
            self._readiness.check()
        except StoreError as error:
            return str(error)
        return None

    def collect(self) -> Iterable[Metric]:
        """Yield the families."""
        yield family("foretwin_store_available", [((), float(self.not_ready() is None))])
        found = self._figures()
        if found is None:
            return
        now = datetime.now(UTC)
        ages = [((twin,), _age(backlog.since, now)) for twin, backlog in found.backlogs.items()]
        yield family("foretwin_scoring_backlog_seconds", ages)
        counts = [((twin,), float(backlog.assets)) for twin, backlog in found.backlogs.items()]
        yield family("foretwin_scoring_backlog_assets", counts)
        by_partition = [((str(number),), _age(since, now)) for number, since in found.partitions.items()]
        yield family("foretwin_partition_backlog_seconds", by_partition)
        of_queues: dict[str, Callable[[DeliveryQueue], float]] = {
            "foretwin_deliveries_waiting": lambda queue: queue.waiting,
            "foretwin_deliveries_dead": lambda queue: queue.dead,
            "foretwin_delivery_oldest_seconds": lambda queue: _age(queue.since, now),
        }
        there = {queue.target for queue in found.queues}
        queues = [
            *found.queues,
            *(DeliveryQueue(target, 0, 0, None) for target in self._targets if target not in there),
        ]
        for name, figure in of_queues.items():
            yield family(name, [((queue.target,), float(figure(queue))) for queue in queues])

    def _figures(self) -> _Figures | None:
        """Ask the store, unless it has just been asked. Only twins with a champion count: nothing scores the others."""
        with self._lock:
            if time.monotonic() - self._asked >= KEPT:
                twins = [path.parts[-3] for path in sorted(self._root.glob("models/*/champion/identity.json"))]
                try:
                    with self._store.read() as connection:
                        self._found = _Figures(
                            scoring_backlogs(connection, twins),
                            partition_backlogs(connection, twins),
                            delivery_queues(connection),
                        )
                except StoreError:
                    self._found = None
                self._asked = time.monotonic()
            return self._found


def _targets(root: Path) -> tuple[str, ...]:
    """Return the targets of the settings, since nothing may wait for them; `foretwin watch` says what is wrong."""
    try:
        plain = (target.name for target in targets_from(os.environ))
        return (*plain, *(target_name(route) for route in load_routes(root)))
    except (BadInput, ConnectionsError):
        return ()


def _age(since: datetime | None, now: datetime) -> float:
    """Return the seconds since a moment; 0 without one, and where a clock was set back since."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
