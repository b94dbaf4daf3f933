"""The answer to a lineage question: the meaning of the text, the facts, and the models involved."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from foretwin.errors import BadInput
from foretwin.lineage.describe import describe_bundle, short, version_label
from foretwin.lineage.index import Project
from foretwin.twin.erasure.models_that_saw import Known


@dataclass(frozen=True)
class LineageResult:
    """`about` holds JSON values; `models` are described in full, or in short with the question's own fields."""

    taken_for: str
    about: dict[str, Any] = field(default_factory=dict)
    models: list[Known] = field(default_factory=list)
    used_by: list[tuple[Known, dict[str, Any]]] = field(default_factory=list)

    def told(self, project: Project) -> dict[str, Any]:
        """Return the answer as JSON values."""
        content: dict[str, Any] = {"taken_for": self.taken_for, **self.about}
        if self.models:
            content["models"] = [describe_bundle(project, model) for model in self.models]
        if self.used_by:
            content["used_by"] = [short(project, model) | added for model, added in self.used_by]
        return content


def one_model(text: str, taken_for: str, found: Iterable[Known]) -> LineageResult | None:
    """Return the answer if it is a single model; BadInput lists the candidates otherwise."""
    models = list(found)
    if len(models) > 1:
        candidates = ", ".join(f"{version_label(model)} ({model.bundle[:16]})" for model in models)
        raise BadInput(text, f"is {taken_for} of {len(models)} models: {candidates}; say which, by more of its digest")
    return LineageResult(f"{taken_for} of {version_label(models[0])}", models=models) if models else None
