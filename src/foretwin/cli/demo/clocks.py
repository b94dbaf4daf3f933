"""The clocks of the demonstration's pumps, whose hours pass in a fraction of a second.

A reading says how old its run is. Of readings that come faster than they were taken nobody knows the date, so that no
case would have one. Here the moment is known: each pump's newest reading is of the time at which it came.
"""

from collections.abc import Iterable
from datetime import datetime

from foretwin.contract.twin import Twin
from foretwin.twin.store import Store, assets
from foretwin.twin.store.telemetry.run_clocks import RunClock, keep_clocks

MICROSECONDS = 1e6


def date_newest(store: Store, contract: Twin, names: Iterable[str], since: datetime) -> None:
    """Say when the runs of these pumps began, so that their newest readings were taken when they came.

    A pump that has sent nothing since that moment has no reading of its run yet.
    """
    unit = (contract.clock.seconds or 1.0) * MICROSECONDS
    with store.write() as connection:
        clocks = []
        for asset in assets.find_all(connection, names).values():
            if asset.time is not None and asset.received_at is not None and asset.received_at >= since:
                at = asset.received_at.timestamp() * MICROSECONDS
                clocks.append(RunClock(asset.id, asset.run, True, at - asset.time * unit, at, None, None))
        keep_clocks(connection, clocks)
