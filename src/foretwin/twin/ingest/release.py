"""Ingest quarantined readings again, on an operator's word."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from foretwin.contract.twin import Twin
from foretwin.errors import Conflict
from foretwin.twin.ingest.ingest import Sending, ingest_within
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.store import Connection, Store, assets
from foretwin.twin.store.casework import audit
from foretwin.twin.store.ownership.partitioning import serialise_writers
from foretwin.twin.store.telemetry import quarantine
from foretwin.twin.store.telemetry.overflow import is_counted
from foretwin.twin.store.telemetry.quarantine import Quarantined
from foretwin.wire.decoder import decode
from foretwin.wire.tables import JSON


def release(store: Store, contracts: Mapping[str, Twin], quarantine_id: int, actor: str, now: datetime) -> Receipt:
    """Ingest a quarantined reading again, whatever its clock and run say; if stored now, it is marked as released.

    One that waited for its run brings with it what else waited for that: the counts are those of all, and what of these
    breaks the contract otherwise is back in quarantine with that reason.

    NotFound where there is none of that number, Conflict where it was released before, BadInput where its content
    cannot be decoded.
    """
    with store.write() as connection:
        serialise_writers(connection)
        held = quarantine.find_quarantined(connection, quarantine_id)
        if is_counted(held.content):
            raise Conflict(
                "id", f"{quarantine_id} counts {held.readings:,} readings that were not kept: send them again"
            )
        if held.released_at is not None:
            raise Conflict("id", f"{quarantine_id} was released on {held.released_at:%Y-%m-%d %H:%M} UTC")
        decoded = decode(held.content.encode(), JSON, contracts, held.twin, held.asset)
        receipt = ingest_within(connection, contracts, [decoded], Sending(held.via, "any", now, check_clock=False))
        if not receipt.rejected:
            quarantine.mark_released(connection, [quarantine_id], now)
            receipt += _release_waiting(connection, contracts, held, now) if held.reason == "run" else Receipt()
            asset = next(iter(assets.find_all(connection, [held.asset or ""]).values()), None)
            done = {"quarantine": quarantine_id, "stored": receipt.stored, "duplicates": receipt.duplicates}
            done |= {"run": asset.run} if asset and held.reason == "run" else {}
            audit.record(connection, actor, "reading.released", done, now, asset=asset.id if asset else None)
        return receipt


def _release_waiting(
    connection: Connection, contracts: Mapping[str, Twin], held: Quarantined, now: datetime
) -> Receipt:
    """Ingest the other readings that wait for the run of a released one, in their order; return the counts."""
    others = quarantine.find_waiting(connection, held)
    decoded = [decode(one.content.encode(), JSON, contracts, one.twin, one.asset) for one in others]
    receipt = ingest_within(connection, contracts, decoded, Sending(held.via, "none", now))
    quarantine.mark_released(connection, [one.id for one in others], now)
    return replace(receipt, rejected=())
