"""Retrain a twin: export its history, run `dvc repro`, report the gate's decision.

Nothing gets past the gate here: a candidate that it refuses stays a candidate, and the champion goes on.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from foretwin.errors import BadInput, ParamsError, TrainingError
from foretwin.project.chain import copy_chain, dvc, stage
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.sources.store import FOLDER, MANIFEST
from foretwin.twin.monitoring.reports import report_of
from foretwin.twin.store import Store
from foretwin.twin.training_feedback.history import HistoryExport, export_history

LOCKED = ("Unable to acquire lock", "it is being blocked by")  # what DVC says where another `dvc repro` runs


@dataclass(frozen=True)
class Retrained:
    """The result. Without new data, the verdict is that of the previous candidate."""

    decision: Literal["promoted", "refused", "nothing new"]
    reasons: tuple[str, ...]  # sentences
    version: str | None = None  # of the candidate
    champion: str | None = None  # the version that answers now
    history: HistoryExport | None = None
    history_before: str | None = None  # digest of the export that was there


def retrain(root: Path, store: Store, twin: str, now: datetime) -> Retrained:
    """Export the history, run `dvc repro` for this twin with its output shown, and read the gate's decision.

    Without a single labelled run there is nothing to learn, and nothing runs. TrainingError where a stage fails, where
    somebody else runs DVC in this project, and where the twin is being retrained already; the champion goes on then.
    """
    paths = Paths(root, twin)
    contract = paths.load_contract()
    if twin not in load_params(paths.params).twins:
        raise ParamsError(f"{paths.params}: twins does not list {twin}; `foretwin add {twin}` puts it there")
    with _one_at_a_time(paths):
        history_before = (_read(paths.data / FOLDER / MANIFEST) or {}).get("digest")
        try:
            history = export_history(store, root, contract, now)
        except BadInput as error:
            return Retrained("nothing new", (error.reason,))
        before = _read(paths.models / "promotion.json")
        _reproduce(root, twin)
        after = _read(paths.models / "promotion.json")
    if after is None:
        raise TrainingError(
            f"{paths.models / 'promotion.json'}: the gate decided nothing; `dvc status` says what is missing"
        )
    champion = after.get("champion")
    return Retrained(
        _decision(before, after),
        tuple(after["reasons"]),
        after["version"],
        champion and champion["version"],
        history,
        history_before,
    )


def why_not(root: Path, twin: str) -> str | None:
    """Return why the monitor's last report asks for no retraining; None where it asks for one.

    TrainingError where the report cannot be read.
    """
    path = report_of(root, twin)
    try:
        report = _read(path)
        if report is None:
            return f"{path}: not there; `foretwin monitor {twin}` writes it"
        verdict = report["verdict"]
        if verdict["retrain"]:
            return None
        broken = "; ".join(verdict["limits_broken"])
        return f"the monitor asks for none: {broken or 'no limit is broken'}"
    except (KeyError, TypeError) as error:
        raise TrainingError(f"{path}: not a report: {error!r}; `foretwin monitor {twin}` writes it anew") from None


def record_stages(root: Path, twin: str, *stages: str) -> str | None:
    """Rerun these stages alone, whether or not DVC sees a change, so that their records match what is there now.

    Returns None, or what went wrong in one line.
    """
    addresses = [stage(twin, name) for name in stages]
    if twin in load_params(root / "params.yaml").twins:
        addresses.append(f"twin@{twin}")  # the project's own stage, which depends on the chain's last output
    done = dvc(root, "repro", "--force", "--single-item", *addresses)
    return _trouble(f"{done.stdout}\n{done.stderr}") if done.returncode else None


def _decision(before: dict[str, Any] | None, after: dict[str, Any]) -> Literal["promoted", "refused", "nothing new"]:
    judged = ("evidence", "promoted", "champion")
    if before is not None and all(before.get(key) == after.get(key) for key in judged):
        return "nothing new"
    return "promoted" if after["promoted"] else "refused"


def _reproduce(root: Path, twin: str) -> None:
    """Run `dvc repro` of the twin's whole chain."""
    copy_chain(root, twin)
    done = dvc(root, "repro", "--single-item", f"data/{twin}/dvc.yaml", shown=True)
    if done.returncode:
        raise TrainingError(f"{_trouble(done.stdout)}; the champion goes on, `foretwin retrain {twin}` tries again")


def _trouble(said: str) -> str:
    """Return the cause of DVC's failure, from its output, in one line."""
    if any(words in said for words in LOCKED):
        return "another `dvc` command works in this project; wait until it has ended"
    stages = re.findall(r"failed to reproduce '([^']+)'", said)
    errors = re.findall(r"^error: (.+)$", said, re.MULTILINE) or re.findall(r"^ERROR: (.+)$", said, re.MULTILINE)
    what = f"stage {stages[-1]}" if stages else "`dvc repro`"
    return f"{what} failed: {errors[-1] if errors else 'it gave no reason'}"


@contextmanager
def _one_at_a_time(paths: Paths) -> Iterator[None]:
    """Hold a lock that one process has at a time; TrainingError for the second."""
    paths.work.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(paths.work / "retrain.lock").acquire(blocking=False)
    except Timeout:
        raise TrainingError(f"{paths.twin}: is being retrained already; wait until that has ended") from None
    with held:
        yield


def _read(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is no such file, TrainingError where it is something else."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{path}: cannot be read: {error}; remove it, and run this again") from None
