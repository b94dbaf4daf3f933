"""Export the store's labelled runs as training data in the canonical table.

`sources.store` says what the two files are called, and takes them in at the next `dvc repro`.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foretwin.champion.champion import known_ages
from foretwin.contract.twin import Twin
from foretwin.dataset.table import HISTORY, canonical
from foretwin.errors import BadInput
from foretwin.project.digests import file_digest
from foretwin.project.files import fresh
from foretwin.project.paths import Paths
from foretwin.sources.store import FOLDER, MANIFEST, TABLE
from foretwin.twin.retention.archive_files import archived_readings
from foretwin.twin.store import Connection, Store
from foretwin.twin.store.telemetry import history as stored
from foretwin.twin.store.telemetry.history import MOST_RUNS, Exported, Finding, StoredRun
from foretwin.twin.training_feedback.labels import is_labelled, label
from foretwin.validation.fleet_profile import Profile

SCHEMA = 1  # of the manifest
MOST_ROWS = 200_000  # in memory at once, unless a single run has more
Findings = Mapping[tuple[int, int], Sequence[Finding]]  # by asset and run


@dataclass(frozen=True)
class HistoryExport:
    """An export. `digest` is the SHA-256 of the table: equal content of the store gives an equal digest."""

    folder: Path
    digest: str
    assets: int
    runs: int
    rows: int
    labelled_rows: int
    verdicts: int
    left_out: dict[str, int]
    """Why runs are not in it about which something was found out -> how many."""
    longer_lives: dict[str, float]
    """Runs whose labels reach beyond the longest life of the champion's training -> their lives."""


@dataclass
class _Content:
    """What has been written so far, and why other runs were left out."""

    assets: set[int] = field(default_factory=set)
    runs: set[tuple[int, int]] = field(default_factory=set)
    rows: int = 0
    labelled_rows: int = 0
    times: list[float] = field(default_factory=list)
    received: list[datetime] = field(default_factory=list)  # UTC
    left_out: Counter[str] = field(default_factory=Counter)
    longer_lives: dict[str, float] = field(default_factory=dict)


