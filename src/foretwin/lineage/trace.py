"""Answer a lineage question from the project and, where needed, its tracking store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foretwin.errors import NotFound
from foretwin.lineage.index import Project, opened
from foretwin.lineage.resolve import RUN, VERSION, answers

ELSEWHERE = ("MLFLOW_TRACKING_URI", "FORETWIN_ARTIFACTS")  # where set, runs or their files lie outside the project


def trace(root: Path, text: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the text names, its inputs and its uses, as JSON values.

    NotFound where it is nothing that is known, BadInput where it is several things of one kind.
    """
    with opened(root, environ) as project:
        elsewhere = any(environ.get(name) for name in ELSEWHERE)
        if elsewhere:
            _learn(project, text)
        found = answers(project, text)
        if not found and not elsewhere and _may_be_registered(project, text):
            _learn(project, text)
            found = answers(project, text)
        if not found:
            raise NotFound(text, _unknown(project))
        told = {"asked": text, **found[0].told(project)}
        if len(found) > 1:
            told["could_also_be"] = [other.taken_for for other in found[1:]]
        return told | ({"notes": project.notes} if project.notes else {})


def _learn(project: Project, text: str) -> None:
    from foretwin.lineage.mlflow_records import add_mlflow_records  # MLflow takes seconds to import

    add_mlflow_records(project, text if RUN.fullmatch(text) else None)


def _may_be_registered(project: Project, text: str) -> bool:
    """Whether the tracking store may know what the project's files do not."""
    named = VERSION.fullmatch(text)
    looks = RUN.fullmatch(text) or (named and named["twin"] in project.twins and named["version"])
    return bool(looks) and (project.root / "mlflow.db").exists()


def _unknown(project: Project) -> str:
    twins = ", ".join(project.twins) or "none here"
    kinds = "no file, no version of a twin's model, bundle's digest, MLflow run, Bento, asset or `case:<number>`"
    reasons = "".join(f"; {note}" for note in project.notes)
    return f"is {kinds} that is known (twins: {twins}){reasons}"
