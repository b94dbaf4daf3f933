"""Put a candidate to the gate, and keep what was decided.

The verdict is kept as an artifact of the candidate's run, and is given again, unchanged, as long as the question and
the champion that followed from it are the same: repeating the stage changes nothing.
"""

import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from foretwin import gate
from foretwin.bundle import Bundle, verify
from foretwin.config import Params, Paths
from foretwin.contract import Twin
from foretwin.errors import BundleError, RegistryError
from foretwin.registry.restore import restore_champion
from foretwin.registry.runs import publish_evaluation, read_record
from foretwin.registry.store import connect, has_artifact, mlflow_errors, model_name
from foretwin.registry.versions import GATE, current, register, set_champion
from foretwin.rows import read_rows

if TYPE_CHECKING:
    from mlflow import MlflowClient

Measure = Callable[[Bundle, pd.DataFrame], dict[str, Any]]

VERDICT = "promotion.json"


@mlflow_errors()
def promote(paths: Paths, params: Params, measure: Measure) -> dict[str, Any]:
    """Decide on models/<twin>/bundle and, where it passes, make it the champion; returns the verdict as JSON values.

    `measure` (`evaluation.measure`) scores the present champion on the rows that metrics.json was measured on. A
    refusal is a verdict like any other; RegistryError is for records that are missing or do not belong together.
    """
    metrics, metrics_digest = read_record(paths, "metrics.json")
    run = publish_evaluation(paths)
    client = connect(paths.root)
    restore_champion(client, paths)
    digest = verify(paths.models / "bundle")
    evidence = {"bundle": digest, "metrics": metrics_digest, "allowed_loss": params.promote.allowed_loss}
    before, trouble = _present(client, paths)
    recorded = _recorded(client, run)
    if recorded and recorded["evidence"] == evidence and _digest(recorded["champion"]) == _digest(before):
        register(paths, run)  # puts the version's artifacts back, should they have vanished
        return recorded

    if before and before["digest"] == digest:
        decision = gate.unchanged(metrics, _label(before))
        rival: gate.Rival | None = gate.Rival(_label(before), decision.candidate)
    else:
        rival = _rival(client, paths, measure, trouble)
        decision = gate.decide(metrics, rival, params.promote.allowed_loss)
    version = _follow(client, paths, run, decision.promoted)
    verdict: dict[str, Any] = _plain(
        {
            **asdict(decision),
            "champion_before": before and {**before, "figures": rival and rival.figures},
            "name": model_name(paths.twin),
            "version": version,
            "run": run,
            "champion": _present(client, paths)[0],
            "evidence": evidence,
            "decided_at": _decided_at(recorded, _digest(before) == digest),
        }
    )
    client.log_text(run, json.dumps(verdict, indent=2), VERDICT)
    return verdict


def _follow(client: "MlflowClient", paths: Paths, run: str, promoted: bool) -> str:
    """Register the candidate, with what the gate said of it, and let it be champion if it was promoted."""
    version = register(paths, run)
    client.set_model_version_tag(model_name(paths.twin), version, GATE, "promoted" if promoted else "refused")
    if promoted:
        set_champion(paths.root, paths.twin, version)
    return version


def _present(client: "MlflowClient", paths: Paths) -> tuple[dict[str, str] | None, str]:
    """The present champion's identity, or None and why it cannot be read, if there is one at all."""
    try:
        found = current(client, paths.root, paths.twin)
    except RegistryError as error:
        return None, str(error)
    return (found.identity() if found else None), ""


def _rival(client: "MlflowClient", paths: Paths, measure: Measure, trouble: str) -> gate.Rival | None:
    """The present champion, measured on the candidate's held-out rows."""
    if trouble:
        return gate.Rival("", None, (trouble,))
    champion = current(client, paths.root, paths.twin)
    if champion is None:
        return None
    label = _label(champion.identity())
    contract = Twin.model_validate_json((paths.models / "bundle" / "contract.json").read_bytes())
    try:
        bundle = Bundle.load(champion.folder)
    except (BundleError, ValueError) as error:  # an older version's contract may have had other fields
        return gate.Rival(label, None, (f"its bundle cannot be read: {str(error).splitlines()[0]}",))
    obstacles = gate.obstacles(bundle.contract, contract)
    if obstacles:
        return gate.Rival(label, None, obstacles)
    rows = read_rows(paths.windows / "test.parquet", contract)
    return gate.Rival(label, gate.figures(measure(bundle, rows), label))


def _recorded(client: "MlflowClient", run: str) -> dict[str, Any] | None:
    """The verdict that was kept with the candidate's run."""
    if not has_artifact(client, run, VERDICT):
        return None
    with tempfile.TemporaryDirectory() as folder:
        return dict(json.loads(Path(client.download_artifacts(run, VERDICT, folder)).read_text(encoding="utf-8")))


def _decided_at(recorded: dict[str, Any] | None, stays: bool) -> str:
    """Now, in UTC; a champion that stays was decided on before."""
    earlier = recorded.get("decided_at") if recorded and stays else None
    return earlier or datetime.now(UTC).isoformat(timespec="seconds")


def _label(identity: dict[str, str]) -> str:
    return f"{identity['name']} version {identity['version']}"


def _digest(identity: dict[str, str] | None) -> str | None:
    return identity["digest"] if identity else None


def _plain(value: Any) -> Any:
    """JSON values: what is not a number becomes null, which every reader of JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
