"""Submit a candidate to the gate, and record the decision.

The verdict is kept as an artifact of the candidate's run, and in git, and is given again, unchanged, as long as the
question and the champion that followed from it are the same: repeating the stage changes nothing, nor does it in a
clone that trained the same bundle. What is decided anew is appended to the ledger before the alias moves, so that no
champion is without its entry.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin import evaluation, gate
from foretwin.champion import ledger
from foretwin.champion.provenance import write_lineage
from foretwin.dataset.labels.taught import load_taught
from foretwin.errors import RegistryError
from foretwin.evaluation.model_card import write_card
from foretwin.predictor.bundle import verify
from foretwin.project.digests import file_digest, text_digest
from foretwin.project.files import fresh_file
from foretwin.project.json import finite, strict_json
from foretwin.project.params import Params
from foretwin.project.paths import Paths
from foretwin.registry.descriptions import publish_verdict
from foretwin.registry.gate_inputs import Predict, collect_gate_inputs
from foretwin.registry.locations import model_name, read_json
from foretwin.registry.restore import restore_champion
from foretwin.registry.runs import publish_evaluation, read_record, trained_from
from foretwin.registry.sync import keep_named
from foretwin.registry.tracking_store import connect_mlflow, has_artifact, mlflow_errors
from foretwin.registry.versions import RegisteredChampion, current, register, set_champion

if TYPE_CHECKING:
    from mlflow import MlflowClient

VERDICT = "promotion.json"
SHORTEST_REASON = 10  # characters


@mlflow_errors()
def promote(
    paths: Paths, params: Params, predict: Predict, force: str | None = None, actor: str = "pipeline"
) -> dict[str, Any]:
    """Decide on models/<twin>/bundle and, where it passes, make it the champion; return the verdict as JSON values.

    `predict` (`evaluation.predict`) scores candidate and champion on the held-out rows. `force` is why a candidate is
    promoted that the gate refuses; `actor` is who asks. The verdict, the lineage and the model card are written to
    models/<twin>/, a new champion to models/<twin>/champion/, where services find it. A refusal is a verdict like any
    other; RegistryError is for records that are missing or do not belong together, and for a `force` without a reason.
    """
    if force is not None and len(force.strip()) < SHORTEST_REASON:
        raise RegistryError(f"{paths.twin}: a forced promotion needs a reason of {SHORTEST_REASON} characters or more")
    metrics, _ = read_record(paths, paths.evaluation.name)
    run = publish_evaluation(paths)
    client = connect_mlflow(paths.root)
    restore_champion(client, paths)
    digest = verify(paths.models / "bundle")
    evidence = {"bundle": digest, **_evidence(paths, params)}
    before, trouble = _present(client, paths)
    recorded = _recorded(client, run) or _kept(paths, digest)
    if recorded and _still_answers(recorded, evidence, before, force):
        register(paths, run, wanted=int(recorded["version"]))  # puts back what has vanished of it
        _write(paths, metrics, recorded)
        publish_verdict(client, paths, run, recorded["version"], recorded)
        _keep(client, paths)
        return recorded

    decision = collect_gate_inputs(client, paths, params, predict, before, trouble)
    about = {"name": model_name(paths.twin), "version": register(paths, run), "run": run, "evidence": evidence}
    about["git"] = trained_from(paths, read_record(paths, "training.json")[0])
    verdict = _verdict(decision, before, force, {**about, "decided_at": _decided_at(recorded, before, digest)})
    _record(paths, verdict, actor, force)
    if verdict["promoted"]:
        set_champion(paths.root, paths.twin, verdict["version"])
    champion = _present(client, paths)[0]
    verdict["champion"] = champion and champion.identity()
    _write(paths, metrics, verdict)
    publish_verdict(client, paths, run, verdict["version"], verdict)
    _keep(client, paths)
    return verdict


def _verdict(
    decision: gate.Decision, before: RegisteredChampion | None, force: str | None, about: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of promotion.json, without the champion that follows from it."""
    forced = force.strip() if force and not decision.promoted else None
    verdict: dict[str, Any] = finite(
        {
            **asdict(decision),
            "promoted": decision.promoted or forced is not None,
            "forced": forced,
            "champion_before": before and {**before.identity(), "figures": decision.champion},
            **about,
        }
    )
    return verdict


