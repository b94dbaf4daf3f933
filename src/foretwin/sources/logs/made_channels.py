"""Channels of a table source that are made of events and of attributes of machines."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.categories import label_key
from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.dataset.event_channels import count_events, rows_before, time_since_event
from foretwin.dataset.machine_names import spelling_key
from foretwin.errors import SourceError
from foretwin.sources.category_cells import CategoryReader
from foretwin.sources.labels import label_keys
from foretwin.sources.logs.log_rows import LogRows, read_log

LOG = logging.getLogger(__name__)
EVERY = ""  # the key of events of every machine
Events = Mapping[tuple[str, str], NDArray[np.float64]]  # key of machine, key of code -> times in ascending order


@dataclass(frozen=True)
class MadeChannels:
    """What the channels are made of: events, and the value of each machine by channel; keys are of machines' names."""

    contract: Twin
    source: TableSource
    events: Events
    values: Mapping[str, Mapping[str, float]]
    shown: str  # of the table of machines

    @classmethod
    def read(
        cls, contract: Twin, source: TableSource, folder: Path, earliest: pd.Timestamp | None
    ) -> "MadeChannels | None":
        """Read events and attributes from their copies below `folder`; None where the source has neither."""
        if not source.made_channels:
            return None
        events = _read_events(contract, source, folder, earliest) if source.events else {}
        values, shown = _read_values(contract, source, folder) if source.assets else ({}, "")
        return cls(contract, source, events, values, shown)

    def of_machines(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add the channels that do not change in a machine's life; SourceError for a machine without a value.

        The channels of events are there too, as zeros, until the rows are those of the clock.
        """
        log = self.source.events
        made = (*log.counts, *log.since) if log else ()
        found: dict[str, NDArray[np.float64]] = {name: np.zeros(len(frame)) for name in made}
        names = frame["asset"].map({name: spelling_key(str(name)) for name in frame["asset"].unique()})
        for channel, values in self.values.items():
            cells = names.map(values).astype("float64")
            lost = cells.isna()
            if lost.any() and not self.contract.channels[channel].may_be_missing:
                name = frame["asset"][lost].iat[0]
                fix = f"add it, or write may_be_missing at the channel {channel}"
                raise SourceError(f"{self.shown}: machine {name!r} has no {self._column(channel)!r}; {fix}")
            found[channel] = np.asarray(cells, np.float64)
        return frame.assign(**found)

    def of_events(self, frame: pd.DataFrame, positions: NDArray[np.float64]) -> pd.DataFrame:
        """Fill the channels of events, on rows whose times on the machine's clock are the positions (N,)."""
        log = self.source.events
        if log is None or frame.empty:
            return frame
        step, channels = self.contract.clock.step, self.contract.channels
        found = {name: np.zeros(len(frame)) for name in (*log.counts, *log.since)}
        for asset, rows in frame.reset_index(drop=True).groupby("asset", sort=False).indices.items():
            order = rows[np.argsort(positions[rows], kind="stable")]
            times = positions[order]
            before = rows_before(times, times[0] - step)
            for channel, code in log.counts.items():
                found[channel][order] = count_events(times, self._events_of(str(asset), code), before)
            for channel, code in log.since.items():
                longest = channels[channel].max
                found[channel][order] = time_since_event(times, self._events_of(str(asset), code), longest)
        return frame.assign(**found)

    def _events_of(self, asset: str, code: str) -> NDArray[np.float64]:
        none, key = np.zeros(0), label_key(code)
        return np.append(self.events.get((spelling_key(asset), key), none), self.events.get((EVERY, key), none))

    def _column(self, channel: str) -> str:
        return self.source.assets.columns[channel] if self.source.assets else channel


def _read_events(contract: Twin, source: TableSource, folder: Path, earliest: pd.Timestamp | None) -> Events:
    log = source.events
    assert log is not None  # noqa: S101
    rows = read_log(contract, source, "events", folder, [log.code])
    codes = rows.text(log.code)
    wanted = {label_key(code): code for code in (*log.counts.values(), *log.since.values())}
    keys = label_keys(codes)
    absent = [code for key, code in wanted.items() if not (keys == key).any()]
    if absent:
        usual = ", ".join(map(repr, codes.value_counts().index[:6]))
        fix = f"it holds {usual}; correct source.events"
        raise SourceError(f"{rows.file.shown}: column {log.code!r}: no row is of {absent[0]!r}; {fix}")
    others = ~keys.isin(wanted.keys())
    if others.any():
        counted = f"{others.sum()} of {len(keys)} events are of {codes[others].nunique()} codes"
        LOG.warning("%s: %s of which no channel is made: left out", rows.file.shown, counted)
    frame = pd.DataFrame({"machine": EVERY if rows.machines is None else rows.machines, "code": keys})
    frame["time"] = rows.positions(earliest, contract.clock.seconds or 1.0)
    groups = frame[~others].sort_values("time").groupby(["machine", "code"], sort=False)["time"]
    return {(str(machine), str(code)): times.to_numpy(np.float64) for (machine, code), times in groups}


def _read_values(contract: Twin, source: TableSource, folder: Path) -> tuple[Mapping[str, Mapping[str, float]], str]:
    table = source.assets
    assert table is not None  # noqa: S101
    words = {channel: found for channel in table.columns if (found := contract.channels[channel].categories)}
    texts = [table.columns[channel] for channel in words]
    numbers = [column for column in table.columns.values() if column not in texts]
    rows = read_log(contract, source, "assets", folder, texts, list(dict.fromkeys(numbers)))
    machines, cells = _once(rows), dict[str, NDArray[np.float64]]()
    for channel, column in table.columns.items():
        if channel in words:
            reader = CategoryReader(column, words[channel], table.missing_values or ())
            cells[channel] = reader.read(rows.file)
            reader.tell_unknown(rows.file.shown)
        else:
            cells[channel] = rows.file.numbers(rows.file.frame[column], column)
    return {channel: dict(zip(machines, values, strict=True)) for channel, values in cells.items()}, rows.file.shown


def _once(rows: LogRows) -> list[str]:
    """Return the keys of the machines (M,); SourceError where one has two rows."""
    machines = pd.Series([]) if rows.machines is None else rows.machines
    again = np.flatnonzero(machines.duplicated())
    if len(again):
        raise rows.file.wrong(int(again[0]), "asset", f"machine {machines.iat[again[0]]!r} has a row already; keep one")
    return [str(one) for one in machines]
