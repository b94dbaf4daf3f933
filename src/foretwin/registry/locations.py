"""Locations of the tracking store and its artifacts, tags of runs, and the files that a run holds."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretwin.errors import RegistryError
from foretwin.project.digests import json_digest
from foretwin.project.json import evaluation_file
from foretwin.project.settings import read_setting

ARTIFACTS = "mlartifacts"
SQLITE = "sqlite:///"
ALIAS = "champion"
PIPELINE = "pipeline"  # the kind of run that holds one training with its trials
KIND, RECORD = "foretwin.kind", "foretwin.record"  # a run is found again by what it records
FILES = "foretwin.files"  # of a run: the digest of each file and folder among its artifacts
BUNDLE, VERDICT = "foretwin.bundle", "foretwin.verdict"  # of a version: the digests of its bundle and of its verdict
MODEL = "foretwin.model"  # of a version: the logged model that holds its artifacts
FIRST_RUN = "foretwin.first_run"  # of a run or version made again: the run's id in the store where it was made first
PARENT = "mlflow.parentRunId"


def tracking_uri(root: Path) -> str:
    """Return `MLFLOW_TRACKING_URI`, else the SQLite file in the project's folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{root.resolve() / 'mlflow.db'}"


def artifact_root(root: Path) -> str | None:
    """`FORETWIN_ARTIFACTS`, such as s3://bucket/prefix, else a folder of the project; None: a server of MLflow decides.

    It counts for what is new: MLflow remembers where the artifacts of an experiment lie.
    """
    named = read_setting("FORETWIN_ARTIFACTS")
    if named:
        return named.rstrip("/") if "://" in named else str(Path(named).resolve())
    return None if tracking_uri(root).startswith(("http://", "https://")) else str(root.resolve() / ARTIFACTS)


def local_database(root: Path) -> Path | None:
    """Return the file of a SQLite store, whether or not it exists; None for another store."""
    uri = tracking_uri(root)
    return root / uri.removeprefix(SQLITE) if uri.startswith(SQLITE) else None


def has_store(root: Path) -> bool:
    """Whether there is a store to ask: MLflow would create a local one."""
    database = local_database(root)
    return database is None or (database.exists() and database.stat().st_size > 0)


def model_name(twin: str) -> str:
    """Return the name of a twin's registered model, and of the experiment of its runs."""
    return f"foretwin-{twin}"


def run_files(root: Path, twin: str) -> list[Path]:
    """Return the files and folders of the training's run, as far as they exist and belong to its bundle."""
    models = root / "models" / twin
    training, tuning, verdict, lineage, drift = (
        read_json(models / f"{name}.json") for name in ("training", "tuning", "promotion", "lineage", "drift")
    )
    measured = read_json(evaluation_file(models))
    bundle, choice = training.get("bundle"), training.get("choice", {})
    names = ["training.json", "bundle"]
    if tuning and all(choice.get(name) == value for name, value in tuning["best"].items()):
        names.append("tuning.json")
    if measured and measured.get("bundle", bundle) == bundle:
        names += ["evaluation.json", "metrics.json", "report.html", "plots"]
    if verdict and verdict["evidence"]["bundle"] == bundle:
        names += ["promotion.json", "card.html"]
    names += [f"{name}.json" for name, one in (("lineage", lineage), ("drift", drift)) if one.get("bundle") == bundle]
    return [path for path in (*(models / name for name in names), root / "data" / twin / "validation") if path.exists()]


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, empty where there is no such file; RegistryError where it is something else."""
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise RegistryError(f"{path}: not a record: {error}; `dvc checkout` brings the recorded one back") from None


def verdict_digest(verdict: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a verdict's content, however its file is laid out."""
    return json_digest(verdict)


def damaged(store: str, reason: str) -> RegistryError:
    """Return the error for a SQLite file that cannot be read."""
    advice = "move it away, and `foretwin publish` makes it again from DVC's records"
    return RegistryError(f"{store}: is damaged ({reason}): {advice}")
