"""Describe a model for an answer: in full where it was asked for, in short where it is one of several."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from foretwin.champion.provenance import decision
from foretwin.lineage.index import Project, tags
from foretwin.twin.erasure.models_that_saw import NAME, Known
from foretwin.twin.store.scoring.scores import Score

WINDOWS = {"development.parquet": "training", "test.parquet": "evaluation", "example.parquet": "evaluation"}
BOTH = "training and evaluation"


@dataclass(frozen=True)
class Input:
    """A file that went into a model: its path in the project, its SHA-256, and its purpose."""

    path: str
    digest: str
    seen_in: str


def version_label(model: Known) -> str:
    """Return the registered name and version, or that there is none."""
    versions = ", ".join(model.ordered_versions)
    return f"{NAME}{model.twin} version {versions}" if versions else f"{NAME}{model.twin}, never registered"


def short(project: Project, model: Known) -> dict[str, Any]:
    """Describe a model in short: identity, whether it is the champion, its Bentos, how often it scored."""
    return {
        "model": version_label(model),
        "twin": model.twin,
        "bundle": model.bundle,
        "champion": project.is_champion(model),
        "bento": {"models": tags(model), "bentos": sorted(model.bentos)},
        "scores": _scores(project, model),
    }


def describe_bundle(project: Project, model: Known) -> dict[str, Any]:
    """Describe a model in full: all inputs, and the decisions about it."""
    lineage, training = model.lineage, model.training
    assets = lineage.get("assets")
    return {
        **short(project, model),
        "mlflow_runs": sorted(model.runs),
        **{name: lineage.get(name) or training.get(name) for name in ("git", "contract", "environment")},
        "dvc": _dvc(lineage.get("dvc")),
        "inputs": {found.path: found.digest for found in inputs(model)},
        "validation": lineage.get("validation"),
        "study": lineage.get("study"),
        "assets": {how: len(digests) for how, digests in assets.items()} if assets else None,
        "gate": _gate(model),
        "ledger": [
            {
                "at": iso_moment(entry.at),
                "action": entry.action,
                "version": entry.version,
                "actor": entry.actor,
                "reason": entry.reason,
            }
            for entry in project.ledgers.get(model.twin, [])
            if entry.bundle == model.bundle
        ],
        "missing": list(_missing(project, model)),
    }


def inputs(model: Known) -> list[Input]:
    """List every input file of the model that its records name."""
    lineage, data = model.lineage, f"data/{model.twin}"
    found = []
    history = lineage.get("history") or model.training.get("history")
    if history:
        found.append(Input(f"{data}/history/history.parquet", history, BOTH))
    for folder in ("raw", "rows"):
        files = lineage.get(folder) or {}
        found += [Input(f"{data}/{folder}/{name}", digest, BOTH) for name, digest in files.items()]
    windows = lineage.get("data") or model.training.get("data") or {}
    found += [Input(f"{data}/windows/{name}", digest, WINDOWS.get(name, BOTH)) for name, digest in windows.items()]
    if lineage.get("validation"):
        found.append(Input(f"{data}/validation/result.json", lineage["validation"]["sha256"], "validation"))
    if lineage.get("study"):
        found.append(
            Input(f"models/{model.twin}/tuning.json", lineage["study"]["sha256"], "choice of hyper-parameters")
        )
    return found


def describe_score(found: Score, unit: str | None) -> dict[str, Any]:
    """Describe a score: time, values and when it was made, in the contract's unit."""
    return {
        "run": found.run,
        "time": found.time,
        "scored_at": iso_moment(found.scored_at),
        **{name: getattr(found, name) for name in ("rul", "rul_low", "rul_high")},
        "unit": unit,
        "diagnosis": found.diagnosis,
        "warnings": found.warnings,
    }


def iso_moment(at: datetime | None) -> str | None:
    """Format a moment as in every answer."""
    return at.isoformat(timespec="seconds") if at else None


def _dvc(recorded: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the digest of dvc.lock's entries, and path -> MD5 of the stages' inputs and outputs, each path once."""
    if not recorded or not recorded["lock"]:
        return None
    paths = {path: digest for stage in recorded["stages"].values() for path, digest in stage.items()}
    return {"lock_sha256": recorded["lock"], "md5": paths}


def _scores(project: Project, model: Known) -> dict[str, Any] | None:
    """Count its scores in the store, with first and last moment; None without a store."""
    if project.store is None:
        return None
    uses = project.uses.get(model.bundle, [])
    moments = [at for use in uses for at in (use.first, use.last) if at is not None]
    count = sum(use.scores for use in uses)
    return {
        "count": count,
        "first": iso_moment(min(moments, default=None)),
        "last": iso_moment(max(moments, default=None)),
    }


def _gate(model: Known) -> dict[str, Any] | None:
    """Return the last verdict about it."""
    if not model.verdicts:
        told = {"decision": model.lineage.get("decided"), "decided_at": model.lineage.get("decided_at")}
        return told if told["decision"] else None
    verdict = max(model.verdicts, key=lambda one: str(one.get("decided_at")))
    return {
        "decision": decision(verdict),
        "forced": verdict.get("forced"),
        "reasons": verdict.get("reasons", []),
        "decided_at": verdict.get("decided_at"),
    }


def _missing(project: Project, model: Known) -> list[str]:
    """List the inputs that no record in the project names."""
    missing = []
    if not model.lineage and not model.training:
        missing.append("no record of its training is here: neither under models/, nor in DVC's cache or MLflow's files")
    elif not model.lineage:
        missing.append("it has no lineage.json, so its raw data, validation report, study and DVC stages are not known")
    elif model.lineage["dvc"]["lock"] is None:
        missing.append("dvc.lock did not tell of its training")
    if not model.verdicts:
        missing.append("the gate's verdict with its reasons is not here")
    if not any(entry.bundle == model.bundle for entry in project.ledgers.get(model.twin, [])):
        missing.append("the ledger has no entry of it")
    return missing
