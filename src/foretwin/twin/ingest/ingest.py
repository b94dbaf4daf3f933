"""Store decoded readings: checked, de-duplicated and counted, in one transaction.

Readings count in the order in which they came. The same one again is a duplicate; one with a key that is there with
other values contradicts it and is put into quarantine. So a sender may repeat whatever it is not sure of.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import slot_of
from foretwin.predictor.guards import SAME_TIME
from foretwin.twin.ingest.checks import (
    Begins,
    Fault,
    find_impossible,
    find_odd_units,
    follow_clock,
    follow_runs,
    jump_of,
    odd_run,
    rejected_of,
    runs_ahead,
)
from foretwin.twin.ingest.dates import Dates, date_machines
from foretwin.twin.ingest.event_filling import EventRuns, fill_events, without_events
from foretwin.twin.ingest.giving_up import Late, give_up
from foretwin.twin.ingest.machines import find_machines
from foretwin.twin.ingest.receipt import Receipt, tell_counted
from foretwin.twin.ingest.rounding import rounded_times
from foretwin.twin.ingest.single_values.taking import Holding, take_values
from foretwin.twin.store import Connection, Store, assets
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.ownership.partitioning import Partitioning, serialise_partitions
from foretwin.twin.store.scoring.urgency import note_urgency
from foretwin.twin.store.scoring.usage import Used, add_usage
from foretwin.twin.store.telemetry import quarantine, spans
from foretwin.twin.store.telemetry import readings as stored_readings
from foretwin.twin.store.telemetry.arrivals import Arrivals, count_arrivals
from foretwin.twin.store.telemetry.spans import ReceiptHour, RunArrivals
from foretwin.wire.asset_names import is_name
from foretwin.wire.readings import Decoded, Readings, Rejected, by_twin
from foretwin.wire.values import PRESENT_RUN


@dataclass(frozen=True)
class Sending:
    """How readings came: `via` http, file or mqtt, and which runs their sender may begin."""

    via: str
    begins: Begins
    now: datetime
    check_clock: bool = True
    began: Mapping[tuple[str, int], datetime] = field(default_factory=dict)  # runs of assets with a calendar for clock
    holding: Holding | None = None  # where a connection tells when nothing more of single values comes


def ingest(
    store: Store,
    contracts: Mapping[str, Twin],
    decoded: Sequence[Decoded],
    via: str,
    now: datetime,
    begins: Begins = "none",
) -> Receipt:
    """Store decoded readings, all or, where the store fails, none; `via` is http, file or mqtt.

    Assets that are not known yet are registered. A reading of a run that its sender may not begin is rejected.
    """
    return ingest_as(store, contracts, decoded, Sending(via, begins, now))


def ingest_as(store: Store, contracts: Mapping[str, Twin], decoded: Sequence[Decoded], sending: Sending) -> Receipt:
    """Store decoded readings in a transaction of their own, as `ingest`."""
    with store.write() as connection:
        receipt = ingest_within(connection, contracts, decoded, sending)
    tell_counted(receipt, sending.via)
    return receipt


@dataclass(frozen=True)
class _Call:
    """The shared arguments of storing one twin's readings."""

    connection: Connection
    contract: Twin
    sending: Sending
    partitioning: Partitioning

    @property
    def now(self) -> datetime:
        return self.sending.now

    @property
    def dates(self) -> Dates:
        return Dates(self.sending.began, self.contract.clock.seconds, self.now)


def ingest_within(
    connection: Connection, contracts: Mapping[str, Twin], decoded: Sequence[Decoded], sending: Sending
) -> Receipt:
    """Store decoded readings in the caller's transaction, as `ingest`."""
    partitioning = serialise_partitions(connection, map(slot_of, _names_in(decoded)))
    receipt = Receipt(rejected=tuple(rejected for one in decoded for rejected in one.rejected))
    whole = [one.readings for one in decoded if one.readings is not None]
    singles = [one.values for one in decoded if one.values is not None]
    if missing := sum(one.missing for one in decoded):
        told = "single values are empty or of no good quality: taken as missing"
        logging.getLogger("foretwin.ingest").info("%s: %d %s", sending.via, missing, told)
    taken = take_values(connection, contracts, singles, sending.now, sending.holding)
    receipt += Receipt(duplicates=taken.duplicates, rejected=tuple(taken.rejected), waiting=taken.waiting)
    sending = replace(sending, began={**sending.began, **taken.began})
    for readings in by_twin([*whole, *taken.readings]):
        receipt += _store(_Call(connection, contracts[readings.twin], sending, partitioning), readings)
    date_machines(connection, taken.began)
    if receipt.rejected:
        aside = quarantine.add_quarantined(connection, sending.via, receipt.rejected, sending.now)
        names = (one.asset for one in (*aside.kept, *aside.counted) if is_name(one.asset))
        assets.count_quarantined(connection, Counter(names))
        receipt = replace(receipt, counted=len(aside.counted))
    return receipt


