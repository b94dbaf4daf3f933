"""Where runs and versions are tracked, and what the store lacks of what DVC holds, asked of SQLite alone.

MLflow takes two seconds to import and pydantic half of one: a look after every `dvc repro` should not wait for them.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from foretwin.errors import RegistryError
from foretwin.project.digests import json_digest, path_digest

ARTIFACTS = "mlartifacts"
SQLITE = "sqlite:///"
ALIAS = "champion"
PIPELINE = "pipeline"  # the kind of run that holds one training with its trials
KIND, RECORD = "foretwin.kind", "foretwin.record"  # a run is found again by what it records
FILES = "foretwin.files"  # of a run: the digest of each file and folder among its artifacts
BUNDLE, VERDICT = "foretwin.bundle", "foretwin.verdict"  # of a version: the digests of its bundle and of its verdict


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, else the SQLite file in the project's folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{root.resolve() / 'mlflow.db'}"


def artifact_root(root: Path) -> str | None:
    """`FORETWIN_ARTIFACTS`, such as s3://bucket/prefix, else a folder of the project; None: a server of MLflow decides.

    It counts for what is new: MLflow remembers where the artifacts of an experiment lie.
    """
    named = os.environ.get("FORETWIN_ARTIFACTS")
    if named:
        return named.rstrip("/") if "://" in named else str(Path(named).resolve())
    return None if tracking_uri(root).startswith(("http://", "https://")) else str(root.resolve() / ARTIFACTS)


def model_name(twin: str) -> str:
    """The name of a twin's registered model, and of the experiment that holds its runs."""
    return f"foretwin-{twin}"


def follow_move(root: Path) -> None:
    """Point the store's artifacts at this folder, when the project was moved or copied with its mlflow.db.

    MLflow writes absolute paths and offers no way to change them; a moved project would lose every artifact.
    """
    database = root / "mlflow.db"
    if not database.exists():
        return
    here = str(root.resolve())
    with closing(sqlite3.connect(database)) as connection, connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'logged_models'").fetchone():
            return
        query = "SELECT artifact_location FROM experiments WHERE name LIKE 'foretwin-%' AND artifact_location LIKE '/%'"
        places = [str(row[0]).rpartition(f"/{ARTIFACTS}/")[0] for row in connection.execute(query)]
        for before in sorted({place for place in places if place} - {here}):
            values = {"before": before + f"/{ARTIFACTS}/", "now": here + f"/{ARTIFACTS}/"}
            for statement in _MOVES:
                connection.execute(statement, values)


