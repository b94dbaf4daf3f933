"""Find what a store lacks of what DVC holds, and recreate runs, versions and the alias.

models/<twin>/ holds the records of the stages, the candidate's bundle with promotion.json, and the champion's bundle
with identity.json. A champion that the store has, and can read, is never replaced here.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin.champion import ledger
from foretwin.champion.provenance import decision
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import verify
from foretwin.project.digests import path_digest
from foretwin.project.paths import Paths
from foretwin.registry.descriptions import publish_kept, publish_verdict
from foretwin.registry.locations import (
    ALIAS,
    FILES,
    FIRST_RUN,
    KIND,
    PIPELINE,
    RECORD,
    VERDICT,
    model_name,
    read_json,
    run_files,
    verdict_digest,
)
from foretwin.registry.runs import publish_evaluation, publish_training, read_record
from foretwin.registry.tracking_store import connect_mlflow, experiment, find_run, mlflow_errors, new_run
from foretwin.registry.versions import GATE, RegisteredChampion, aliased, current, register, set_champion, version_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

CAME = ("promoted", "forced")  # how a version becomes champion, a roll-back to it aside


@mlflow_errors()
def publish(root: Path, twins: Iterable[str]) -> dict[str, RegisteredChampion | None]:
    """Bring the store up to models/<twin>/; return each twin's champion.

    What was never trained is passed over: its champion is None.
    """
    client = connect_mlflow(root)
    return {twin: _publish_twin(client, Paths(root, twin)) for twin in twins}


def restore_champion(client: "MlflowClient", paths: Paths) -> None:
    """Register models/<twin>/champion/ as the champion, where the store has none that it can read."""
    if _has_champion(client, paths):
        return
    folder = paths.models / "champion" / "bundle"
    identity = read_json(paths.models / "champion" / "identity.json") or None
    if identity is None:
        identity = (_verdict(paths) or {}).get("champion")
        folder = paths.models / "bundle"
    if not identity or not folder.exists() or verify(folder) != identity["digest"]:
        return
    run = _run_of(client, paths, folder, identity)
    version = register(paths, run, folder, int(identity["version"]))
    publish_kept(client, paths, version)
    _tag(client, paths, version, _gate(paths, identity["digest"], CAME[0], champion=True), identity["run"])
    set_champion(paths.root, paths.twin, version)


def _publish_twin(client: "MlflowClient", paths: Paths) -> RegisteredChampion | None:
    run = None
    if (paths.models / "training.json").exists():
        run = publish_evaluation(paths) if paths.evaluation.exists() else publish_training(paths)
    verdict = _verdict(paths) if run else None
    champion = read_json(paths.models / "champion" / "identity.json")
    late = verdict and champion and int(champion["version"]) < int(verdict["version"])
    if late:  # versions are made in the order of their numbers, so that each can have its own again
        restore_champion(client, paths)
    if run and verdict:
        _restore_candidate(client, paths, run, verdict)
    restore_champion(client, paths)
    return current(client, paths.root, paths.twin)


def _restore_candidate(client: "MlflowClient", paths: Paths, run: str, verdict: dict[str, Any]) -> None:
    version = register(paths, run, wanted=int(verdict["version"]))
    publish_verdict(client, paths, run, version, verdict)
    digest = verdict["evidence"]["bundle"]
    champion = read_json(paths.models / "champion" / "identity.json") or verdict["champion"]
    gate = _gate(paths, digest, decision(verdict), champion=bool(champion) and champion["digest"] == digest)
    _tag(client, paths, version, gate, verdict["run"])


def _gate(paths: Paths, digest: str, otherwise: str, champion: bool) -> str:
    """Return the ledger's last action on a bundle; for a champion, how it became one."""
    last = (str(one.action) for one in reversed(ledger.read(paths.ledger)) if one.bundle == digest)
    return next((action for action in last if not champion or action in CAME), otherwise)


def _tag(client: "MlflowClient", paths: Paths, version: str, gate: str, first_run: str) -> None:
    name = model_name(paths.twin)
    client.set_model_version_tag(name, version, GATE, gate)
    if client.get_model_version(name, version).run_id != first_run:
        client.set_model_version_tag(name, version, FIRST_RUN, first_run)


