"""Detect assets that have been silent longer than their contract allows, and emit events about them."""

from collections.abc import Callable, Mapping
from datetime import datetime

from foretwin.contract.twin import Twin
from foretwin.twin.store import Store, assets
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.ownership.partitioning import WHOLE, Partition, still_is
from foretwin.twin.store.telemetry import windows

EVENTS_AT_ONCE = 500  # in one transaction


def is_stale(contract: Twin, received_at: datetime | None, now: datetime) -> bool:
    """Whether the last reading is older than `cases.stale_after`; an asset without readings is not stale."""
    allowed = contract.longest_silence
    return allowed is not None and received_at is not None and now - received_at > allowed


def heard_since(contracts: Mapping[str, Twin], now: datetime) -> dict[str, datetime]:
    """Return by twin the moment before which a last reading is stale; only where the contract has a limit."""
    allowed = {name: contract.longest_silence for name, contract in contracts.items()}
    return {name: now - silence for name, silence in allowed.items() if silence is not None}


def emit_stale(store: Store, contract: Twin, clock: Callable[[], datetime], partition: Partition = WHOLE) -> int:
    """Emit one `asset.stale` for each asset of the partition that has become stale; return how many.

    An asset is told again only after it has spoken again, whatever restarts and however many loops there are: who has
    been told of is marked in the transaction that adds the event. A pass without one reads no asset.
    """
    allowed = contract.longest_silence
    if allowed is None:
        return 0
    with store.read() as connection:
        found = windows.silent(connection, contract.name, clock() - allowed, partition)
    told = 0
    for begin in range(0, len(found), EVENTS_AT_ONCE):
        with store.write() as connection:
            if not still_is(connection, partition):
                return told
            now = clock()
            still = set(windows.silent(connection, contract.name, now - allowed, partition))
            chosen = [number for number in found[begin : begin + EVENTS_AT_ONCE] if number in still]
            known = assets.by_id(connection, chosen)
            for asset in (known[number] for number in chosen):
                data = {"asset": asset.name, "run": asset.run, "time": asset.time, "received_at": asset.received_at}
                emit(connection, "asset.stale", contract.name, asset, f"assets/{asset.name}", data, now)
            windows.mark_silent(connection, chosen)
        told += len(chosen)
    return told
