"""Take single values in, within the caller's transaction: what waits, what becomes a reading, and what is refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.channels import MICROSECONDS
from foretwin.contract.twin import Twin
from foretwin.dataset.grid import step_numbers
from foretwin.twin.ingest.single_values.pending import PendingValues
from foretwin.twin.ingest.single_values.settling import LONGEST_HOLD, Settled, are_states, settle_values
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.telemetry import pending_samples
from foretwin.twin.store.telemetry.readings import newest_times
from foretwin.twin.store.telemetry.run_clocks import RunClock, began_at, clocks_of, keep_clocks
from foretwin.wire.as_sent import as_sent
from foretwin.wire.readings import Readings, Rejected, SingleValues
from foretwin.wire.values import to_json

MOST_WAITING = 20_000  # values of one asset that wait, 18 bytes each
AT_ONCE = 10_000  # values of one asset between two looks at which readings can be made
MOST_HELD = MOST_WAITING // 2  # beyond it readings are made although a connection of the asset lags behind
AHEAD = timedelta(minutes=5)  # by which a sender's clock may be wrong


@dataclass(frozen=True)
class Holding:
    """Values come by a connection that tells when nothing more of them comes; until then they wait for `LONGEST_HOLD`.

    Of the assets in `lagging` another connection has more to say: of them no reading is made that it could change.
    """

    lagging: frozenset[str] = frozenset()


@dataclass
class Taken:
    """What became of single values: readings to be stored, refusals, and counts of values.

    `began` says of dated runs, by asset's name and number, when they began.
    """

    readings: list[Readings] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    duplicates: int = 0
    waiting: int = 0
    began: dict[tuple[str, int], datetime] = field(default_factory=dict)
    left: list[tuple[int, PendingValues]] = field(default_factory=list)  # asset, what waits after readings were made


def take_values(
    connection: Connection,
    contracts: Mapping[str, Twin],
    given: Sequence[SingleValues],
    now: datetime,
    holding: Holding | None = None,
) -> Taken:
    """Keep values until their readings can be made; unknown assets are registered."""
    due_from = now if holding is None else now + LONGEST_HOLD
    lagging = frozenset[str]() if holding is None else holding.lagging
    taken, twins = Taken(), dict.fromkeys(values.twin for values in given)
    for values in (SingleValues.together([one for one in given if one.twin == twin]) for twin in twins):
        contract = as_sent(contracts[values.twin])
        known = assets.find_all(connection, values.names, for_update=True)
        missing = [name for name in values.names if name not in known]
        known |= assets.register_assets(connection, values.twin, missing, now) if missing else {}
        held = pending_samples.find_pending(connection, [one.id for one in known.values()])
        kept = {}
        for place, name in enumerate(values.names):
            asset, mine = known[name], np.flatnonzero(values.asset == place)
            if asset.twin != values.twin:
                detail = f"{name} is a {asset.twin}, not a {values.twin}"
                taken.rejected += [_refused(contract, values, name, int(i), ("asset", "unknown", detail)) for i in mine]
                continue
            one = _Taking(connection, contract, asset, now, taken, name in lagging)
            kept[asset.id] = one.take(values, mine, held.get(asset.id))
        pending_samples.keep_pending(connection, values.twin, kept, due_from)
        note_clocks(connection, contract, taken.left)
        taken.left = []
    return taken


def made_readings(contract: Twin, name: str, run: int, settled: Settled) -> tuple[Readings | None, list[Rejected]]:
    """Return the readings that were made of an asset's values, and those that lack what may not be missing."""
    incomplete = []
    for i in np.flatnonzero(~settled.whole).tolist():
        values = dict(zip(contract.channel_names, settled.values[i].tolist(), strict=True))
        lacking = next(c for c, v in values.items() if np.isnan(v) and not contract.channels[c].may_be_missing)
        told = contract.cells(values.values())
        content = {"twin": contract.name, "asset": name, "run": run, "time": float(settled.time[i]), "channels": told}
        detail = "has no value at its step, and may not be missing"
        incomplete.append(Rejected(contract.name, name, f"channels.{lacking}", "type", detail, to_json(content)))
    time, values_made = settled.time[settled.whole], settled.values[settled.whole]
    if len(time) == 0:
        return None, incomplete
    keys = np.zeros(len(time), np.int64), np.full(len(time), run, np.int64), time
    return Readings(contract.name, contract.channel_names, *keys, values_made, (name,)), incomplete