def _names_in(decoded: Sequence[Decoded]) -> set[str]:
    """Return the names of all assets that are spoken of."""
    names = {one.asset for call in decoded for one in call.rejected if one.asset is not None}
    for call in decoded:
        names.update(call.readings.names if call.readings else (), call.values.names if call.values else ())
    return names


@dataclass(frozen=True)
class _Placed:
    """The valid readings of one twin, M of N: `rows` (M,) are their places, `of` (M,) their assets.

    `group` (M,) is the run of one asset that each is of, in order of runs; `run` (K,) are their numbers, `newest` (K,)
    the times of their newest readings until now, NaN where there is none.
    """

    rows: NDArray[np.intp]
    of: NDArray[np.intp]
    group: NDArray[np.intp]
    run: NDArray[np.int64]
    newest: NDArray[np.float64]
    is_late: NDArray[np.bool_]
    missing: NDArray[np.int64]


def _store(call: _Call, readings: Readings) -> Receipt:
    readings, known, hours, strange = find_machines(call.connection, call.contract, readings, call.now)
    of = readings.asset
    odd = find_odd_units(readings, call.contract) if call.sending.check_clock else []
    faults = {fault.row: fault for fault in (*odd, *find_impossible(readings, call.contract))}
    faults |= {fault.row: fault for fault in strange}
    readings, placed, jumps = _place(call, readings, known, of, faults)
    faults |= {fault.row: fault for fault in jumps}
    receipt = Receipt()
    if len(placed.rows):
        ids = np.array([asset.id for asset in known], np.int64)
        runs = EventRuns(placed.rows, placed.group, ids[placed.of], placed.run, placed.newest)
        readings = fill_events(call.connection, call.contract, readings, runs)
        receipt, conflicts = _keep(call, readings, known, placed, hours)
        faults |= {fault.row: fault for fault in conflicts}
    rejected = tuple(rejected_of(readings, call.contract, faults[row]) for row in sorted(faults))
    return replace(receipt, rejected=receipt.rejected + rejected)


def _place(
    call: _Call, readings: Readings, known: list[Asset], of: NDArray[np.intp], faults: Mapping[int, Fault]
) -> tuple[Readings, _Placed, list[Fault]]:
    """Return the readings with runs and positions, and those whose run or clock has jumped."""
    rows = np.delete(np.arange(len(readings)), list(faults))
    present = np.array([asset.run for asset in known], np.int64)
    unread = np.array([asset.is_unread for asset in known])
    ahead = runs_ahead(call.sending.begins, call.contract)
    runs = follow_runs(of[rows], readings.run[rows], present, unread, ahead)
    run = np.where(readings.run == PRESENT_RUN, present[of], readings.run)
    run[rows] = runs.run
    readings, taken = replace(readings, run=run), ~runs.refused
    refused = [odd_run(readings, int(rows[i]), int(runs.present[i])) for i in np.flatnonzero(runs.refused)]
    rows, before = rows[taken], runs.present[taken]
    of, run = of[rows], run[rows]
    keys, group = np.unique(of * 2**32 + run, return_inverse=True)  # a run is a number below 2**31
    ids = np.array([asset.id for asset in known], np.int64)
    numbers = keys & (2**32 - 1)
    told = np.array([np.nan if asset.time is None else asset.time for asset in known])[keys >> 32]
    told[numbers != present[keys >> 32]] = np.nan
    newest = stored_readings.newest_times(call.connection, ids[keys >> 32], numbers, told)
    known_runs, time = (ids[keys >> 32], numbers, newest), readings.time.copy()
    time[rows] = rounded_times(call.connection, time[rows], group, known_runs, SAME_TIME * call.contract.clock.step)
    readings = replace(readings, time=time)
    course = follow_clock(group, readings.time[rows], newest, call.contract, call.sending.check_clock)
    jumped = np.flatnonzero(course.jumped)
    jumps = [jump_of(readings, call.contract, int(rows[i]), float(course.before[i])) for i in jumped]
    kept = ~course.jumped
    late = (course.is_late | (run < before))[kept]
    placed = _Placed(rows[kept], of[kept], group[kept], numbers, newest, late, course.missing[kept])
    return readings, placed, refused + jumps


