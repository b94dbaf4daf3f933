"""Store the rows of an owner's file: each is placed in the lives that the store knows of its machine."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from foretwin.contract.channels import MICROSECONDS
from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import slot_of
from foretwin.sources.lives.carrying import LastRow, carries, last_rows_of, with_last
from foretwin.sources.lives.machine_lives import LifeClock, MachineLife, known_ends, place
from foretwin.sources.table import OwnRows
from foretwin.twin.ingest.dates import date_machines
from foretwin.twin.ingest.ingest import Sending, ingest_within
from foretwin.twin.ingest.receipt import Receipt, tell_counted
from foretwin.twin.store import Connection, Store, assets
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.ownership.partitioning import serialise_partitions
from foretwin.twin.store.telemetry.run_clocks import RunClock, clocks_of, keep_clocks
from foretwin.wire.decoder import decode_table

ROWS = 50_000  # in one transaction


def ingest_own(store: Store, contract: Twin, rows: OwnRows, now: datetime) -> Iterator[tuple[Receipt, int]]:
    """Store rows piece by piece, each in a transaction of its own; yield its receipt, and how many rows are done.

    Where a life begins and ends, and when its clock shows 0, belongs to the store: files of one machine that follow
    each other, or overlap, are stored as one that holds them all.
    """
    for begin in range(0, len(rows.frame), ROWS):
        piece = rows.frame.iloc[begin : begin + ROWS]
        with store.write() as connection:
            receipt = _ingest_piece(connection, contract, rows, piece, now)
        tell_counted(receipt, "file")
        yield receipt, min(begin + ROWS, len(rows.frame))


def _ingest_piece(connection: Connection, contract: Twin, rows: OwnRows, piece: pd.DataFrame, now: datetime) -> Receipt:
    serialise_partitions(connection, map(slot_of, piece["asset"].unique().tolist()))
    piece = _in_own_names(connection, contract, piece)
    names = piece["asset"].unique().tolist()
    known = assets.find_all(connection, names, for_update=True)
    clocks = clocks_of(connection, [asset.id for asset in known.values()])
    clock = LifeClock.of(contract, rows.is_calendar)
    parts, lives, began = [], {}, dict[tuple[str, int], datetime]()
    for name, part in piece.groupby("asset", sort=False):
        asset = known.get(str(name))
        labels = part["label"].to_numpy(object) if rows.is_labelled else None
        cells = (part["position"].to_numpy(np.float64), part["failed"].to_numpy(bool), labels)
        placed = place(cells, clock, _lives_of(asset, clocks, rows.is_calendar), _first_run(asset))
        parts.append(part.assign(run=placed.run, time=placed.time))
        lives[str(name)] = placed.lives
        if rows.is_calendar:
            began |= {
                (str(name), life.run): datetime.fromtimestamp(life.zero / MICROSECONDS, UTC) for life in placed.lives
            }
    frame, last = _gone_on(rows, pd.concat(parts), _last_rows(known, clocks))
    frame = rows.finished(frame)[["asset", "run", "time", *contract.channel_names]]
    if len(frame) == 0:  # all of it came before, with what it goes on from
        return Receipt()
    decoded = decode_table(pa.Table.from_pandas(frame, preserve_index=False), contract, None)
    receipt = ingest_within(connection, {contract.name: contract}, [decoded], Sending("file", "any", now, began=began))
    mine = [asset for asset in assets.find_all(connection, names).values() if asset.twin == contract.name]
    date_machines(connection, began)
    kept = [(asset, life, last.get((asset.name, life.run))) for asset in mine for life in lives[asset.name]]
    keep_clocks(connection, [_clock_of(asset, life, rows.is_calendar, row) for asset, life, row in kept])
    return receipt


def _gone_on(
    rows: OwnRows, frame: pd.DataFrame, known: Mapping[tuple[str, int], LastRow]
) -> tuple[pd.DataFrame, dict[tuple[str, int], LastRow]]:
    """Return rows that go on from the last ones of their runs, where they depend on these; and the last ones now."""
    names = rows.lives.contract.channel_names
    if not carries(rows.lives.source):
        return frame, {}
    frame = with_last(frame, known, names)
    return frame, last_rows_of(frame, names)


def _in_own_names(connection: Connection, contract: Twin, piece: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose machines have the names that the store knows, where the contract joins spellings."""
    if not isinstance(contract.source, TableSource) or contract.source.spellings != "join":
        return piece
    names = piece["asset"].unique().tolist()
    known = assets.find_all(connection, names)
    spelt = assets.other_spellings(connection, [name for name in names if name not in known])
    return piece.assign(asset=piece["asset"].map(lambda name: spelt.get(name, name))) if spelt else piece


def _first_run(asset: Asset | None) -> int:
    return 1 if asset is None or asset.is_unread else asset.run


def _lives_of(asset: Asset | None, clocks: dict[int, list[RunClock]], is_calendar: bool) -> list[MachineLife]:
    """Return the lives that the store knows, of a clock of the same kind."""
    if asset is None:
        return []
    known = [one for one in clocks.get(asset.id, ()) if one.is_calendar == is_calendar]
    lives = [MachineLife(one.run, one.zero, one.last, one.ended, one.label) for one in known]
    return known_ends(lives, asset.run)


def _last_rows(known: Mapping[str, Asset], clocks: Mapping[int, list[RunClock]]) -> dict[tuple[str, int], LastRow]:
    """Return by name and run the rows that files go on from."""
    of = ((name, one) for name, asset in known.items() for one in clocks.get(asset.id, ()))
    return {(name, one.run): LastRow(**one.carried) for name, one in of if one.carried is not None}


def _clock_of(asset: Asset, life: MachineLife, is_calendar: bool, last: LastRow | None) -> RunClock:
    carried = None if last is None else last._asdict()
    return RunClock(asset.id, life.run, is_calendar, life.zero, life.last, life.ended, life.label, carried)
