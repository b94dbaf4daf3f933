"""The tracking store: where it lies, its experiments, and runs that are found again by what they record.

MLflow is imported when it is first needed: it takes two seconds, and reports its use unless that was switched off
before.
"""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin.config import show_progress
from foretwin.edge import switch_telemetry_off
from foretwin.errors import ForetwinError, RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACTS = "mlartifacts"
SQLITE = "sqlite:///"
KIND, RECORD, PARENT = "foretwin.kind", "foretwin.record", "mlflow.parentRunId"
BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's limits on one request

Point = tuple[str, float, int]  # metric, value, step
Scalar = str | int | float | bool


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, else the SQLite file in the project's folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{root.resolve() / 'mlflow.db'}"


def model_name(twin: str) -> str:
    """The name of a twin's registered model, and of the experiment that holds its runs."""
    return f"foretwin-{twin}"


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Turn MLflow's exceptions into a RegistryError of one line."""
    try:
        yield
    except ForetwinError:
        raise
    except Exception as error:
        from mlflow.exceptions import MlflowException

        if not isinstance(error, MlflowException):
            raise
        raise RegistryError(f"MLflow: {str(error).splitlines()[0]}") from error


def connect(root: Path) -> "MlflowClient":
    """A client of the project's store, which is created at first use."""
    switch_telemetry_off()
    if not show_progress():
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    uri = tracking_uri(root)
    if uri.startswith(SQLITE) and Path(uri.removeprefix(SQLITE)).resolve() == root.resolve() / "mlflow.db":
        follow_move(root)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


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
        query = "SELECT artifact_location FROM experiments WHERE name LIKE 'foretwin-%'"
        places = [str(row[0]).rpartition(f"/{ARTIFACTS}/")[0] for row in connection.execute(query)]
        for before in sorted({place for place in places if place} - {here}):
            values = {"before": before + f"/{ARTIFACTS}/", "now": here + f"/{ARTIFACTS}/"}
            for statement in _MOVES:
                connection.execute(statement, values)


def experiment(client: "MlflowClient", root: Path, twin: str) -> str:
    """The id of the twin's experiment; created, or restored when it was deleted."""
    name = model_name(twin)
    found = client.get_experiment_by_name(name)
    if found is None:
        own = str(root.resolve() / ARTIFACTS / name) if tracking_uri(root).startswith(SQLITE) else None
        return str(client.create_experiment(name, artifact_location=own))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def find_run(client: "MlflowClient", experiment_id: str, kind: str, record: str) -> str | None:
    """The finished run that holds this record; what an interrupted publication left of it is deleted."""
    query = f"tags.`{KIND}` = '{kind}' AND tags.`{RECORD}` = '{record}'"
    finished = None
    for run in client.search_runs([experiment_id], query):
        if run.info.status == "FINISHED":
            finished = str(run.info.run_id)
            continue
        for child in client.search_runs([experiment_id], f"tags.`{PARENT}` = '{run.info.run_id}'", max_results=5000):
            client.delete_run(child.info.run_id)
        client.delete_run(run.info.run_id)
    return finished


@contextmanager
def new_run(
    client: "MlflowClient", experiment_id: str, name: str, tags: Mapping[str, str], status: str = "FINISHED"
) -> Iterator[str]:
    """A new run that has `status` once the body went well, and FAILED when it did not."""
    run_id = str(client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id)
    try:
        yield run_id
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, status)


def log(
    client: "MlflowClient",
    run_id: str,
    params: Mapping[str, Scalar] | None = None,
    points: Sequence[Point] = (),
    tags: Mapping[str, Scalar] | None = None,
) -> None:
    """Log everything in as few requests as MLflow allows: one per value is slow on SQLite."""
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    entities: dict[str, list[Any]] = {
        "params": [Param(key, str(value)) for key, value in (params or {}).items()],
        "metrics": [Metric(key, value, now, step) for key, value, step in points],
        "tags": [RunTag(key, str(value)) for key, value in (tags or {}).items()],
    }
    for kind, values in entities.items():
        for begin in range(0, len(values), BATCH[kind]):
            client.log_batch(run_id, **{kind: values[begin : begin + BATCH[kind]]})


def has_artifact(client: "MlflowClient", run_id: str, name: str) -> bool:
    """Whether the run's artifacts hold this file or folder at their top."""
    return any(found.path == name for found in client.list_artifacts(run_id))


def flatten(value: Any, separator: str, name: str = "") -> dict[str, Scalar]:
    """Nested dicts as one, `outer<separator>inner`: value; what is neither dict nor scalar is left out."""
    if isinstance(value, dict):
        parts = (flatten(v, separator, f"{name}{separator}{key}" if name else str(key)) for key, v in value.items())
        return {key: scalar for part in parts for key, scalar in part.items()}
    return {name: value} if isinstance(value, str | int | float | bool) else {}


def numbers(value: Any, prefix: str) -> list[Point]:
    """The numbers of nested dicts as metrics `prefix/outer/inner` at step 0."""
    flat = flatten(value, "/", prefix).items()
    return [(key, float(v), 0) for key, v in flat if isinstance(v, int | float) and not isinstance(v, bool)]


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
