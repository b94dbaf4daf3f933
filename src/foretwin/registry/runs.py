"""What the stages recorded, as MLflow runs.

A run is keyed by the digest of its record, so publishing twice makes one run. Artifacts that have vanished from a run
are put back.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin.bundle import verify
from foretwin.config import Paths
from foretwin.errors import RegistryError
from foretwin.registry.store import (
    KIND,
    PARENT,
    RECORD,
    Point,
    connect,
    experiment,
    find_run,
    flatten,
    has_artifact,
    log,
    mlflow_errors,
    new_run,
    numbers,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

EVALUATION = "foretwin.evaluation"
TRIAL_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "running": "KILLED", "fail": "FAILED"}
DIGEST_LENGTH = 36  # MLflow keeps no more of a data set's digest


@mlflow_errors()
def publish_tuning(paths: Paths) -> str:
    """The run "tune" of models/<twin>/tuning.json, with one nested run per trial; returns its id.

    RegistryError where there is no such record.
    """
    record, digest = read_record(paths, "tuning.json")
    client = connect(paths.root)
    experiment_id = experiment(client, paths.root, paths.twin)
    found = find_run(client, experiment_id, "tune", digest)
    if found is None:
        with new_run(client, experiment_id, "tune", {KIND: "tune", RECORD: digest}) as found:
            trials = record["trials"]
            settings = {key: record[key] for key in ("seed", "windows") if key in record}
            points = [("trial/value", float(t["value"]), int(t["number"])) for t in trials if t["value"] is not None]
            points.append(("value", float(record["value"]), 0))
            log(client, found, flatten({"best": record["best"], **settings, "trials": len(trials)}, "."), points)
            for trial in trials:
                _publish_trial(client, experiment_id, found, trial)
    if not has_artifact(client, found, "tuning.json"):
        client.log_artifact(found, paths.models / "tuning.json")
    return found


@mlflow_errors()
def publish_training(paths: Paths) -> str:
    """The run "train" of models/<twin>/training.json and its bundle; returns its id.

    RegistryError where there is no such record, or where the bundle beside it is another one.
    """
    record, digest = read_record(paths, "training.json")
    bundle = verify(paths.models / "bundle")
    if record["bundle"] != bundle:
        raise RegistryError(f"{paths.models}/training.json: is of another bundle; run `dvc repro train@{paths.twin}`")
    tuning = publish_tuning(paths) if (paths.models / "tuning.json").exists() else ""
    client = connect(paths.root)
    experiment_id = experiment(client, paths.root, paths.twin)
    found = find_run(client, experiment_id, "train", digest)
    if found is None:
        tags = {KIND: "train", RECORD: digest, "foretwin.tuning_run": tuning} | _origin(record)
        with new_run(client, experiment_id, "train", tags) as found:
            params = flatten({**record["params"], "choice": record["choice"]}, ".")
            log(client, found, params, [*_curves(record["members"]), ("seconds", float(record["seconds"]), 0)])
            client.log_inputs(found, _data_sets(record["data"], paths.twin))
    if not has_artifact(client, found, "training.json") or not has_artifact(client, found, "bundle"):
        client.log_artifacts(found, paths.models / "bundle", "bundle")
        client.log_artifact(found, paths.models / "training.json")
    return found


@mlflow_errors()
def publish_evaluation(paths: Paths) -> str:
    """Add the figures, plots and reports to the training's run; returns its id.

    RegistryError where metrics.json measures another bundle than the one that is there.
    """
    record, _ = read_record(paths, "metrics.json")
    run_id = publish_training(paths)
    if record.get("bundle", verify(paths.models / "bundle")) != verify(paths.models / "bundle"):
        raise RegistryError(f"{paths.models}/metrics.json: is of another bundle; run `dvc repro evaluate@{paths.twin}`")
    client = connect(paths.root)
    files = [paths.models / name for name in ("metrics.json", "report.html", "plots")] + [paths.validation]
    files = [path for path in files if path.exists()]
    digest = _digest_of(files)
    same = client.get_run(run_id).data.tags.get(EVALUATION) == digest
    if same and all(has_artifact(client, run_id, path.name) for path in files):
        return run_id
    if not same:
        counts = {key: record[key] for key in ("assets", "cuts") if key in record}
        points = numbers(record["network"], "test") + numbers(record["baselines"], "baselines")
        log(client, run_id, points=points + numbers(counts, "test"))
    for path in files:
        if path.is_dir():
            client.log_artifacts(run_id, path, path.name)
        else:
            client.log_artifact(run_id, path)
    log(client, run_id, tags={EVALUATION: digest, "foretwin.unit": record["unit"]})
    return run_id


def read_record(paths: Paths, name: str) -> tuple[dict[str, Any], str]:
    """A record of models/<twin>/ and the SHA-256 of its bytes; RegistryError where it cannot be read."""
    path = paths.models / name
    try:
        content = path.read_bytes()
        return dict(json.loads(content)), hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        raise RegistryError(f"{path}: not found; run `dvc repro`, or `dvc pull` for what others have trained") from None
    except (ValueError, TypeError) as error:
        raise RegistryError(f"{path}: not a record: {error}; run the stage that writes it again") from None


def _publish_trial(client: "MlflowClient", experiment_id: str, parent: str, trial: dict[str, Any]) -> None:
    state = str(trial["state"]).lower()
    tags = {KIND: "trial", PARENT: parent, "optuna.state": state}
    with new_run(
        client, experiment_id, f"trial {trial['number']}", tags, TRIAL_STATUS.get(state, "FINISHED")
    ) as run_id:
        points: list[Point] = [("objective", float(value), step) for step, value in enumerate(trial["curve"])]
        last = {key: trial.get(key) for key in ("value", "seconds")}
        log(
            client,
            run_id,
            flatten(trial["params"], "."),
            points + [(k, float(v), 0) for k, v in last.items() if v is not None],
        )


def _curves(members: list[dict[str, Any]]) -> list[Point]:
    """Each member's curves as `<metric>/fold-<fold>` over the epochs, so that the folds share a chart's group."""
    return [
        (f"{key}/fold-{member['fold']}", float(value), int(point["epoch"]))
        for member in members
        for point in member["curves"]
        for key, value in point.items()
        if key != "epoch" and value is not None
    ]


def _origin(record: dict[str, Any]) -> dict[str, str]:
    """Tags that say where a training came from."""
    git = record.get("git", {})
    environment = {f"environment.{name}": str(value) for name, value in record.get("environment", {}).items()}
    return environment | {
        "foretwin.bundle": record["bundle"],
        "foretwin.contract": record["contract"],
        "foretwin.git_dirty": str(git.get("dirty", True)).lower(),
        "mlflow.source.git.commit": git.get("commit") or "unknown",
        "mlflow.source.name": "pipelines/train.py",
        "mlflow.source.type": "LOCAL",
    }


def _data_sets(files: dict[str, str], twin: str) -> list[Any]:
    """The files that training read, as MLflow data sets named by their digests."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    tags = [InputTag("mlflow.data.context", "training")]
    found = []
    for name, digest in files.items():
        source = json.dumps({"uri": f"data/{twin}/windows/{name}", "sha256": digest})
        found.append(DatasetInput(Dataset(name, digest[:DIGEST_LENGTH], "local", source), tags))
    return found


def _digest_of(paths: list[Path]) -> str:
    """One digest of files and of all files in folders."""
    files = [(path, path.parent) for path in paths if path.is_file()]
    files += [(file, path.parent) for path in paths for file in sorted(path.rglob("*")) if file.is_file()]
    parts = [f"{path.relative_to(top)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path, top in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