def start_of(name: str, left: PendingValues) -> dict[tuple[str, int], datetime]:
    """Return the asset's name and run with when it began; nothing where the run is not dated."""
    if not left.dated or left.start is None:
        return {}
    return {(name, left.run): datetime.fromtimestamp(left.start / MICROSECONDS, UTC)}


def note_clocks(connection: Connection, contract: Twin, made: Iterable[tuple[int, PendingValues]]) -> None:
    """Keep when dated runs of assets began, and the moment of their newest reading, for files that tell moments.

    `made` is what waits of each asset after readings were made of it.
    """
    new: dict[tuple[int, int], RunClock] = {}
    for asset, left in made:
        if left.dated and left.start is not None and left.made is not None:
            last = left.start + left.made * contract.clock.step * MICROSECONDS * (contract.clock.seconds or 1.0)
            clock = RunClock(asset, left.run, is_calendar=True, zero=left.start, last=last, ended=None, label=None)
            new[asset, left.run] = clock
    known = clocks_of(connection, sorted({asset for asset, _ in new}))
    same = {(one.asset, one.run): one for every in known.values() for one in every if one.is_calendar}
    keep_clocks(
        connection,
        [replace(same[k], last=max(same[k].last, one.last)) if k in same else one for k, one in new.items()],
    )


def _refused(contract: Twin, values: SingleValues, name: str, row: int, why: tuple[str, str, str]) -> Rejected:
    """Return one value as refused, with what was sent as far as it is known."""
    time: object = float(values.time[row])
    if values.dated[row]:
        time = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=float(values.time[row]))
    channel = values.channels[int(values.channel[row])]
    value = contract.cell(channel, float(values.value[row]))
    content = {"twin": values.twin, "asset": name, "time": time, "channel": channel, "value": value}
    return Rejected(values.twin, name, *why, to_json(content))


