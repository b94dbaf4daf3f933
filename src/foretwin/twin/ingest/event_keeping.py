"""Keep the events that a machine reports, for the channels that are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from foretwin.contract.categories import label_key
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.twin.ingest.single_values.taking import AHEAD
from foretwin.twin.store import Connection
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.telemetry.machine_events import add_events
from foretwin.twin.store.telemetry.run_clocks import began_at
from foretwin.wire.as_sent import event_log
from foretwin.wire.values import LARGEST


class MachineEvent(BaseModel):
    """One event: what happened, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    code: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="as the contract's `events` name it")
    time: float | str = Field(description="on the run's clock, or a moment by ISO 8601")
    run: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(default=None, description="the present one")


def keep_events(
    connection: Connection, contract: Twin, asset: Asset, events: Sequence[MachineEvent], now: datetime
) -> dict[str, int]:
    """Store events of codes of which the contract makes channels; return how many were what.

    `stored` and `duplicates`; `late` ones are among those stored and not after the newest reading, which they do not
    change; `ignored` are of other codes. BadInput names the event whose time cannot be placed.
    """
    log = event_log(contract)
    codes = {label_key(code) for code in (*log.counts.values(), *log.since.values())} if log else set()
    keeping = _Keeping(connection, contract, asset, now)
    rows = [keeping.row(place, one) for place, one in enumerate(events) if label_key(one.code) in codes]
    stored = add_events(connection, asset.id, rows, now)
    newest = (asset.run, -np.inf if asset.time is None else asset.time)
    late = sum((run, time) <= newest for run, _, time in rows)
    counts = {"stored": stored, "duplicates": len(rows) - stored, "late": late}
    return {**counts, "ignored": len(events) - len(rows)}


@dataclass(frozen=True)
class _Keeping:
    """The shared arguments of keeping one machine's events."""

    connection: Connection
    contract: Twin
    asset: Asset
    now: datetime
    began: dict[int, float | None] = field(default_factory=dict)  # of runs that were asked for

    def row(self, place: int, event: MachineEvent) -> tuple[int, str, float]:
        """Return run, key of the code, and time on the run's clock."""
        run = self.asset.run if event.run is None else event.run
        field = f"events.{place}.time"
        if isinstance(event.time, str):
            return run, label_key(event.code), self._position(field, run, event.time)
        if not 0 <= event.time <= LARGEST:
            raise BadInput(field, f"is {event.time:g}; a time since the run began is needed")
        return run, label_key(event.code), event.time

    def _position(self, field: str, run: int, text: str) -> float:
        """Return the time on the run's clock of a moment."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise BadInput(field, f'is "{text[:60]}"; a moment such as 2026-11-21T12:00:00Z is needed') from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment > self.now + AHEAD:
            raise BadInput(field, f"is {text[:60]}, which is still to come; correct the sender's clock")
        if run not in self.began:
            self.began[run] = began_at(self.connection, self.asset.id, run)
        began, unit = self.began[run], self.contract.clock.seconds
        if began is None or unit is None:
            fix = f"send the time in {self.contract.clock.unit} since it began"
            raise BadInput(field, f"is a moment, but nobody has told when run {run} began; {fix}")
        return (moment.timestamp() - began) / unit
