"""What the tracking store tells of models beyond the files of the project: the records that lie with their runs."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from foretwin.errors import RegistryError
from foretwin.lineage.index import Project
from foretwin.registry.locations import BUNDLE, model_name
from foretwin.registry.tracking_store import PARENT, connect, mlflow_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORDS = ("training.json", "promotion.json", "lineage.json")


def learn(project: Project, run: str | None = None) -> None:
    """Add what the registered versions of the project's twins tell, and which model a run is about.

    Where the store cannot be asked, the project's notes say so.
    """
    try:
        with mlflow_errors():
            client = connect(project.root)
            for twin in project.twins:
                _learn_versions(client, project, twin)
            if run is not None:
                _learn_run(client, project, run)
    except RegistryError as error:
        project.notes.append(f"the tracking store tells nothing: {error}")


def _learn_versions(client: "MlflowClient", project: Project, twin: str) -> None:
    for version in client.search_model_versions(f"name = '{model_name(twin)}'"):
        if BUNDLE not in version.tags:
            continue  # not one of ours
        identity = {"name": version.name, "version": version.version, "run": version.run_id}
        project.known.add_identity(identity | {"digest": version.tags[BUNDLE]})
        there = {found.path for found in client.list_artifacts(version.run_id)}
        with tempfile.TemporaryDirectory() as folder:
            for name in RECORDS:
                if name in there:
                    client.download_artifacts(version.run_id, name, folder)
            project.known.read(Path(folder))


def _learn_run(client: "MlflowClient", project: Project, run: str) -> None:
    """A run's tags say which bundle or record it holds; nested runs, such as trials, belong to their parent's."""
    from mlflow.exceptions import MlflowException

    asked: str | None = run
    while asked:
        try:
            tags = client.get_run(asked).data.tags
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return
            raise
        values = set(tags.values())
        for model in project.models():
            study = (model.lineage.get("study") or {}).get("sha256")
            if values & {model.bundle, study}:
                model.runs.add(run)
        asked = tags.get(PARENT)