def export_history(
    store: Store, root: Path, contract: Twin, now: datetime, without: int | None = None
) -> HistoryExport:
    """Write data/<twin>/history/, whole or not at all; BadInput, and nothing changes, where no run has a label.

    It holds the runs of which a verdict or maintenance says something, and that the contract accepts as data;
    `without` leaves out the asset of that number. The table `exports` keeps which assets are in it.
    """
    with fresh(Paths(root, contract.name).data / FOLDER) as out:
        with store.read() as connection:
            found = [one for one in stored.findings(connection, contract.name) if one.asset != without]
            by_run = _by_run(found)
            folder = Paths(root, contract.name).models / "champion"
            known = known_ages(folder).get("longest_life")
            content = _write(_Read(connection, root, contract, known), by_run, out / TABLE)
        verdicts = sum(one.is_verdict for run in content.runs for one in by_run[run])
        digest = file_digest(out / TABLE)
        counts = (len(content.assets), len(content.runs), content.rows, content.labelled_rows, verdicts)
        left_out = dict(sorted(content.left_out.items()))
        export = HistoryExport(
            Paths(root, contract.name).data / FOLDER, digest, *counts, left_out, content.longer_lives
        )
        moments = [moment.replace(tzinfo=UTC).isoformat() for moment in (min(content.received), max(content.received))]
        period = {"time": [min(content.times), max(content.times)], "received": moments}
        manifest = {"schema": SCHEMA, "twin": contract.name, **asdict(export), "unit": contract.clock.unit, **period}
        del manifest["folder"], manifest["longer_lives"]  # which name what belongs to this project alone
        (out / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        with store.write() as connection:
            of_assets = sorted(content.assets)
            exported = Exported(contract.name, digest, of_assets, content.rows, content.labelled_rows)
            stored.add_export(connection, exported, now)
    return export


def _by_run(findings: Sequence[Finding]) -> dict[tuple[int, int], list[Finding]]:
    by_run: dict[tuple[int, int], list[Finding]] = {}
    for finding in findings:
        by_run.setdefault((finding.asset, finding.run), []).append(finding)
    return by_run


@dataclass(frozen=True)
class _Read:
    """Where the rows are read from: the store, and the archive of the project."""

    connection: Connection
    root: Path
    contract: Twin
    longest_life: float | None  # that the champion has learnt from, where it says so

    def rows(self, keys: Sequence[tuple[int, int]]) -> pd.DataFrame:
        """Return the readings of these (asset, run) in order of asset, run and time, wherever they are kept.

        A reading that was sent again after it had aged out counts as it came first.
        """
        twin, names = self.contract.name, self.contract.channel_names
        numbers = sorted({asset for asset, _ in keys})
        archived = archived_readings(self.connection, self.root, twin, names, numbers)
        parts = [*archived, *stored.readings_of(self.connection, twin, names, keys)]
        together = pd.concat(parts, ignore_index=True)
        wanted = pd.MultiIndex.from_frame(together[["asset", "run"]]).isin(list(keys))
        key = ["asset", "run", "time"]
        return together[wanted].sort_values([*key, "batch"]).drop_duplicates(key, ignore_index=True)


def _write(read: _Read, by_run: Findings, path: Path) -> _Content:
    """Write the table part by part; BadInput where none has a row."""
    content = _Content()
    writer: pq.ParquetWriter | None = None
    try:
        for part in _parts(stored.stored_runs(read.connection, by_run)):
            table = _part(read, part, by_run, content)
            if table is None:
                continue
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        why = ", ".join(f"{count}: {reason}" for reason, count in sorted(content.left_out.items()))
        reason = f"{read.contract.name} has no run with a label yet" + (f" (left out {why})" if why else "")
        raise BadInput("twin", f"{reason}; a verdict on a case gives one")
    return content


def _parts(runs: Sequence[StoredRun]) -> Iterator[list[StoredRun]]:
    """Yield the runs in order, as many at a time as fit into memory."""
    part: list[StoredRun] = []
    for run in runs:
        if part and (len(part) == MOST_RUNS or sum(one.readings for one in part) + run.readings > MOST_ROWS):
            yield part
            part = []
        part.append(run)
    if part:
        yield part


def _part(read: _Read, runs: Sequence[StoredRun], by_run: Findings, content: _Content) -> pa.Table | None:
    """Return the labelled rows of the runs that the contract accepts; None where it accepts none."""
    contract, keys = read.contract, [(one.asset, one.run) for one in runs]
    of_run = dict(iter(read.rows(keys).groupby(["asset", "run"], sort=False)))
    accepted = []
    for key, one in zip(keys, runs, strict=True):
        labelled = label(of_run[key], by_run[key], contract)
        rows = canonical(labelled.assign(asset=one.name, subset=HISTORY), contract)
        reason = _refusal(rows, contract)
        if reason:
            content.left_out[reason] += 1
            continue
        accepted.append(rows)
        life = float((rows["time"] + rows["rul"]).max())  # NaN, which is not longer, where no end is known
        if read.longest_life is not None and life > read.longest_life:
            content.longer_lives[f"{one.name}, run {one.run}"] = life
        content.assets.add(one.asset)
        content.runs.add(key)
        content.rows += len(rows)
        content.labelled_rows += int(is_labelled(rows, contract).sum())
        content.times += [float(rows["time"].min()), float(rows["time"].max())]
        content.received += [labelled["received_at"].min(), labelled["received_at"].max()]
    return pa.Table.from_pandas(pd.concat(accepted), preserve_index=False) if accepted else None


def _refusal(rows: pd.DataFrame, contract: Twin) -> str:
    """Return why the contract refuses the rows of a run; empty where it accepts them."""
    if not is_labelled(rows, contract).any():
        return "no label"
    if len(rows) < contract.quality.min_run_rows:
        return "too few rows"
    for name, channel in contract.channels.items():  # the limits may have changed since the readings came
        values = rows[name].dropna() if channel.may_be_missing else rows[name]
        if not values.between(np.float32(channel.min), np.float32(channel.max)).all():
            return "a channel that is missing or outside its limits"
    measured = Profile.of(rows, contract).runs.iloc[0]
    stuck = [measured[f"stuck_{name}"] for name in contract.channels if f"stuck_{name}" in measured]
    return "a sensor that stands still" if max(stuck, default=0) > (contract.quality.max_stuck_rows or 0) else ""
