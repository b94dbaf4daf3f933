"""Machines of which their source says that they have left: stale at once, not only after a silence."""

from collections.abc import Sequence
from datetime import datetime

from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import slot_of
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.ingest.single_values.due import settle_assets
from foretwin.twin.store import Store, assets
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.ownership.partitioning import serialise_partitions
from foretwin.twin.store.telemetry import windows


def mark_left(store: Store, contract: Twin, names: Sequence[str], now: datetime) -> Receipt:
    """Make the readings that their last values allow; mark them as silent, with an event, until they speak again."""
    receipt = settle_assets(store, contract, names, now)
    with store.write() as connection:
        serialise_partitions(connection, map(slot_of, names))
        known = assets.find_all(connection, names).values()
        heard = [one for one in known if one.received_at is not None and not one.is_silent]
        for asset in heard:
            data = {"asset": asset.name, "run": asset.run, "time": asset.time, "received_at": asset.received_at}
            emit(connection, "asset.stale", contract.name, asset, f"assets/{asset.name}", data, now)
        windows.mark_silent(connection, [one.id for one in heard])
    return receipt
