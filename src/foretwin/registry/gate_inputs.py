"""Collect the gate's inputs about a candidate and its champion from files and registry."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin import gate
from foretwin.champion import ledger
from foretwin.champion.provenance import asset_digest
from foretwin.dataset.table import read_rows
from foretwin.errors import BadInput, BundleError
from foretwin.evaluation.candidates import CANDIDATE, candidates_among, load_candidates, read_blend_record, times_slower
from foretwin.evaluation.held_out import HeldOut, Predictions, read_baselines
from foretwin.predictor.bundle import Bundle
from foretwin.project.params import Params
from foretwin.project.paths import Paths
from foretwin.registry.tracking_store import has_artifact
from foretwin.registry.versions import RegisteredChampion

if TYPE_CHECKING:
    from mlflow import MlflowClient

Predict = Callable[[Bundle, pd.DataFrame], Predictions]

LINEAGE = "lineage.json"
TIMINGS = 31
AT_ONCE = (1, 256)  # windows for which a blend is timed beside its network


def collect_gate_inputs(
    client: "MlflowClient",
    paths: Paths,
    params: Params,
    predict: Predict,
    champion: RegisteredChampion | None,
    trouble: str,
) -> gate.Decision:
    """Return the gate's decision on models/<twin>/bundle; `trouble` is why the champion's bundle cannot be read."""
    bundle = Bundle.load(paths.models / "bundle")
    test_rows = read_rows(paths.windows / "test.parquet", bundle.contract)
    held_out = HeldOut.of(test_rows, bundle)
    told = read_baselines(paths.models / "baselines.parquet", bundle.contract, test_rows)
    baselines = {name.removeprefix(CANDIDATE): one for name, one in told.items()}
    megabytes = sum(path.stat().st_size for path in (paths.models / "bundle").iterdir()) / 1e6
    latency = _latency_ms(bundle, test_rows)
    parts = candidates_among(told)
    candidate = gate.Candidate(bundle.contract, predict(bundle, test_rows), latency, megabytes, tuple(parts))
    if champion and champion.digest == bundle.digest:
        return gate.unchanged(candidate, held_out, baselines, _label(champion), params.promote)
    rival = gate.Rival("", obstacles=(trouble,)) if trouble else None
    if champion:
        rival = _rival(client, paths, predict, champion, bundle, test_rows)
    findings = [*_leaks(paths, bundle, test_rows), *_rolled_back(paths, bundle.digest)]
    findings += _slowdown(paths, bundle, test_rows, params)
    findings += gate.candidate_checks(bundle.contract, held_out, candidate.said, parts, params.promote)
    return gate.decide(candidate, held_out, baselines, rival, params.promote, findings)


def _slowdown(paths: Paths, bundle: Bundle, rows: pd.DataFrame, params: Params) -> list[gate.Check]:
    """Compare a blend's speed with that of its network; nothing to compare where that does not answer."""
    candidates = load_candidates(paths.models / "candidates")
    record = read_blend_record(paths.models / "candidates")
    answering = [*record.get("weights", {}).values(), *record.get("beside", {}).values()]
    if "network" not in candidates or not any("network" in weights for weights in answering):
        return []
    times = {count: times_slower(bundle, candidates["network"], rows, count) for count in AT_ONCE}
    return [gate.slowdown_check(times, params.promote)]


def _rival(
    client: "MlflowClient",
    paths: Paths,
    predict: Predict,
    champion: RegisteredChampion,
    candidate: Bundle,
    rows: pd.DataFrame,
) -> gate.Rival:
    """Return the present champion with its predictions of the candidate's held-out rows."""
    label = _label(champion)
    try:
        bundle = Bundle.load(champion.folder)
    except (BundleError, ValueError) as error:  # an older version's contract may have had other fields
        return gate.Rival(label, obstacles=(f"its bundle cannot be read: {str(error).splitlines()[0]}",))
    obstacles = gate.obstacles(bundle.contract, candidate.contract)
    if obstacles:
        return gate.Rival(label, bundle.contract, obstacles=obstacles)
    try:
        said = predict(bundle, rows)
    except (BundleError, BadInput) as error:
        return gate.Rival(label, bundle.contract, obstacles=(f"it does not answer: {error}",))
    unseen = _unseen(client, paths, champion, HeldOut.of(rows, candidate).assets)
    return gate.Rival(label, bundle.contract, said, unseen=unseen)


def _unseen(
    client: "MlflowClient", paths: Paths, champion: RegisteredChampion, assets: NDArray[np.str_]
) -> NDArray[np.bool_] | None:
    """Return (N,) whether the champion was not trained on the asset of each window; None without a record."""
    lineage = _lineage(client, paths, champion)
    if not lineage or not lineage.get("assets"):
        return None
    trained = set(lineage["assets"]["trained"])
    return np.array([asset_digest(str(asset)) not in trained for asset in assets])


def _lineage(client: "MlflowClient", paths: Paths, champion: RegisteredChampion) -> dict[str, Any] | None:
    """Return the champion's lineage.json from its folder, else from its run."""
    kept = paths.models / "champion" / LINEAGE
    if kept.exists():
        content = dict(json.loads(kept.read_text(encoding="utf-8")))
        if content.get("bundle") == champion.digest:
            return content
    if not has_artifact(client, champion.run, LINEAGE):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(client.download_artifacts(champion.run, LINEAGE, folder))
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    return content if content.get("bundle") == champion.digest else None


def _leaks(paths: Paths, bundle: Bundle, test_rows: pd.DataFrame) -> list[gate.Check]:
    development = read_rows(paths.windows / "development.parquet", bundle.contract)
    folds = json.loads((paths.windows / "splits.json").read_text(encoding="utf-8"))
    return gate.leak_checks(bundle.contract, development, test_rows, folds)


def _rolled_back(paths: Paths, digest: str) -> list[gate.Check]:
    """Return a failed check if this bundle was champion, was rolled back, and is not champion again."""
    left = ledger.taken_back(ledger.read(paths.ledger)).values()
    last = next((entry for entry in left if entry.bundle == digest), None)
    if last is None:
        return []
    why = f"it was rolled back on {last.at:%Y-%m-%d} by {last.actor}: {last.reason}"
    way = f'`foretwin promote {paths.twin} --force "reason"` promotes it nevertheless'
    return [gate.Check("rolled_back", False, f"version {last.version} is this bundle, and {why}; {way}")]


def _latency_ms(bundle: Bundle, test_rows: pd.DataFrame) -> float:
    """Return the median processor time, in ms, of one window through `Bundle.score`: other work is no matter."""
    one = test_rows[test_rows["asset"] == test_rows["asset"].iat[0]]
    bundle.score(one)
    seconds = []
    for _ in range(TIMINGS):
        begin = time.thread_time()
        bundle.score(one)
        seconds.append(time.thread_time() - begin)
    return round(1000 * float(np.median(seconds)), 2)


def _label(champion: RegisteredChampion) -> str:
    return f"{champion.name} version {champion.version}"
