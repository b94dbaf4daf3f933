"""Stage train: train the tuned network, or all candidates of a blend, per seed and fold, and export them as bundles."""

import json
import shutil
from pathlib import Path
from typing import Any

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
    names = params.train.candidates or ("network",)
    choices = encoder_choices(json.loads((paths.models / "tuning.json").read_text()), names)
    data = file_digests(paths.windows)
    chosen = [choice.model_dump_json() for choice in choices.values()]
    key = inputs_digest(data, contract.digest, *chosen, params.model_dump_json())
    development = Development.load(paths.windows, contract, params.prepare)
    work = paths.work / f"train-{key}"
    networks: dict[str, list[Member]] = {name: [] for name in choices}
    for name, choice in choices.items():
        for member in train_members(development, contract, choice, params.train, _folder(work, name)):
            print(
                f"train {twin}: {f'{name}, ' if len(choices) > 1 else ''}{describe_member(member, contract)}",
                flush=True,
            )
            networks[name].append(member)
    first = "network" if "network" in choices else next(iter(choices))  # whose curves and choice are told
    with fresh(paths.models / "bundle") as out, fresh(paths.models / "candidates") as candidates:
        if params.train.candidates:
            classical = fit_classical(
                development, contract, [name for name in names if name not in choices], params.train
            )
            blended = make_blend(networks, list(classical), development, contract, params.train)
            blend = save_blend(blended, development, contract, params.train, out, candidates)
            record = training_record(networks[first], contract, params.train, blend["bundle"]) | {"blend": blend}
            print(f"train {twin}: {describe_blend(blended)}", flush=True)
        else:
            record = save_ensemble(networks[first], development, contract, params.train, out)
            write_blend_record(candidates, {"weights": {}})
    record |= {
        "choice": choices[first].model_dump(),
        "data": data,
        "git": git_state(root),
        "environment": environment(),
    }
    _write(paths, record, networks[first])
    shutil.rmtree(work)


def _folder(work: Path, name: str) -> Path:
    """Return where a network's checkpoints are kept."""
    return work if name == "network" else work / name


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