@dataclass(frozen=True)
class _Taking:
    """The shared arguments of taking one asset's values."""

    connection: Connection
    contract: Twin
    asset: Asset
    now: datetime
    taken: Taken
    lags: bool = False

    def take(self, values: SingleValues, rows: NDArray[np.intp], content: bytes | None) -> tuple[bytes, int]:
        """Take the values in `rows`; return what waits now, packed, and how many values that are."""
        pending = self._present(content, dated=bool(values.dated[rows[0]]))
        for begin in range(0, len(rows), AT_ONCE):
            pending = self._take_some(values, rows[begin : begin + AT_ONCE], pending)
        return pending.pack(), len(pending)

    def _take_some(self, values: SingleValues, rows: NDArray[np.intp], pending: PendingValues) -> PendingValues:
        """Take some values and make what readings can be made; of what then waits beyond the bound refuse the last."""
        fresh: list[int] = []
        held = set(zip(pending.time.tolist(), pending.channel.tolist(), pending.value.tolist(), strict=True))
        newest = self._newest(pending)
        for row in rows.tolist():
            key = float(values.time[row]), int(values.channel[row]), float(values.value[row])
            if key in held and bool(values.dated[row]) == pending.dated:
                self.taken.duplicates += 1
                continue
            known = newest
            if newest is not None and key[0] - newest > self._longest_jump(pending) and pending.start is None:
                told = [*pending.channel.tolist(), *values.channel[fresh].tolist()]
                known = None if are_states(told, self.contract) else newest
            why = self._fault(pending, key[0], bool(values.dated[row]), known)
            if why is not None:
                self.taken.rejected.append(_refused(self.contract, values, self.asset.name, row, why))
                continue
            held.add(key)
            fresh.append(row)
            newest = key[0] if newest is None else max(newest, key[0])
        pending = self._settle(pending.joined(values.time[fresh], values.channel[fresh], values.value[fresh]))
        beyond = min(max(0, len(pending) - MOST_WAITING), len(fresh))  # in order of arrival, they are the last ones
        why = "time", "waiting", f"{MOST_WAITING:,} values of {self.asset.name} wait for their readings already"
        self.taken.rejected += [
            _refused(self.contract, values, self.asset.name, row, why) for row in fresh[len(fresh) - beyond :]
        ]
        self.taken.waiting += len(fresh) - beyond
        return pending.only(np.arange(len(pending)) < len(pending) - beyond)

    def _settle(self, pending: PendingValues, everything: bool = False) -> PendingValues:
        settled = settle_values(pending, self.contract, everything, self.lags and len(pending) < MOST_HELD)
        made, incomplete = made_readings(self.contract, self.asset.name, pending.run, settled)
        self.taken.readings += [made] if made is not None else []
        self.taken.rejected += incomplete
        if made is not None:
            self.taken.left.append((self.asset.id, settled.left))
            self.taken.began |= start_of(self.asset.name, settled.left)
        return settled.left

    def _present(self, content: bytes | None, dated: bool) -> PendingValues:
        """Return what waits of the present run; of an earlier run the readings are made that can be."""
        channels, run = self.contract.channel_names, self.asset.run
        pending = PendingValues.unpack(content, channels) if content else None
        if pending is not None and pending.run == run:
            fresh = len(pending) == 0 and pending.made is None
            anew = replace(PendingValues.empty(run, dated, channels), since=pending.since if dated else None)
            return anew if fresh and pending.dated != dated else pending
        ended = None
        if pending is not None:
            before = self._settle(pending, everything=True)
            ended = self._newest(before) if before.dated else None
        begun = PendingValues.empty(run, dated, channels)
        return replace(begun, since=ended) if pending is not None or not dated else self._joined_run(begun)

    def _joined_run(self, begun: PendingValues) -> PendingValues:
        """Return a run with the start that its clock tells, or that the receipt of its newest reading implies."""
        asset, seconds = self.asset, self.contract.clock.seconds or 1.0
        began = began_at(self.connection, asset.id, begun.run)
        newest = float(newest_times(self.connection, np.array([asset.id]), np.array([begun.run]))[0])
        if began is None and (np.isnan(newest) or asset.received_at is None):
            return begun
        if began is None and asset.received_at is not None:
            began = asset.received_at.timestamp() - newest * seconds
        start = round((began or 0.0) * MICROSECONDS)
        if np.isnan(newest):
            return replace(begun, start=float(start))
        made = int(step_numbers(np.array([newest]), self.contract.clock.step)[0])
        return replace(begun, start=float(start), made=made)

    def _newest(self, pending: PendingValues) -> float | None:
        """Return the time of the newest value, as values have it; None where there was none."""
        if len(pending):
            return float(pending.time.max())
        if pending.made is None or pending.start is None:
            return None
        return pending.start + pending.made * self.contract.clock.step * self._unit(pending)

    def _unit(self, pending: PendingValues) -> float:
        return MICROSECONDS * (self.contract.clock.seconds or 1.0) if pending.dated else 1.0

    def _longest_jump(self, pending: PendingValues) -> float:
        return self.contract.clock.longest_jump * self._unit(pending)

    def _fault(
        self, pending: PendingValues, time: float, dated: bool, newest: float | None
    ) -> tuple[str, str, str] | None:
        """Return field, reason and detail of what is wrong with the time of a value."""
        clock = self.contract.clock
        if dated != pending.dated:
            other = "moments" if pending.dated else "times since the run began"
            return "time", "clock", f"does not go with the {other} of this run: send one kind"
        if dated and time > (self.now + AHEAD).timestamp() * MICROSECONDS:
            return "time", "clock", "lies in the future"
        if (pending.since is not None and time <= pending.since) or (not dated and time < 0):
            return "time", "order", "is before the run began"
        if newest is not None and time - newest > self._longest_jump(pending):
            return "time", "clock", f"is more than {clock.longest_jump:g} {clock.unit} after the value before"
        if pending.made is not None and pending.start is not None:
            age = np.array([(time - pending.start) / self._unit(pending)])
            if int(step_numbers(age, clock.step)[0]) <= pending.made:
                return "time", "order", "is of a step whose reading was made: it came later than clock.wait"
        return None
