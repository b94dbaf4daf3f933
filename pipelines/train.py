"""Stage train: train the tuned network, one member per seed and fold, and export it as a bundle."""

import json
import shutil
from pathlib import Path

import pandas as pd

from foretwin.dataset.splits import Development
from foretwin.project.digests import file_digests
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.training.ensemble import (
    describe_member,
    environment,
    git_state,
    inputs_digest,
    save_ensemble,
    train_members,
)
from foretwin.training.trainer import Choice


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/ and tuning.json, write models/<twin>/bundle/ and training.json."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    params = load_params(paths.params, twin)
    choice = Choice.model_validate(json.loads((paths.models / "tuning.json").read_text())["best"])
    data = file_digests(paths.windows)
    key = inputs_digest(data, contract.digest, choice.model_dump_json(), params.model_dump_json())
    development = Development.load(paths.windows, contract, params.prepare)
    work = paths.work / f"train-{key}"
    members = []
    for member in train_members(development, contract, choice, params.train, work):
        print(f"train {twin}: {describe_member(member, contract)}", flush=True)
        members.append(member)
    with fresh(paths.models / "bundle") as out:
        record = save_ensemble(members, development, contract, params.train, out)
    record |= {"choice": choice.model_dump(), "data": data, "git": git_state(root), "environment": environment()}
    manifest = paths.windows / "history.json"
    if manifest.exists():  # so that it is known which models saw an asset of the twins' store
        record["history"] = json.loads(manifest.read_text())["digest"]
    curves = [{"fold": m.fold, "epoch": e["epoch"], "held_out_loss": e["val/loss"]} for m in members for e in m.curves]
    with fresh_file(paths.models / "curves.csv") as out:
        pd.DataFrame(curves).to_csv(out, index=False)
    with fresh_file(paths.models / "training.json") as out:
        out.write_text(strict_json(record, indent=1))
    shutil.rmtree(work)


if __name__ == "__main__":
    run_stage(main)
