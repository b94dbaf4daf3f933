"""Readings of values that have waited long enough: nothing more has come for as long as the contract says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import slot_of
from foretwin.twin.ingest.dates import date_machines
from foretwin.twin.ingest.ingest import Sending, ingest_within
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.ingest.single_values.pending import PendingValues
from foretwin.twin.ingest.single_values.settling import LONGEST_HOLD, settle_values, wait_of
from foretwin.twin.ingest.single_values.taking import made_readings, note_clocks, start_of
from foretwin.twin.store import Connection, Store, assets
from foretwin.twin.store.ownership.partitioning import WHOLE, Partition, serialise_partitions
from foretwin.twin.store.telemetry import pending_samples
from foretwin.wire.readings import Decoded

AT_ONCE = 500  # assets in one transaction


def settle_due(store: Store, contracts: Mapping[str, Twin], now: datetime, partition: Partition = WHOLE) -> Receipt:
    """Make readings of what has waited for the contract's `clock.wait` since the last value of its asset came.

    Values that came by a connection have waited for `LONGEST_HOLD` besides. Values of a clock that does not count time
    wait for later ones.
    """
    receipt = Receipt()
    for contract in contracts.values():
        seconds = contract.clock.seconds
        if seconds is None:
            continue
        before = now - timedelta(seconds=wait_of(contract) * seconds)
        while due := _due(store, contract.name, before, partition):
            held_of = partial(pending_samples.find_due, asset_ids=list(due), before=before)
            receipt += _settle(store, contract, due.values(), held_of, now)
    return receipt


def settle_silent(store: Store, contract: Twin, names: Sequence[str], now: datetime) -> Receipt:
    """Make readings of what waits of these machines since their connections have nothing more to say of it.

    Not of those of which another process has stored a value since then.
    """
    before = now + LONGEST_HOLD - timedelta(seconds=wait_of(contract) * (contract.clock.seconds or 0.0))

    def held_of(connection: Connection, some: Sequence[str]) -> dict[int, bytes]:
        known = assets.find_all(connection, some, for_update=True)
        return pending_samples.find_due(connection, [one.id for one in known.values()], before, after=now)

    receipt = Receipt()
    for begin in range(0, len(names), AT_ONCE):
        some = names[begin : begin + AT_ONCE]
        receipt += _settle(store, contract, map(slot_of, some), partial(held_of, some=some), now)
    return receipt


def settle_assets(store: Store, contract: Twin, names: Sequence[str], now: datetime) -> Receipt:
    """Make readings of all that waits of these machines, since nothing more will come."""

    def held_of(connection: Connection) -> dict[int, bytes]:
        known = assets.find_all(connection, names, for_update=True)
        return pending_samples.find_pending(connection, [one.id for one in known.values()])

    return _settle(store, contract, map(slot_of, names), held_of, now)


def _due(store: Store, twin: str, before: datetime, partition: Partition) -> dict[int, int]:
    with store.read() as connection:
        return pending_samples.due_slots(connection, twin, before, AT_ONCE, partition)


def _settle(
    store: Store,
    contract: Twin,
    slots: Iterable[int],
    held_of: Callable[[Connection], dict[int, bytes]],
    now: datetime,
) -> Receipt:
    with store.write() as connection:
        serialise_partitions(connection, slots)
        held = held_of(connection)
        known = assets.by_id(connection, held)
        decoded, kept, noted = [], {}, []
        began: dict[tuple[str, int], datetime] = {}
        for number, content in held.items():
            pending = PendingValues.unpack(content, contract.channel_names)
            settled = settle_values(pending, contract, everything=True)
            made, incomplete = made_readings(contract, known[number].name, pending.run, settled)
            decoded.append(Decoded(made, tuple(incomplete)))
            kept[number] = settled.left.pack(), 0
            if made is not None:
                noted.append((number, settled.left))
                began |= start_of(known[number].name, settled.left)
        note_clocks(connection, contract, noted)
        pending_samples.keep_pending(connection, contract.name, kept, now)
        sending = Sending("wait", "none", now, began=began)
        receipt = ingest_within(connection, {contract.name: contract}, decoded, sending)
        date_machines(connection, began)
        return receipt
