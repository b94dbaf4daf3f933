"""Stage train: train the tuned network, or all candidates of a blend, per seed and fold, and export them as bundles."""

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
from foretwin.training.candidates.blend import describe_blend, make_blend, save_blend, write_blend_record
from foretwin.training.candidates.classical import fit_classical
from foretwin.training.ensemble import (
    Member,
    describe_member,
    environment,
    git_state,
    inputs_digest,
    save_ensemble,
    train_members,
    training_record,
)
from foretwin.training.tuning import encoder_choices


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/ and tuning.json, write models/<twin>/: bundle/, candidates/ and training.json."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    params = load_params(paths.params, twin)
    names = params.train.candidates
    choices = encoder_choices(json.loads((paths.models / "tuning.json").read_text()), names or ("network",))
    data = file_digests(paths.windows)
    chosen = [choice.model_dump_json() for choice in choices.values()]
    key = inputs_digest(data, contract.digest, *chosen, params.model_dump_json())
    development = Development.load(paths.windows, contract, params.prepare)
    work = paths.work / f"train-{key}"
    networks: dict[str, list[Member]] = {name: [] for name in choices}
    for name, choice in choices.items():
        for member in train_members(development, contract, choice, params.train, work / name if names else work):
            print(f"train {twin}: {f'{name}, ' if names else ''}{describe_member(member, contract)}", flush=True)
            networks[name].append(member)
    members = next(iter(networks.values()), [])
    with fresh(paths.models / "bundle") as out, fresh(paths.models / "candidates") as candidates:
        if names:
            others = [name for name in names if name not in choices]
            classical = list(fit_classical(development, contract, others, params.train)) if others else []
            blended = make_blend(networks, classical, development, contract, params.train)
            blend = save_blend(blended, development, contract, params.train, out, candidates)
            record = training_record(members, contract, params.train, blend["bundle"]) | {"blend": blend}
            print(f"train {twin}: {describe_blend(blended)}", flush=True)
        else:
            record = save_ensemble(members, development, contract, params.train, out)
            write_blend_record(candidates, {"weights": {}})
    record |= {
        "choice": next(iter(choices.values())).model_dump() if choices else {},
        "data": data,
        "git": git_state(root),
        "environment": environment(),
    }
    manifest = paths.windows / "history.json"
    if manifest.exists():  # so that it is known which models saw an asset of the twins' store
        record["history"] = json.loads(manifest.read_text())["digest"]
    curves = [{"fold": m.fold, "epoch": e["epoch"], "held_out_loss": e["val/loss"]} for m in members for e in m.curves]
    with fresh_file(paths.models / "curves.csv") as out:
        pd.DataFrame(curves, columns=["fold", "epoch", "held_out_loss"]).to_csv(out, index=False)
    with fresh_file(paths.models / "training.json") as out:
        out.write_text(strict_json(record, indent=1))
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
