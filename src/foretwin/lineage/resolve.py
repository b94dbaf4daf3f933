"""What somebody may mean by one text: a file, a model, a run, a Bento; assets, scores and cases are in `machines`.

Each function takes the text for one kind of thing, and answers with None where it is none.
"""

import re
from pathlib import Path

from foretwin.champion.provenance import json_object
from foretwin.errors import BadInput
from foretwin.lineage.assets import a_case, an_asset
from foretwin.lineage.describe import inputs, label
from foretwin.lineage.index import Project, tags
from foretwin.lineage.result import Answer, one_model
from foretwin.project.digests import file_digest
from foretwin.twin.erasure.file_copies import files_under
from foretwin.twin.erasure.models_that_saw import NAME, Known

VERSION = re.compile(rf"(?:models:/)?(?:{NAME})?(?P<twin>[^:/]+)(?:[:/](?P<version>\d+))?")
DIGEST, RUN = re.compile(r"[0-9a-f]{8,64}"), re.compile(r"[0-9a-f]{32}")


def answers(project: Project, text: str) -> list[Answer]:
    """Everything that the text may be taken for, what is likeliest first.

    BadInput where it names several things of the likeliest kind, or a case or score that is not there.
    """
    found: list[Answer] = []
    for kind in (a_file, a_version, a_digest, a_run, a_bento, an_asset, a_case):
        try:
            answer = kind(project, text)
        except BadInput:
            if found:
                continue  # less likely than what it was taken for
            raise
        if answer is not None:
            found.append(answer)
    return found


def a_file(project: Project, text: str) -> Answer | None:
    """A bundle, a record of a model, or a file or folder of data, which is known by its content wherever it lies."""
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


def a_version(project: Project, text: str) -> Answer | None:
    """`pump:3` or `foretwin-pump/3`; `pump` is the twin's champion."""
    named = VERSION.fullmatch(text)
    if named is None or named["twin"] not in project.twins:
        return None
    twin, version = named["twin"], named["version"]
    models = [model for model in project.models() if model.twin == twin]
    if version is None:
        return one_model(text, "the champion", [model for model in models if project.is_champion(model)])
    return one_model(text, f"version {version}", [model for model in models if version in model.versions])


def a_digest(project: Project, text: str) -> Answer | None:
    """The digest of a bundle, or its first 8 digits or more."""
    if not DIGEST.fullmatch(text):
        return None
    return one_model(text, "the bundle's digest", [m for m in project.models() if m.bundle.startswith(text)])


def a_run(project: Project, text: str) -> Answer | None:
    """The id of the MLflow run that trained a model."""
    return one_model(text, "an MLflow run", [model for model in project.models() if text in model.runs])


def a_bento(project: Project, text: str) -> Answer | None:
    """The tag of a BentoML model, or of a Bento, which holds the models of several twins."""
    models = [model for model in project.models() if text in tags(model) or text in model.bentos]
    return Answer(f"the tag of a Bento or of a model in BentoML: {text}", models=models) if models else None


def _of_bundle(project: Project, taken_for: str, digest: str) -> Answer:
    model = project.known.models.get(digest)
    if model is None:
        return Answer(taken_for, {"bundle": digest, "note": "no record of the project is about this bundle"})
    return Answer(f"{taken_for}, {label(model)}", models=[model])


def _judged(record: dict[str, object]) -> object:
    """The bundle that a verdict is about."""
    evidence = record.get("evidence")
    return evidence.get("bundle") if isinstance(evidence, dict) else None


def _of_data(project: Project, path: Path, files: list[Path]) -> Answer:
    """Who used these files, by their content; and who used others that lay where they lie."""
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
    return Answer(f"the {kind} {path}, by its content", about, used_by=used_by)


def _others(model: Known, digests: dict[str, str]) -> list[dict[str, str]]:
    """The files of other content that the model was made of, of those at these places."""
    places = set(digests.values())
    return [
        {"path": one.path, "sha256": one.digest, "model": label(model)}
        for one in inputs(model)
        if one.path in places and one.digest not in digests
    ]


def _in_project(project: Project, path: Path) -> str:
    """The path below the project's folder; as it is for what lies outside."""
    place, root = path.resolve(), project.root.resolve()
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else str(path)
