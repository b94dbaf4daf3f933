"""Which runs an asset had, as far as they are known: from which reading to which."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from foretwin.twin.store.assets import Asset
from foretwin.twin.store.summaries import runs


@dataclass(frozen=True)
class RunSpan:
    """A run: the times of its first and last reading on its clock, and when they were received."""

    run: int
    first_time: float
    last_time: float
    first_at: datetime
    last_at: datetime


_COLUMNS = [runs.c[name] for name in RunSpan.__dataclass_fields__]


def runs_of_asset(connection: Connection, asset: Asset) -> list[RunSpan]:
    """Return the runs of an asset that had readings, the oldest first; of the newest the asset's row knows the end."""
    rows = connection.execute(select(*_COLUMNS).where(runs.c.asset == asset.id).order_by(runs.c.run))
    found = [RunSpan(*row) for row in rows]
    if found and found[-1].run == asset.run and asset.time is not None and asset.received_at is not None:
        last = found[-1]
        if asset.time > last.last_time:
            found[-1] = replace(last, last_time=asset.time, last_at=asset.received_at)
    return found
