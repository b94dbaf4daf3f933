"""Read model records from the tracking store that the project's files do not hold."""

from foretwin.errors import RegistryError
from foretwin.lineage.index import Project
from foretwin.registry.tracking_store import files_of_run, tags_upwards
from foretwin.registry.versions import registered

RECORDS = ("training.json", "promotion.json", "lineage.json")


def add_mlflow_records(project: Project, run: str | None = None) -> None:
    """Add the records of the twins' registered versions, and of the model that a run is about.

    Where the store cannot be asked, the project's notes say so.
    """
    try:
        for twin in project.twins:
            _learn_versions(project, twin)
        if run is not None:
            _learn_run(project, run)
    except RegistryError as error:
        project.notes.append(f"the tracking store tells nothing: {error}")


def _learn_versions(project: Project, twin: str) -> None:
    for identity in registered(project.root, twin):
        project.known.add_identity(identity)
        with files_of_run(project.root, identity["run"], RECORDS) as folder:
            project.known.read(folder)


def _learn_run(project: Project, run: str) -> None:
    """Add the bundle or record that a run's tags name; nested runs, such as trials, count for their parent."""
    for tags in tags_upwards(project.root, run):
        values = set(tags.values())
        for model in project.models():
            study = (model.lineage.get("study") or {}).get("sha256")
            if values & {model.bundle, study}:
                model.runs.add(run)
