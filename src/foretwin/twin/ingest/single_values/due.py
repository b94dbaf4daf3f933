"""Readings of values that have waited long enough: nothing more has come for as long as the contract says."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from foretwin.contract.twin import Twin
from foretwin.twin.ingest.dates import date_machines
from foretwin.twin.ingest.ingest import Receipt, Sending, ingest_within
from foretwin.twin.ingest.single_values.pending import PendingValues
from foretwin.twin.ingest.single_values.settling import settle_values, wait_of
from foretwin.twin.ingest.single_values.taking import made_readings, note_clock, start_of
from foretwin.twin.store import Connection, Store, assets
from foretwin.twin.store.telemetry import pending_samples
from foretwin.twin.store.telemetry.readings import serialise_writers
from foretwin.wire.readings import Decoded

AT_ONCE = 500  # assets in one transaction


def settle_due(store: Store, contracts: Mapping[str, Twin], now: datetime) -> Receipt:
    """Make readings of what has waited for the contract's `clock.wait` since the last value of its asset came.

    Values of a clock that does not count time wait for later ones.
    """
    receipt = Receipt()
    for contract in contracts.values():
        seconds = contract.clock.seconds
        if seconds is None:
            continue
        before = now - timedelta(seconds=wait_of(contract) * seconds)
        while _is_due(store, contract.name, before):
            receipt += _settle(store, contract, partial(_due, contract.name, before), now)
    return receipt


def _due(twin: str, before: datetime, connection: Connection) -> dict[int, bytes]:
    return pending_samples.find_due(connection, twin, before, AT_ONCE, for_update=True)


def settle_assets(store: Store, contract: Twin, names: Sequence[str], now: datetime) -> Receipt:
    """Make readings of all that waits of these machines, since nothing more will come."""

    def held_of(connection: Connection) -> dict[int, bytes]:
        known = assets.find_all(connection, names, for_update=True)
        return pending_samples.find_pending(connection, [one.id for one in known.values()])

    return _settle(store, contract, held_of, now)


def _is_due(store: Store, twin: str, before: datetime) -> bool:
    with store.read() as connection:
        return bool(pending_samples.find_due(connection, twin, before, 1))


def _settle(store: Store, contract: Twin, held_of: Callable[[Connection], dict[int, bytes]], now: datetime) -> Receipt:
    with store.write() as connection:
        serialise_writers(connection)
        held = held_of(connection)
        known = assets.by_id(connection, held)
        decoded, kept = [], {}
        began: dict[tuple[str, int], datetime] = {}
        for number, content in held.items():
            pending = PendingValues.unpack(content, contract.channel_names)
            settled = settle_values(pending, contract, everything=True)
            made, incomplete = made_readings(contract, known[number].name, pending.run, settled)
            decoded.append(Decoded(made, tuple(incomplete)))
            kept[number] = settled.left.pack(), 0
            if made is not None:
                note_clock(connection, contract, number, settled.left)
                began |= start_of(known[number].name, settled.left)
        pending_samples.keep_pending(connection, contract.name, kept, now)
        sending = Sending("wait", "none", now, began=began)
        receipt = ingest_within(connection, {contract.name: contract}, decoded, sending)
        date_machines(connection, began)
        return receipt
