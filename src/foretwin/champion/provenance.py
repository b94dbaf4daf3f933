"""Provenance of a model: models/<twin>/lineage.json, which `foretwin lineage` reads in both directions.

    bundle, twin, name, version, run   the model
    decided, decided_at                the gate's verdict: promoted, forced or refused
    git, environment, contract         code, libraries and contract that trained it
    dvc                                digest of dvc.lock's entries of its stages, and MD5 of their inputs and outputs
    raw, rows, data                    SHA-256 of every file of raw data, rows and windows
    history, validation, study         digest of the store's history, report of the rows, choice of hyper-parameters
    assets                             SHA-256 of the names of the assets: trained on, held out
    bento                              the tag of its BentoML model

Asset names are stored only as digests: an asset of the twins' store may have to be erased, while the models trained on
it must stay known. Values that a project lacks, such as of git or DVC, are null.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from foretwin.champion.identity import model_tag
from foretwin.dataset.units import asset_of
from foretwin.dataset.windows import TEST
from foretwin.project.digests import file_digest, file_digests, json_digest, text_digest
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths

STAGES = ("fetch", "adapt", "validate", "prepare", "tune", "train")  # that produce the bundle
TOLD_BY_TRAINING = ("contract", "environment", "data", "history")
SPLITS = "splits.json"


def write_lineage(paths: Paths, verdict: Mapping[str, Any], path: Path) -> None:
    """Write lineage.json for the bundle of the verdict; the same project gives the same bytes."""
    bundle = verdict["evidence"]["bundle"]
    training = json_object(paths.models / "training.json")
    if training.get("bundle") != bundle:
        training = {}
    content = {
        "bundle": bundle,
        "twin": paths.twin,
        **{name: verdict[name] for name in ("name", "version", "run")},
        "decided": decision(verdict),
        "decided_at": verdict["decided_at"],
        "git": verdict.get("git") or training.get("git"),  # training.json has it of versions before
        **{name: training.get(name) for name in TOLD_BY_TRAINING},
        "dvc": _dvc(paths),
        "raw": _digests(paths.raw),
        "rows": _digests(paths.rows),
        "validation": _validation(paths.validation / "result.json"),
        "study": _study(paths.models / "tuning.json"),
        "assets": _assets(paths.windows / SPLITS, (training.get("data") or {}).get(SPLITS)),
        "bento": model_tag(verdict["name"], verdict["version"], bundle),
    }
    with fresh_file(path) as out:
        out.write_text(strict_json(content, indent=1) + "\n", encoding="utf-8")


def decision(verdict: Mapping[str, Any]) -> str:
    """Return the gate's verdict as one word: promoted, forced or refused."""
    if verdict.get("forced"):
        return "forced"
    return "promoted" if verdict["promoted"] else "refused"


def json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file; empty where it holds something else, or does not exist."""
    try:
        with path.open("rb") as file:
            if file.read(1) != b"{":
                return {}
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return {}


def asset_digest(name: str) -> str:
    """Return the digest that replaces an asset's name; assets of the store are named `store/<name>`."""
    return text_digest(name)


def _digests(folder: Path) -> dict[str, str] | None:
    """Compute the SHA-256 of each file under a folder, by relative path; None where there is no such folder."""
    return file_digests(folder) if folder.is_dir() else None


def _validation(path: Path) -> dict[str, Any] | None:
    result = json_object(path)
    return {"success": result.get("success"), "sha256": file_digest(path)} if result else None


def _study(path: Path) -> dict[str, Any] | None:
    """Return the study and trial of the hyper-parameters."""
    record = json_object(path)
    if not record:
        return None
    trials, value = record["trials"], record["value"]
    best = next((trial["number"] for trial in trials if trial["value"] == value), None)
    return {"sha256": file_digest(path), "trial": best, "trials": len(trials), "value": value}


def _assets(path: Path, wanted: str | None) -> dict[str, list[str]] | None:
    """Return the sorted digests of the assets' names; None unless the split is the one trained on."""
    if wanted is None or not path.is_file() or file_digest(path) != wanted:
        return None
    folds = json_object(path)
    split: dict[str, set[str]] = {"trained": set(), "held_out": set()}
    for name, fold in folds.items():
        # A life or stretch is known by its own name, for the gate, and by its machine's, for who asks about that.
        for one in {name, asset_of(name)}:
            split["held_out" if fold == TEST else "trained"].add(asset_digest(one))
    return {name: sorted(digests) for name, digests in split.items()}


def _dvc(paths: Paths) -> dict[str, Any]:
    """Return dvc.lock's entries of the stages up to training, if they match the present files."""
    nothing: dict[str, Any] = {"lock": None, "stages": {}}
    try:
        lock = yaml.load((paths.data / "dvc.lock").read_bytes(), yaml.CSafeLoader)
        stages = {name: lock["stages"][name] for name in STAGES}
        made = {name: _data_of(stage, paths) for name, stage in stages.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError):  # outside DVC, or not every stage has run
        return nothing
    record = paths.models / "training.json"
    locked = made["train"].get(record.relative_to(paths.root).as_posix())
    if not record.exists() or locked != hashlib.md5(record.read_bytes(), usedforsecurity=False).hexdigest():
        return nothing  # trained by hand since
    return {"lock": json_digest(stages), "stages": made}


def _data_of(stage: Mapping[str, Any], paths: Paths) -> dict[str, str]:
    """Return path -> MD5 of a stage's inputs and outputs of the twin, without code."""
    own = tuple(f"{folder.relative_to(paths.root).as_posix()}/" for folder in (paths.data, paths.models))
    entries = [*stage.get("deps", []), *stage.get("outs", [])]
    return {entry["path"]: entry["md5"] for entry in entries if entry["path"].startswith(own)}
