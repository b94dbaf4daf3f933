"""Publish one training, from data to verdict, as one MLflow run with its Optuna trials nested.

A run is keyed by the digest of training.json, so publishing twice makes one run. What its artifacts lack, or hold in
an older state, is put back.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any

from foretwin.errors import RegistryError
from foretwin.evaluation.candidates import FLEET_JUDGEMENT
from foretwin.predictor.bundle import verify
from foretwin.project.paths import Paths
from foretwin.project.timings import read_timings
from foretwin.registry.locations import FILES, KIND, PARENT, PIPELINE, RECORD, read_json, run_files
from foretwin.registry.tracking_store import (
    Point,
    attach,
    connect_mlflow,
    experiment,
    find_run,
    flatten,
    log,
    metric_points,
    mlflow_errors,
    new_run,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

BEST = "foretwin.best"  # tag of the trial whose hyper-parameters were trained
DECISION = ("drift.json", "promotion.json", "lineage.json", "card.html")  # what comes after the figures
TRIAL_STATUS = {"complete": "FINISHED", "pruned": "KILLED", "running": "KILLED", "fail": "FAILED"}
CONTEXTS = {"development.parquet": "training", "test.parquet": "evaluation"}
DIGEST_LENGTH = 36  # MLflow keeps no more of a data set's digest


@mlflow_errors()
def publish_training(paths: Paths) -> str:
    """Publish models/<twin>/training.json with its bundle and nested trials; return the run's id.

    RegistryError where there is no such record, or where the bundle beside it is another one.
    """
    record, digest = read_record(paths, "training.json")
    if record["bundle"] != verify(paths.models / "bundle"):
        raise RegistryError(
            f"{paths.models}/training.json: is of another bundle; run `dvc repro data/{paths.twin}/dvc.yaml:train`"
        )
    files = [
        path for path in run_files(paths.root, paths.twin) if path.name in ("training.json", "tuning.json", "bundle")
    ]
    tuned = any(path.name == "tuning.json" for path in files)
    client = connect_mlflow(paths.root)
    experiment_id = experiment(client, paths.root, paths.twin)
    found = find_run(client, experiment_id, PIPELINE, digest)
    if found is None:
        told = read_timings(paths.models / "training.json", "train")
        tags = {KIND: PIPELINE, RECORD: digest} | _origin(record, trained_from(paths, record))
        with new_run(client, experiment_id, f"pipeline {paths.twin} {digest[:8]}", tags, span=told) as found:
            params = flatten({**record["params"], "choice": record["choice"]}, ".")
            log(client, found, params, [*_curves(record["members"]), *_spent(told)])
            client.log_inputs(found, _windows(record["data"], paths.twin))
            if tuned:
                _publish_tuning(client, paths, experiment_id, found)
    attach(client, found, files)
    return found


@mlflow_errors()
def publish_evaluation(paths: Paths) -> str:
    """Add figures, plots and reports to the training's run; return its id.

    RegistryError where evaluation.json measures another bundle than the one that is there.
    """
    measured = paths.evaluation
    record, digest = read_record(paths, measured.name)
    run_id = publish_training(paths)
    if record.get("bundle", verify(paths.models / "bundle")) != verify(paths.models / "bundle"):
        raise RegistryError(f"{measured}: is of another bundle; run `dvc repro data/{paths.twin}/dvc.yaml:evaluate`")
    client = connect_mlflow(paths.root)
    kept = json.loads(client.get_run(run_id).data.tags.get(FILES, "{}"))
    if kept.get(measured.name) != digest:
        counts = {key: record[key] for key in ("assets", "cuts") if key in record}
        points = metric_points(record["network"], "test") + metric_points(record["baselines"], "baselines")
        points += metric_points(record.get("candidates", {}).get(FLEET_JUDGEMENT, {}), f"test/{FLEET_JUDGEMENT}")
        told = read_timings(measured, "evaluate")
        points += metric_points(told.get("seconds", {}), "baselines/seconds")
        log(client, run_id, points=points + metric_points(counts, "test"), tags={"foretwin.unit": record["unit"]})
    attach(client, run_id, [path for path in run_files(paths.root, paths.twin) if path.name not in DECISION])
    return run_id


@mlflow_errors()
def publish_decision(paths: Paths, run_id: str) -> None:
    """Add the gate's files, and the raw data and rows that the lineage names, to the training's run."""
    client = connect_mlflow(paths.root)
    files = [path for path in run_files(paths.root, paths.twin) if path.name in DECISION]
    attach(client, run_id, files)
    if paths.models / "lineage.json" in files:
        lineage, _ = read_record(paths, "lineage.json")
        found = [
            _data_set(f"raw/{name}", digest, paths.twin, "source") for name, digest in (lineage["raw"] or {}).items()
        ]
        found += [
            _data_set(f"rows/{name}", digest, paths.twin, "rows") for name, digest in (lineage["rows"] or {}).items()
        ]
        if found:
            client.log_inputs(run_id, found)


def trained_from(paths: Paths, record: dict[str, Any]) -> dict[str, Any]:
    """Return the commit, and whether the tree differed from it, at which a training ran; empty where nobody knows.

    `record` is the content of training.json, which versions before wrote it into. Where the training ran elsewhere, the
    verdict on it tells.
    """
    verdict = read_json(paths.models / "promotion.json")
    judged = bool(verdict) and verdict["evidence"]["bundle"] == record["bundle"]
    told = read_timings(paths.models / "training.json", "train").get("git") or record.get("git")
    return dict(told or (judged and verdict.get("git")) or {})


def read_record(paths: Paths, name: str) -> tuple[dict[str, Any], str]:
    """Return a record of models/<twin>/ and the SHA-256 of its bytes; RegistryError where it cannot be read."""
    path = paths.models / name
    try:
        content = path.read_bytes()
        return dict(json.loads(content)), hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        raise RegistryError(f"{path}: not found; run `dvc repro`, or `dvc pull` for what others have trained") from None
    except (ValueError, TypeError) as error:
        raise RegistryError(f"{path}: not a record: {error}; run the stage that writes it again") from None


def _publish_tuning(client: "MlflowClient", paths: Paths, experiment_id: str, parent: str) -> None:
    """Publish a nested run for each trial, and per trial its value and the best so far."""
    record, _ = read_record(paths, "tuning.json")
    told = read_timings(paths.models / "tuning.json", "tune")
    times = {one["number"]: one for one in told.get("trials", ())}
    trials = [trial | times.get(trial["number"], {}) for trial in record["trials"]]
    known = [(int(trial["number"]), float(trial["value"])) for trial in trials if trial["value"] is not None]
    points: list[Point] = [("tune/value", value, number) for number, value in known]
    points += [("tune/best", min(value for n, value in known if n <= number), number) for number, _ in known]
    best = next((number for number, value in known if value == record["value"]), None)
    settings = {key: record[key] for key in ("seed", "windows") if key in record}
    params = flatten({"tune": {**settings, "trials": len(trials), "best_trial": best}}, ".")
    log(client, parent, params, points)
    for trial in trials:
        _publish_trial(client, experiment_id, parent, trial, trial["number"] == best)


def _publish_trial(client: "MlflowClient", experiment_id: str, parent: str, trial: dict[str, Any], best: bool) -> None:
    state = str(trial["state"]).lower()
    tags = {KIND: "trial", PARENT: parent, "optuna.state": state} | ({BEST: "true"} if best else {})
    name = f"trial {trial['number']}{' (best)' if best else ''}"
    with new_run(client, experiment_id, name, tags, TRIAL_STATUS.get(state, "FINISHED"), trial) as run_id:
        points: list[Point] = [("objective", float(value), step) for step, value in enumerate(trial["curve"])]
        last = {key: trial.get(key) for key in ("value", "seconds")}
        points += [(key, float(value), 0) for key, value in last.items() if value is not None]
        log(client, run_id, flatten(trial["params"], "."), points)


def _curves(members: list[dict[str, Any]]) -> list[Point]:
    """Return each member's curves as `<metric>/fold-<fold>` over the epochs, so that folds share a chart's group."""
    several = len({member.get("seed") for member in members}) > 1
    return [
        (
            f"{key}/fold-{member['fold']}" + (f"-seed-{member['seed']}" if several else ""),
            float(value),
            int(point["epoch"]),
        )
        for member in members
        for point in member["curves"]
        for key, value in point.items()
        if key != "epoch" and value is not None
    ]


def _spent(told: dict[str, Any]) -> list[Point]:
    """Return the seconds of one core of the training, and of each of its candidates."""
    if not told:
        return []
    parts: dict[str, float] = {}
    for part in told["parts"]:
        parts[part["candidate"]] = parts.get(part["candidate"], 0.0) + part["seconds"]
    return [("seconds", float(told["seconds"]), 0), *metric_points(parts, "seconds_of")]


def _origin(record: dict[str, Any], git: dict[str, Any]) -> dict[str, str]:
    """Return tags that identify a training's origin."""
    environment = {f"environment.{name}": str(value) for name, value in record.get("environment", {}).items()}
    return environment | {
        "foretwin.bundle": record["bundle"],
        "foretwin.contract": record["contract"],
        "foretwin.git_dirty": str(git.get("dirty", True)).lower(),
        "mlflow.source.git.commit": git.get("commit") or "unknown",
        "mlflow.source.name": "pipelines/train.py",
        "mlflow.source.type": "LOCAL",
    }


def _windows(files: dict[str, str], twin: str) -> list[Any]:
    """Return the tables that training and evaluation read, as MLflow data sets."""
    known = {name: digest for name, digest in files.items() if name in CONTEXTS}
    return [_data_set(f"windows/{name}", digest, twin, CONTEXTS[name]) for name, digest in known.items()]


def _data_set(place: str, digest: str, twin: str, context: str) -> Any:
    """Return a file of data/<twin>/ as an MLflow data set, named by its path and identified by its SHA-256."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = json.dumps({"uri": f"data/{twin}/{place}", "sha256": digest})
    tags = [InputTag("mlflow.data.context", context)]
    return DatasetInput(Dataset(place, digest[:DIGEST_LENGTH], "local", source), tags)
