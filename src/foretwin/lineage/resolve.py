"""Resolve a text to what it names: a file, a model, a run or a Bento; `assets` resolves assets, scores and cases.

Each function takes the text for one kind of thing, and answers with None where it is none.
"""

import re
from pathlib import Path

from foretwin.champion.provenance import json_object
from foretwin.errors import BadInput
from foretwin.lineage.assets import resolve_asset, resolve_case
from foretwin.lineage.describe import inputs, version_label
from foretwin.lineage.index import Project, tags
from foretwin.lineage.result import LineageResult, one_model
from foretwin.project.digests import file_digest
from foretwin.twin.erasure.file_copies import files_under
from foretwin.twin.erasure.models_that_saw import NAME, Known

VERSION = re.compile(rf"(?:models:/)?(?:{NAME})?(?P<twin>[^:/]+)(?:[:/](?P<version>\d+))?")
DIGEST, RUN = re.compile(r"[0-9a-f]{8,64}"), re.compile(r"[0-9a-f]{32}")


def answers(project: Project, text: str) -> list[LineageResult]:
    """Return every meaning that the text may have, the likeliest first.

    BadInput where it names several things of the likeliest kind, or a case or score that is not there.
    """
    found: list[LineageResult] = []
    for kind in (
        resolve_file,
        resolve_version,
        resolve_digest,
        resolve_run,
        resolve_bento,
        resolve_asset,
        resolve_case,
    ):
        try:
            answer = kind(project, text)
        except BadInput:
            if found:
                continue  # less likely than what it was taken for
            raise
        if answer is not None:
            found.append(answer)
    return found


def resolve_file(project: Project, text: str) -> LineageResult | None:
    """Resolve a bundle, a model record, or a data file or folder, by content wherever it lies."""
    path = project.root / Path(text).expanduser()
    if not path.exists():
        return None
    for folder in (path, path / "bundle") if path.is_dir() else (path.parent,):
        if (folder / "manifest.json").is_file():
            from foretwin.predictor.bundle import verify  # brings onnxruntime along

            return _of_bundle(project, f"the bundle {folder}", verify(folder))
    if path.is_dir():
        is_data = path.resolve().is_relative_to((project.root / "data").resolve())
        return _of_data(project, path, files_under(path)) if is_data else None
    record = json_object(path)
    bundle = record.get("bundle") or record.get("digest") or _judged(record)
    if isinstance(bundle, str) and DIGEST.fullmatch(bundle):
        return _of_bundle(project, f"the record {path} of a bundle", bundle)
    return _of_data(project, path, [path])


def resolve_version(project: Project, text: str) -> LineageResult | None:
    """Resolve `pump:3` or `foretwin-pump/3` to a version; `pump` to the twin's champion."""
    named = VERSION.fullmatch(text)
    if named is None or named["twin"] not in project.twins:
        return None
    twin, version = named["twin"], named["version"]
    models = [model for model in project.models() if model.twin == twin]
    if version is None:
        return one_model(text, "the champion", [model for model in models if project.is_champion(model)])
    return one_model(text, f"version {version}", [model for model in models if version in model.versions])


def resolve_digest(project: Project, text: str) -> LineageResult | None:
    """Resolve a bundle digest, in full or by its first 8 digits or more."""
    if not DIGEST.fullmatch(text):
        return None
    return one_model(text, "the bundle's digest", [m for m in project.models() if m.bundle.startswith(text)])


def resolve_run(project: Project, text: str) -> LineageResult | None:
    """Resolve the id of an MLflow training run."""
    return one_model(text, "an MLflow run", [model for model in project.models() if text in model.runs])


def resolve_bento(project: Project, text: str) -> LineageResult | None:
    """Resolve the tag of a BentoML model, or of a Bento, which holds the models of several twins."""
    models = [model for model in project.models() if text in tags(model) or text in model.bentos]
    return LineageResult(f"the tag of a Bento or of a model in BentoML: {text}", models=models) if models else None


def _of_bundle(project: Project, taken_for: str, digest: str) -> LineageResult:
    model = project.known.models.get(digest)
    if model is None:
        return LineageResult(taken_for, {"bundle": digest, "note": "no record of the project is about this bundle"})
    return LineageResult(f"{taken_for}, {version_label(model)}", models=[model])


def _judged(record: dict[str, object]) -> object:
    """Return the bundle that a verdict is about."""
    evidence = record.get("evidence")
    return evidence.get("bundle") if isinstance(evidence, dict) else None


def _of_data(project: Project, path: Path, files: list[Path]) -> LineageResult:
    """Return the models that used these files, by content, and those that used other content at the same paths."""
    digests = {file_digest(file): _in_project(project, file) for file in files}
    about: dict[str, object] = {"sha256": {place: digest for digest, place in digests.items()}}
    used_by, replaced = [], []
    for model in project.models():
        used = [found for found in inputs(model) if found.digest in digests]
        if used:
            used_by.append((model, {"seen_in": {one.path: one.seen_in for one in used}}))
        replaced += _others(model, digests)
    if replaced:
        about["other_content_here_before"] = replaced
    if not used_by:
        about["note"] = "no model of the project was made of this content"
    kind = "folder" if path.is_dir() else "file"
    return LineageResult(f"the {kind} {path}, by its content", about, used_by=used_by)


def _others(model: Known, digests: dict[str, str]) -> list[dict[str, str]]:
    """List input files at these paths whose content differs."""
    places = set(digests.values())
    return [
        {"path": one.path, "sha256": one.digest, "model": version_label(model)}
        for one in inputs(model)
        if one.path in places and one.digest not in digests
    ]


def _in_project(project: Project, path: Path) -> str:
    """Return the path relative to the project's folder; unchanged for paths outside."""
    place, root = path.resolve(), project.root.resolve()
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else str(path)