def _evidence(paths: Paths, params: Params) -> dict[str, Any]:
    """Return what the decision depends on besides the bundle: digests of its data, limits, the gate's rules.

    Figures and predictions follow from these, but for last digits that differ from one processor to another.
    """
    files = [paths.windows / name for name in ("development.parquet", "test.parquet", "splits.json")]
    try:
        contents = [file_digest(path) for path in files]
    except FileNotFoundError as error:
        raise RegistryError(
            f"{error.filename}: not found; run `dvc repro data/{paths.twin}/dvc.yaml:evaluate`"
        ) from None
    rows = text_digest(" ".join(contents))
    rules = hashlib.sha256()
    for package in (gate, evaluation):
        for path in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            rules.update(path.read_bytes())
    return {"rows": rows, "limits": params.promote.model_dump(mode="json"), "rules": rules.hexdigest()}


def _still_answers(
    recorded: dict[str, Any], evidence: dict[str, Any], before: RegisteredChampion | None, force: str | None
) -> bool:
    """Whether the stored verdict answers this question too."""
    if recorded["evidence"] != evidence or (force and not recorded["promoted"]):
        return False
    champion = recorded["champion"]
    return bool((champion and champion["digest"]) == (before and before.digest))


def _record(paths: Paths, verdict: dict[str, Any], actor: str, force: str | None) -> None:
    """Append the decision to the ledger; a champion that stays was decided on before."""
    version, before = verdict["version"], verdict["champion_before"]
    if before and before["digest"] == verdict["evidence"]["bundle"]:
        return
    promoted: ledger.Action = "forced" if verdict["forced"] else "promoted"
    entry = ledger.LedgerEntry(
        at=datetime.fromisoformat(verdict["decided_at"]),
        action=promoted if verdict["promoted"] else "refused",
        version=version,
        bundle=verdict["evidence"]["bundle"],
        run=verdict["run"],
        champion_before=before and before["version"],
        champion=version if verdict["promoted"] else before and before["version"],
        reasons=tuple(verdict["reasons"]),
        actor=actor,
        reason=force.strip() if force else None,
    )
    if not _is_last(entry, paths):
        ledger.append(paths.ledger, entry)


def _is_last(entry: ledger.LedgerEntry, paths: Paths) -> bool:
    """Whether the ledger ends with this decision: after a lost store, or a stop before the alias moved."""
    last = next(reversed(ledger.read(paths.ledger)), None)
    told = ("action", "bundle", "champion_before", "champion", "reasons", "reason")
    return last is not None and all(getattr(last, name) == getattr(entry, name) for name in told)


def _write(paths: Paths, metrics: dict[str, Any], verdict: dict[str, Any]) -> None:
    """Write models/<twin>/promotion.json, lineage.json and card.html."""
    with fresh_file(paths.models / VERDICT) as out:
        out.write_text(strict_json(verdict, indent=2) + "\n", encoding="utf-8")
    with fresh_file(paths.models / "lineage.json") as out:
        write_lineage(paths, verdict, out)
    lineage = json.loads((paths.models / "lineage.json").read_text(encoding="utf-8"))
    training, _ = read_record(paths, "training.json")
    with fresh_file(paths.models / "card.html") as out:
        write_card(load_taught(paths), training, metrics, verdict, lineage, out)


def _keep(client: "MlflowClient", paths: Paths) -> None:
    """Write the champion to models/<twin>/champion/; one whose bundle is lost leaves the folder as it is.

    The verdict names that loss, and the stage `package` says what to do.
    """
    try:
        keep_named(client, paths)
    except RegistryError:
        if _present(client, paths)[0] is not None:
            raise


def _present(client: "MlflowClient", paths: Paths) -> tuple[RegisteredChampion | None, str]:
    """Return the present champion, or None and why it cannot be read, if there is one at all."""
    try:
        return current(client, paths.root, paths.twin), ""
    except RegistryError as error:
        return None, str(error)


def _recorded(client: "MlflowClient", run: str) -> dict[str, Any] | None:
    """Return the verdict stored with the candidate's run."""
    if not has_artifact(client, run, VERDICT):
        return None
    with tempfile.TemporaryDirectory() as folder:
        return dict(json.loads(Path(client.download_artifacts(run, VERDICT, folder)).read_text(encoding="utf-8")))


def _kept(paths: Paths, digest: str) -> dict[str, Any] | None:
    """Return the verdict on this bundle in models/<twin>/, as git brings it into a clone whose store has no run yet."""
    verdict = read_json(paths.models / VERDICT)
    return verdict if verdict and verdict["evidence"]["bundle"] == digest else None


def _decided_at(recorded: dict[str, Any] | None, before: RegisteredChampion | None, digest: str) -> str:
    """Return now, in UTC; for a champion that stays, the moment of its decision."""
    earlier = recorded.get("decided_at") if recorded and before and before.digest == digest else None
    return earlier or datetime.now(UTC).isoformat(timespec="seconds")