def _keep(
    call: _Call, readings: Readings, known: list[Asset], placed: _Placed, hours: Mapping[int, ReceiptHour]
) -> tuple[Receipt, list[Fault]]:
    """Store new readings and count them for their assets; return those that contradict stored ones."""
    ids = np.array([asset.id for asset in known], np.int64)
    lines = replace(readings, asset=ids[readings.asset], names=()).only(placed.rows)
    is_old = lines.time <= placed.newest[placed.group]
    partition = call.partitioning.numbers_of(known[i].slot for i in readings.asset[placed.rows].tolist())
    added = stored_readings.add_readings(call.connection, call.sending.via, lines, call.now, is_old, partition)
    stored = added.is_new
    repeated = np.zeros(len(lines), dtype=bool)
    if not stored.all():
        again = without_events(lines.only(~stored), call.contract)
        repeated[~stored] = stored_readings.are_same(call.connection, again)
    detail = "the store has this reading with other values"
    conflicts = [Fault(int(row), "time", "conflict", detail) for row in placed.rows[~stored & ~repeated]]
    each = (stored, repeated, stored & placed.is_late, np.where(stored, placed.missing, 0))
    counts = np.stack([np.bincount(placed.of, count, len(known)) for count in each]).astype(np.int64)
    newest = _newest(call, known, placed, lines, added)
    arrivals = [
        Arrivals(known[i].id, *newest[i], *counts[:, i].tolist())
        for i in np.flatnonzero(counts[:2].any(axis=0)).tolist()
    ]
    come = _note_runs(call, known, placed, lines, stored)
    slots = call.partitioning.numbers_of(asset.slot for asset in known).tolist()
    add_usage(call.connection, "readings", map(Used, known, slots, counts[0].tolist()), call.now)
    count_arrivals(call.connection, readings.twin, arrivals, come, hours, call.now)
    turned = (one.id for one, (run, *_) in zip(known, newest, strict=True) if run != one.run or not one.is_heard)
    note_urgency(call.connection, turned)
    given_up: list[Rejected] = []
    for late in _late_runs(known, placed, lines, stored):
        given_up += give_up(call.connection, call.contract, late, call.now)
    return replace(Receipt(*counts.sum(axis=1).tolist()), rejected=tuple(given_up)), conflicts


def _late_runs(known: list[Asset], placed: _Placed, lines: Readings, stored: NDArray[np.bool_]) -> Iterator[Late]:
    """Yield the runs of which readings were stored behind their newest."""
    behind = stored & placed.is_late
    for group in np.unique(placed.group[behind]).tolist():
        mine = placed.group == group
        ahead = np.nanmax(np.append(lines.time[mine & stored], placed.newest[group]))
        rows = np.flatnonzero(mine & behind)
        time = float(lines.time[rows].max())
        yield Late(known[placed.of[rows[0]]], int(placed.run[group]), len(rows), time, float(ahead))


def _note_runs(
    call: _Call, known: list[Asset], placed: _Placed, lines: Readings, stored: NDArray[np.bool_]
) -> list[RunArrivals]:
    """Begin or extend runs where readings are not just the next of a present one; return what was stored of each."""
    if not stored.any():
        return []
    groups, group, time = len(placed.run), placed.group[stored], lines.time[stored]
    counts, first, last = np.bincount(group, minlength=groups), np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(first, group, time)
    np.maximum.at(last, group, time)
    owner = np.zeros(groups, np.intp)
    owner[placed.group] = placed.of
    present = np.array([asset.run for asset in known], np.int64)[owner]
    unusual = np.isnan(placed.newest) | (placed.run != present)
    unusual[group[placed.is_late[stored]]] = True
    ids = [known[i].id for i in owner.tolist()]
    columns = (ids, placed.run.tolist(), counts.tolist(), first.tolist(), last.tolist())
    found = [RunArrivals(*row) for row in zip(*columns, strict=True)]
    chosen = [i for i in np.flatnonzero(unusual).tolist() if found[i].count]
    if chosen:
        of = {ids[i]: known[owner[i]] for i in chosen}
        begun = [found[i] for i in chosen]
        spans.extend_runs(call.connection, begun, call.now, of.values(), call.dates.of_ends(begun, of))
    return [one for one in found if one.count]


def _newest(
    call: _Call, known: list[Asset], placed: _Placed, lines: Readings, added: stored_readings.Stored
) -> list[tuple[int, float | None, datetime | None, int]]:
    """Return run, time and arrival of each asset's newest reading, and the last batch that brought it some."""
    newest = [(asset.run, asset.time, asset.received_at, asset.batch) for asset in known]
    stored = added.is_new
    if not stored.any():
        return newest
    of, group = placed.of[stored], placed.group[stored]
    batches = np.zeros(len(known), np.int64)
    batches[of] = added.batch[stored]
    latest = np.full(len(placed.newest), -np.inf)
    np.maximum.at(latest, group, lines.time[stored])
    last = np.full(len(known), -1)
    np.maximum.at(last, of, group)  # groups are in the order of runs
    for i in np.flatnonzero(last >= 0).tolist():
        asset, run, time = known[i], int(placed.run[last[i]]), float(latest[last[i]])
        is_ahead = (run >= asset.run or asset.is_unread) and not time <= placed.newest[last[i]]
        at, batch = call.dates.of_reading(asset.name, run, time), int(batches[i])
        newest[i] = (run, time, at, batch) if is_ahead else (asset.run, asset.time, asset.received_at, batch)
    return newest
