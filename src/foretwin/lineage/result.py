"""An answer: what a text was taken for, what is known of that, and the models that it leads to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from foretwin.errors import BadInput
from foretwin.lineage.describe import label, short, whole
from foretwin.lineage.index import Project
from foretwin.twin.erasure.models_that_saw import Known


@dataclass(frozen=True)
class Answer:
    """`about` is JSON values; `models` are told in whole, or in short with what the question adds to each."""

    taken_for: str
    about: dict[str, Any] = field(default_factory=dict)
    models: list[Known] = field(default_factory=list)
    used_by: list[tuple[Known, dict[str, Any]]] = field(default_factory=list)

    def told(self, project: Project) -> dict[str, Any]:
        """The answer as JSON values."""
        content: dict[str, Any] = {"taken_for": self.taken_for, **self.about}
        if self.models:
            content["models"] = [whole(project, model) for model in self.models]
        if self.used_by:
            content["used_by"] = [short(project, model) | added for model, added in self.used_by]
        return content


def one_model(text: str, taken_for: str, found: Iterable[Known]) -> Answer | None:
    """The answer that is one model; BadInput names them where there are several."""
    models = list(found)
    if len(models) > 1:
        candidates = ", ".join(f"{label(model)} ({model.bundle[:16]})" for model in models)
        raise BadInput(text, f"is {taken_for} of {len(models)} models: {candidates}; say which, by more of its digest")
    return Answer(f"{taken_for} of {label(models[0])}", models=models) if models else None
