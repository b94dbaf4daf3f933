"""Where connectors put what they receive: one transaction at a time, and back-pressure while the store is away."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from foretwin.contract.twin import Twin
from foretwin.errors import StoreAway
from foretwin.project.loops import Backoff, Heartbeat
from foretwin.serving.http.tracing import work_span
from foretwin.twin.connectors.completeness import lagging_machines, silent_machines
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.ingest.ingest import Sending, ingest_as
from foretwin.twin.ingest.leaving import mark_left
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.ingest.single_values.due import settle_due, settle_silent
from foretwin.twin.ingest.single_values.settling import LONGEST_HOLD
from foretwin.twin.ingest.single_values.taking import Holding
from foretwin.twin.ingest.snapshot_keeping import keep_snapshots
from foretwin.twin.store import Store
from foretwin.wire.readings import Decoded

logger = logging.getLogger("foretwin.listening")

T = TypeVar("T")
RETRY = Backoff(shortest=0.5, longest=30.0)  # s between two attempts to reach a store that is away


@dataclass
class Sink:
    """The store as connectors see it. `told` hears of each transaction after its commit."""

    store: Store
    contracts: Mapping[str, Twin]
    stop: threading.Event
    told: Callable[[Receipt], None] | None = None
    root: Path = Path()
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    states: Sequence[ConnectionState] = ()  # of all connections
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def take(self, decoded: Sequence[Decoded], via: str, state: ConnectionState) -> bool:
        """Store what came together, however long the store is away: only then may it be acknowledged.

        False where `stop` is set before. Whoever waits for the answer reads nothing on meanwhile, so that what is not
        stored stays with its source. StoreError where the store refuses.
        """
        with self._turn:
            receipt = self._stored(decoded, via)
            if receipt is None:
                return False
            state.mark_stored(decoded)
        keep_snapshots(self.root, decoded, datetime.now(UTC))
        if self.told:
            self.told(receipt)
        return True

    def leave(self, contract: Twin, names: Sequence[str]) -> None:
        """Note that machines have left; while the store is away nobody is told, and their silence will tell."""
        with self._turn:
            try:
                receipt = mark_left(self.store, contract, names, datetime.now(UTC))
            except StoreAway as error:
                logger.warning("%s; that %d machines have left is not noted", error, len(names))
                return
        if self.told and receipt.stored:
            self.told(receipt)

    def expect(self, state: ConnectionState, twin: str, names: Iterable[str]) -> None:
        """Note machines that a connection speaks of, and of which values may wait since before this process began."""
        with self._turn:
            state.completeness.expect(twin, names)

    def forget(self, state: ConnectionState) -> None:
        """Forget which machines a connection speaks of: another process may have taken some of them over."""
        with self._turn:
            state.completeness.machines.clear()
            state.completeness.waiting.clear()

    def settle(self) -> None:
        """Make readings of values that have waited long enough; none while the store is away.

        Not of those that a connection brought, while it is lost or what came meanwhile is being fetched.
        """
        with self._turn, work_span("settle") as span:
            try:
                settled = settle_due(self.store, self.contracts, datetime.now(UTC)) + self._settle_silent()
            except StoreAway:
                settled = Receipt()
            span.note(stored=settled.stored)
            if not settled.stored:
                span.drop()
        if self.told and settled.stored:
            self.told(settled)

    def _settle_silent(self) -> Receipt:
        every, settled = [state.completeness for state in self.states], Receipt()
        for state in self.states:
            if state.completeness.gives_up():
                hold = LONGEST_HOLD.total_seconds() / 60
                told = "readings are made of what waits of its machines, what comes of them later goes to quarantine"
                logger.warning("%s: lost, or behind, for %g minutes: %s", state.name, hold, told)
        for twin, names in silent_machines(every, self.contracts).items():
            settled += settle_silent(self.store, self.contracts[twin], names, datetime.now(UTC))
            for one in every:
                one.waiting -= {(twin, name) for name in names}
        return settled

    def patiently(self, work: Callable[[], T], failures: list[str] | None = None) -> T:
        """Return what `work` returns, however long the store is away; `failures` gets what its attempts failed at.

        StoreAway where `stop` is set before.
        """
        failures = [] if failures is None else failures
        while True:
            try:
                done = work()
            except StoreAway as error:
                failures.append(str(error))
                if len(failures) == 1:
                    logger.warning("%s; nothing is acknowledged meanwhile, trying again", error)
                self.heartbeat.fail(str(error), pause := RETRY.wait(len(failures)))
                if self.stop.wait(pause):
                    raise
                continue
            if failures:
                logger.warning("%s: storing again", self.store.name)
            return done

    def _stored(self, decoded: Sequence[Decoded], via: str) -> Receipt | None:
        def attempt() -> Receipt:
            lagging = lagging_machines([one.completeness for one in self.states], self.contracts, decoded)
            sending = Sending(via, "next", datetime.now(UTC), holding=Holding(lagging))
            return ingest_as(self.store, self.contracts, decoded, sending)

        failures: list[str] = []
        with work_span("batch", messages=len(decoded)) as span:
            try:
                receipt = self.patiently(attempt, failures)
            except StoreAway as error:
                span.fail(error)
                return None
            span.note(stored=receipt.stored, quarantined=len(receipt.rejected), failed_attempts=len(failures))
            return receipt
