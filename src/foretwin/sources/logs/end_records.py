"""Ends of lives as tables of failures and of maintenance have them, by machine."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.contract.categories import label_key
from foretwin.contract.source import TableFault, TableSource
from foretwin.contract.source.side_tables import FailureLog, MaintenanceLog
from foretwin.contract.twin import Twin
from foretwin.dataset.table import FAULT_UNKNOWN
from foretwin.errors import SourceError
from foretwin.sources.labels import ClassReader, label_keys, read_flags, shown_values
from foretwin.sources.logs.life_ends import FAILED, REPLACED, LifeEnds, one_end_each
from foretwin.sources.logs.log_rows import LogRows, read_log


@dataclass(frozen=True)
class EndRecords:
    """Ends of the lives of each machine, by the key of its name, and the names of the tables in messages."""

    ends: Mapping[str, LifeEnds]
    shown: str

    def overlap(self, first: float, last: float) -> bool:
        """Return whether the ends, of whichever machine, are not all before or all after a stretch of time."""
        times = np.concatenate([one.time for one in self.ends.values()]) if self.ends else np.zeros(0)
        return bool(len(times) and times.min() <= last and times.max() >= first)

    @property
    def count(self) -> int:
        """Return how many ends there are."""
        return sum(len(one.time) for one in self.ends.values())


def read_end_records(
    contract: Twin, source: TableSource, folder: Path, earliest: pd.Timestamp | None
) -> EndRecords | None:
    """Read failures and maintenance from their copies below `folder`; None where the source has neither.

    Times are those of the readings, whose first moment is `earliest` where they have dates.
    """
    tables = list(_records(contract, source, folder, earliest))
    if not tables:
        return None
    records = pd.concat([frame for frame, _ in tables], ignore_index=True)
    groups = records.groupby("machine", sort=False)
    shown = " and ".join(name for _, name in tables)
    return EndRecords({str(name): one_end_each(group) for name, group in groups}, shown)


def _records(
    contract: Twin, source: TableSource, folder: Path, earliest: pd.Timestamp | None
) -> Iterator[tuple[pd.DataFrame, str]]:
    """Yield records (machine, time, how, label) of each table, and its name."""
    unit = contract.clock.seconds or 1.0
    if source.failures is not None:
        log = source.failures
        rows = read_log(contract, source, "failures", folder, [name for name in (log.mode, log.part) if name])
        frame = _frame(rows, earliest, unit).assign(how=FAILED, label=_classes(rows, log, contract))
        yield frame[_of_parts(rows, log.part, source)], rows.file.shown
    if source.maintenance is not None:
        work = source.maintenance
        named = [name for name in (work.part, work.planned, work.action) if name]
        rows = read_log(contract, source, "maintenance", folder, named)
        frame = _frame(rows, earliest, unit).assign(how=_how(rows, work), label=FAULT_UNKNOWN)
        yield frame[_of_parts(rows, work.part, source) & frame["how"].notna().to_numpy()], rows.file.shown


def _frame(rows: LogRows, earliest: pd.Timestamp | None, unit: float) -> pd.DataFrame:
    return pd.DataFrame({"machine": rows.machines, "time": rows.positions(earliest, unit)})


def _classes(rows: LogRows, log: FailureLog, contract: Twin) -> "np.ndarray":
    """Return the class (M,) of what failed, -1 where it is unknown."""
    if log.mode is None or log.axis is None:
        return np.full(len(rows.times), FAULT_UNKNOWN, np.int8)
    reader = ClassReader(log.axis, TableFault(column=log.mode, values=log.values), contract.classes(log.axis))
    found = reader.read(rows.file, rows.file.frame)
    try:
        reader.check(rows.file.shown)
    except SourceError as error:
        raise SourceError(str(error).replace(f"source.faults.{log.axis}", "source.failures")) from None
    return found


def _how(rows: LogRows, log: MaintenanceLog) -> "pd.Series[str]":
    """Return how each row (M,) ends a life, missing where it does not; SourceError where no action ends one."""
    how = pd.Series(REPLACED, index=rows.file.frame.index, dtype="object")
    if log.action is not None:
        text = rows.text(log.action)
        how = label_keys(text).map({label_key(action): end for action, end in log.ends.items()}).astype("object")
        if how.isna().all():
            held, fix = shown_values(Counter(text)), "correct source.maintenance.ends"
            raise SourceError(f"{rows.file.shown}: column {log.action!r}: no row ends a life; it holds {held}; {fix}")
    if log.planned is not None:
        unplanned = ~read_flags(rows.file, rows.file.frame, log.planned)
        how = how.mask(unplanned & (how == REPLACED), FAILED)
    return how


def _of_parts(rows: LogRows, part: str | None, source: TableSource) -> "np.ndarray":
    """Return the rows (M,) of the source's parts; SourceError where there are none."""
    if not source.parts or part is None:
        return np.ones(len(rows.times), np.bool_)
    text = rows.text(part)
    found = label_keys(text).isin({label_key(one) for one in source.parts}).to_numpy(np.bool_)
    if not found.any():
        wanted, held = ", ".join(map(repr, source.parts)), shown_values(Counter(text))
        raise SourceError(f"{rows.file.shown}: column {part!r}: no row is of {wanted}; it holds {held}; correct parts")
    return np.asarray(found)
