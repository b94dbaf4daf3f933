"""The tracking store: experiments, and runs found again by their records.

One way for all of them: the SQLite file of the project, a database by its URL, a server of MLflow. Artifacts lie in a
folder, in S3, or where the server has them.

MLflow is imported when it is first needed: it takes two seconds, and reports its use unless that was switched off
before.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin.errors import ForetwinError, RegistryError
from foretwin.project.digests import path_digest
from foretwin.project.entrypoint import show_progress, switch_telemetry_off
from foretwin.project.files import make_private
from foretwin.registry.locations import (
    FILES,
    KIND,
    PARENT,
    RECORD,
    artifact_root,
    damaged,
    has_store,
    local_database,
    model_name,
    tracking_uri,
)
from foretwin.registry.relocation import relocate

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's limits on one request
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # the stores that MLflow opens itself
# Whose exceptions say that the store or its artifacts refuse, rather than that this program is wrong.
LIBRARIES = {"alembic", "boto3", "botocore", "mlflow", "requests", "s3transfer", "sqlalchemy", "urllib3"}
NO_DATABASE = ("file is not a database", "database disk image is malformed")  # what SQLite says of a damaged file

Point = tuple[str, float, int]  # metric, value, step
Scalar = str | int | float | bool


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """Turn MLflow's exceptions into a RegistryError of one line."""
    try:
        yield
    except ForetwinError:
        raise
    except Exception as error:
        known = type(error).__module__.partition(".")[0] in LIBRARIES
        if not known and not (isinstance(error, ModuleNotFoundError) and error.name in LIBRARIES):
            raise
        raise RegistryError(f"MLflow: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return the first line of a library's message, with advice where it names none of ours."""
    reason = (str(error).strip().splitlines() or [repr(error)])[0]
    if "out-of-date database schema" in reason:
        versions = reason.partition(". ")[0]
        way = "move mlflow.db away, and `foretwin publish` makes it again from DVC's records"
        return f"the tracking store was made by another version: {versions}: {way}; or keep it with `mlflow db upgrade`"
    if any(words in str(error) for words in NO_DATABASE):
        return str(damaged("mlflow.db", next(words for words in NO_DATABASE if words in str(error))))
    if isinstance(error, ModuleNotFoundError):
        return f"{reason}; for artifacts in S3 run `pip install 'foretwin[s3]'`"
    return reason


def connect_mlflow(root: Path) -> "MlflowClient":
    """Return a client of the project's store, which is created at first use."""
    switch_telemetry_off()
    if not show_progress():
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri, database = tracking_uri(root), local_database(root)
    if database is not None:
        with suppress(OSError):  # SQLite says the same
            make_private(database)
    _look(uri)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if database is not None and database.resolve() == root.resolve() / "mlflow.db" and has_store(root):
        relocate(client, root)
    return client


@cache
def _look(uri: str) -> None:
    """Raise RegistryError at once where a database does not answer: MLflow would try for two minutes."""
    if not uri.startswith(DATABASES):
        return
    from mlflow.store.db.utils import create_sqlalchemy_engine

    try:
        engine = create_sqlalchemy_engine(uri)
    except Exception as error:  # a driver that is not installed, a URL that is none
        if type(error).__module__.partition(".")[0] in LIBRARIES or isinstance(error, ImportError):
            raise RegistryError(f"{uri.partition(':')[0]}: the tracking store cannot be opened: {error}") from None
        raise
    try:
        engine.connect().close()
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in LIBRARIES:
            raise
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        shown = engine.url.render_as_string(hide_password=True)
        raise RegistryError(f"{shown}: the tracking store does not answer: {reason}") from None
    finally:
        engine.dispose()


def experiment(client: "MlflowClient", root: Path, twin: str) -> str:
    """Return the id of the twin's experiment; created, or restored when it was deleted."""
    name = model_name(twin)
    found = client.get_experiment_by_name(name)
    if found is None:
        place = artifact_root(root)
        return str(client.create_experiment(name, artifact_location=place and f"{place}/{name}"))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def find_run(client: "MlflowClient", experiment_id: str, kind: str, record: str) -> str | None:
    """Return the finished run with this record; remains of an interrupted publication are deleted."""
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
    client: "MlflowClient",
    experiment_id: str,
    name: str,
    tags: Mapping[str, str],
    status: str = "FINISHED",
    span: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """Create a run that ends with `status` when the body went well, and FAILED otherwise.

    `span` says when that happened which the run tells of, as `started` and `ended`; without it, it is now.
    """
    begin, end = (_milliseconds((span or {}).get(moment)) for moment in ("started", "ended"))
    run_id = str(client.create_run(experiment_id, begin, dict(tags), name).info.run_id)
    try:
        yield run_id
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, status, end if begin else None)


def _milliseconds(moment: str | None) -> int | None:
    return None if moment is None else int(1000 * datetime.fromisoformat(moment).timestamp())


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


def attach(client: "MlflowClient", run_id: str, paths: Iterable[Path]) -> list[str]:
    """Upload the files and folders that the run lacks; return their names."""
    kept = json.loads(client.get_run(run_id).data.tags.get(FILES, "{}"))
    there = {found.path for found in client.list_artifacts(run_id)}
    digests = {path: path_digest(path) for path in paths}
    missing = [path for path, digest in digests.items() if kept.get(path.name) != digest or path.name not in there]
    for path in missing:
        if path.is_dir():
            client.log_artifacts(run_id, path, path.name)
        else:
            client.log_artifact(run_id, path)
    if missing:
        kept |= {path.name: digests[path] for path in missing}
        client.set_tag(run_id, FILES, json.dumps(kept, sort_keys=True))
    return [path.name for path in missing]


@contextmanager
def files_of_run(root: Path, run: str, names: Sequence[str]) -> Iterator[Path]:
    """Download those of these files that the run has to a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        with mlflow_errors():
            client = connect_mlflow(root)
            for name in {found.path for found in client.list_artifacts(run)}.intersection(names):
                client.download_artifacts(run, name, folder)
        yield Path(folder)


def tags_upwards(root: Path, run: str) -> Iterator[dict[str, str]]:
    """Return the tags of a run, then those of its parents; empty where there is no such run."""
    with mlflow_errors():
        from mlflow.exceptions import MlflowException

        client, asked = connect_mlflow(root), run
        while asked:
            try:
                tags = dict(client.get_run(asked).data.tags)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return
                raise
            yield tags
            asked = tags.get(PARENT, "")


def flatten(value: Any, separator: str, name: str = "") -> dict[str, Scalar]:
    """Flatten nested dicts to `outer<separator>inner`: value; anything but dicts and scalars is left out."""
    if isinstance(value, dict):
        parts = (flatten(v, separator, f"{name}{separator}{key}" if name else str(key)) for key, v in value.items())
        return {key: scalar for part in parts for key, scalar in part.items()}
    return {name: value} if isinstance(value, str | int | float | bool) else {}


def metric_points(value: Any, prefix: str) -> list[Point]:
    """Return the numbers of nested dicts as metrics `prefix/outer/inner` at step 0."""
    flat = flatten(value, "/", prefix).items()
    return [(key, float(v), 0) for key, v in flat if isinstance(v, int | float) and not isinstance(v, bool)]