def run_files(root: Path, twin: str) -> list[Path]:
    """Files and folders that the run of the training shows, as far as they are there and about its bundle."""
    models = root / "models" / twin
    training, tuning, metrics, verdict, lineage, drift = (
        read_json(models / f"{name}.json")
        for name in ("training", "tuning", "metrics", "promotion", "lineage", "drift")
    )
    bundle, choice = training.get("bundle"), training.get("choice", {})
    names = ["training.json", "bundle"]
    if tuning and all(choice.get(name) == value for name, value in tuning["best"].items()):
        names.append("tuning.json")
    if metrics and metrics.get("bundle", bundle) == bundle:
        names += ["metrics.json", "report.html", "plots"]
    if verdict and verdict["evidence"]["bundle"] == bundle:
        names += ["promotion.json", "card.html"]
    names += [f"{name}.json" for name, one in (("lineage", lineage), ("drift", drift)) if one.get("bundle") == bundle]
    return [path for path in (*(models / name for name in names), root / "data" / twin / "validation") if path.exists()]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file; RegistryError where it is something else."""
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise RegistryError(f"{path}: not a record: {error}; `dvc checkout` brings the recorded one back") from None


def verdict_digest(verdict: Mapping[str, Any]) -> str:
    """SHA-256 of what a verdict says, however its file is laid out."""
    return json_digest(verdict)


def lacking(root: Path, twin: str) -> list[str] | None:
    """What a store in a SQLite file lacks of models/<twin>/, as names for people; None where MLflow has to be asked.

    RegistryError where the file is damaged.
    """
    uri = tracking_uri(root)
    if not uri.startswith(SQLITE):
        return None
    database = root / uri.removeprefix(SQLITE)
    if not database.exists() or not database.stat().st_size:
        return [f"its store, {database.name}"]
    try:
        if database.resolve() == root.resolve() / "mlflow.db":
            follow_move(root)
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=5)) as connection:
            return [*_of_the_run(connection, root, twin), *_of_the_model(connection, root, twin)]
    except sqlite3.OperationalError:  # another version's tables, or busy: MLflow itself will tell
        return None
    except sqlite3.DatabaseError as error:
        raise damaged(str(database), str(error)) from None


def damaged(store: str, reason: str) -> RegistryError:
    """What to say of a SQLite file that cannot be read, and what to do."""
    advice = "move it away, and `foretwin publish` makes it again from DVC's records"
    return RegistryError(f"{store}: is damaged ({reason}): {advice}")


def _of_the_run(connection: sqlite3.Connection, root: Path, twin: str) -> list[str]:
    """Whether the run of training.json is there, or which of its artifacts are not."""
    record = root / "models" / twin / "training.json"
    if not record.exists():
        return []
    query = (
        "SELECT r.run_uuid, r.artifact_uri FROM runs r JOIN tags k ON k.run_uuid = r.run_uuid"
        " JOIN tags d ON d.run_uuid = r.run_uuid JOIN experiments e ON e.experiment_id = r.experiment_id"
        " WHERE r.status = 'FINISHED' AND r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active'"
        " AND e.name = ? AND k.key = ? AND k.value = ? AND d.key = ? AND d.value = ?"
    )
    found = connection.execute(query, (model_name(twin), KIND, PIPELINE, RECORD, path_digest(record))).fetchone()
    if found is None:
        return ["the run of this training"]
    run, place = map(str, found)
    tag = connection.execute("SELECT value FROM tags WHERE run_uuid = ? AND key = ?", (run, FILES)).fetchone()
    kept = json.loads(tag[0]) if tag else {}
    gone = [path.name for path in run_files(root, twin) if kept.get(path.name) != path_digest(path)]
    gone += [name for name in kept if place.startswith("/") and not (Path(place) / name).exists()]
    return [f"artifacts of its run ({', '.join(sorted(set(gone)))})"] if gone else []


def _of_the_model(connection: sqlite3.Connection, root: Path, twin: str) -> list[str]:
    """Whether the version that was decided on, its page and the alias are there."""
    models, found = root / "models" / twin, []
    training, verdict = read_json(models / "training.json"), read_json(models / "promotion.json")
    if verdict and verdict["evidence"]["bundle"] == training.get("bundle"):
        label = f"version {verdict['version']}"
        version = _version(connection, twin, training["bundle"])
        if version is None:
            found.append(label)
        elif _tag(connection, twin, version, VERDICT) != verdict_digest(verdict):
            found.append(f"the page of {label}")
    if (models / "champion" / "identity.json").exists() or verdict.get("champion"):
        query = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
        named = connection.execute(query, (model_name(twin), ALIAS)).fetchone()
        if named is None or _version(connection, twin, number=named[0]) is None:
            found.append(f"the alias {ALIAS}")
    return found


def _version(connection: sqlite3.Connection, twin: str, bundle: str = "", number: int = 0) -> int | None:
    """The version with this bundle's digest, or of this number, if its model is there."""
    query = (
        "SELECT v.version, v.source FROM model_versions v JOIN model_version_tags t"
        " ON t.name = v.name AND t.version = v.version WHERE v.name = ? AND v.current_stage != 'Deleted_Internal'"
        " AND t.key = ? AND (t.value = ? OR v.version = ?) ORDER BY v.version"
    )
    rows: Iterable[tuple[int, str]] = connection.execute(query, (model_name(twin), BUNDLE, bundle, number))
    whole = (found for found, place in rows if not place.startswith("/") or (Path(place) / "MLmodel").exists())
    return next(whole, None)


def _tag(connection: sqlite3.Connection, twin: str, version: int, key: str) -> str | None:
    query = "SELECT value FROM model_version_tags WHERE name = ? AND version = ? AND key = ?"
    row = connection.execute(query, (model_name(twin), version, key)).fetchone()
    return row and str(row[0])


_MOVE = "UPDATE {0} SET {1} = :now || substr({1}, length(:before) + 1) WHERE substr({1}, 1, length(:before)) = :before"
_MOVES = [
    _MOVE.format(table, column)
    for table, column in (
        ("experiments", "artifact_location"),
        ("runs", "artifact_uri"),
        ("logged_models", "artifact_location"),
        ("model_versions", "source"),
        ("model_versions", "storage_location"),
    )
]
