"""Stage train: train the tuned network, or all candidates of a blend, per seed and fold, and export them as bundles."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from foretwin.dataset.labels.taught import load_taught
from foretwin.dataset.splits import Development
from foretwin.project.digests import file_digests
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.project.timings import write_timings
from foretwin.training.candidates.blend import describe_blend
from foretwin.training.candidates.trained import Trained, train_networks, train_others
from foretwin.training.ensemble import (
    Member,
    describe_member,
    environment,
    git_state,
    inputs_digest,
)
from foretwin.training.tuning import encoder_choices


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/ and tuning.json, write models/<twin>/: bundle/, candidates/ and training.json."""
    started = datetime.now(UTC)
    paths = Paths(root, twin)
    contract = load_taught(paths)
    params = load_params(paths.params, twin)
    names = params.train.candidates or ("network",)
    choices = encoder_choices(json.loads((paths.models / "tuning.json").read_text()), names)
    data = file_digests(paths.windows)
    chosen = [choice.model_dump_json() for choice in choices.values()]
    key = inputs_digest(data, contract.digest, *chosen, params.model_dump_json())
    development = Development.load(paths.windows, contract, params.prepare)
    work = paths.work / f"train-{key}"
    networks: dict[str, list[Member]] = {name: [] for name in choices}
    for name, member in train_networks(development, contract, choices, params.train, work):
        told = f"{name}, " if len(choices) > 1 else ""
        print(f"train {twin}: {told}{describe_member(member, contract)}", flush=True)
        networks[name].append(member)
    trained = Trained(networks, train_others(development, contract, choices, params.train))
    with fresh(paths.models / "bundle") as out, fresh(paths.models / "candidates") as candidates:
        record = trained.save(development, contract, params.train, out, candidates)
    if "blend" in record:
        print(f"train {twin}: {describe_blend(record['blend'])}", flush=True)
    record |= {
        "choice": choices[trained.first].model_dump(),
        "data": data,
        "environment": environment(),
    }
    _write(paths, record, networks[trained.first])
    spent = {"git": git_state(root), "seconds": trained.seconds, "parts": trained.spent}
    write_timings(paths.models / "training.json", "train", started, spent)
    shutil.rmtree(work)


def _write(paths: Paths, record: dict[str, Any], members: list[Member]) -> None:
    """Write curves.csv and training.json."""
    manifest = paths.windows / "history.json"
    if manifest.exists():  # so that it is known which models saw an asset of the twins' store
        record["history"] = json.loads(manifest.read_text())["digest"]
    curves = [{"fold": m.fold, "epoch": e["epoch"], "held_out_loss": e["val/loss"]} for m in members for e in m.curves]
    with fresh_file(paths.models / "curves.csv") as out:
        pd.DataFrame(curves).to_csv(out, index=False)
    with fresh_file(paths.models / "training.json") as out:
        out.write_text(strict_json(record, indent=1))


if __name__ == "__main__":
    run_stage(main)