def _has_champion(client: "MlflowClient", paths: Paths) -> bool:
    try:
        return current(client, paths.root, paths.twin) is not None
    except RegistryError:
        return False


def _run_of(client: "MlflowClient", paths: Paths, folder: Path, identity: dict[str, str]) -> str:
    """Return the run of a restored champion: its training's where available, else one of its own."""
    known = version_of(client, paths.twin, identity["digest"])
    if known is not None:
        return str(known.run_id)
    if (paths.models / "training.json").exists():
        record, _ = read_record(paths, "training.json")
        if record["bundle"] == identity["digest"]:
            return publish_training(paths)
    experiment_id = experiment(client, paths.root, paths.twin)
    found = find_run(client, experiment_id, "champion", identity["digest"])
    if found is None:
        tags = {KIND: "champion", RECORD: identity["digest"], FIRST_RUN: identity["run"]}
        with new_run(client, experiment_id, "restored champion", tags) as found:
            client.log_artifacts(found, folder, "bundle")
    return found


def _verdict(paths: Paths) -> dict[str, Any] | None:
    """Return promotion.json if it is about the present bundle."""
    verdict = read_json(paths.models / "promotion.json")
    bundle = paths.models / "bundle"
    if not verdict or not bundle.exists() or verdict["evidence"]["bundle"] != verify(bundle):
        return None
    return verdict


@mlflow_errors()
def examine(root: Path, twin: str) -> tuple[list[str], list[str]]:
    """Return what is missing, as names for people, and the absolute paths of the local artifacts found."""
    client, paths = connect_mlflow(root), Paths(root, twin)
    gone, places = _examine_run(client, paths)
    more_gone, more_places = _examine_model(client, paths)
    return gone + more_gone, places + more_places


def _examine_run(client: "MlflowClient", paths: Paths) -> tuple[list[str], list[str]]:
    """Return the missing run of training.json, or its missing artifacts."""
    record = paths.models / "training.json"
    if not record.exists():
        return [], []
    experiment = client.get_experiment_by_name(model_name(paths.twin))
    there = experiment is not None and experiment.lifecycle_stage == "active"
    query = (
        f"attributes.status = 'FINISHED' AND tags.`{KIND}` = '{PIPELINE}' AND tags.`{RECORD}` = '{path_digest(record)}'"
    )
    found = next(iter(client.search_runs([experiment.experiment_id], query)), None) if there else None
    if found is None:
        return ["the run of this training"], []
    kept = json.loads(found.data.tags.get(FILES, "{}"))
    shown = {artifact.path for artifact in client.list_artifacts(found.info.run_id)}
    gone = {path.name for path in run_files(paths.root, paths.twin) if kept.get(path.name) != path_digest(path)}
    gone |= kept.keys() - shown
    if gone:
        return [f"artifacts of its run ({', '.join(sorted(gone))})"], []
    place = found.info.artifact_uri
    return [], [f"{place}/{name}" for name in kept] if place.startswith("/") else []


def _examine_model(client: "MlflowClient", paths: Paths) -> tuple[list[str], list[str]]:
    """Return what is missing of the decided version, its description and the alias."""
    training, verdict = read_json(paths.models / "training.json"), read_json(paths.models / "promotion.json")
    gone, places = [], []
    if verdict and verdict["evidence"]["bundle"] == training.get("bundle"):
        label = f"version {verdict['version']}"
        version = version_of(client, paths.twin, training["bundle"])
        place = _model_file(version)
        if version is None or place is None:
            gone.append(label)
        elif version.tags.get(VERDICT) != verdict_digest(verdict):
            gone.append(f"the page of {label}")
        places.append(place)
    if (paths.models / "champion" / "identity.json").exists() or verdict.get("champion"):
        place = _model_file(aliased(client, paths.twin))
        if place is None:
            gone.append(f"the alias {ALIAS}")
        places.append(place)
    return gone, [place for place in places if place]


def _model_file(version: Any | None) -> str | None:
    """Return the path of a version's model file, "" where it is on another machine; None where it is missing."""
    if version is None:
        return None
    if not str(version.source).startswith("/"):
        return ""
    place = Path(version.source) / "MLmodel"
    return str(place) if place.exists() else None
