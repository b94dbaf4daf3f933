"""Recreate runs, models and versions of a project that was moved or copied with its mlflow.db.

MLflow keeps absolute places of artifacts, and its client changes none of them. So everything is created once more,
with the artifacts from the folder that came along; runs get new ids, and their tags say which they had.
The experiment with the old places is kept under another name: were it deleted, `mlflow gc` would remove the artifacts
at these places, which are another project's where this one is a copy. Each step is found done when it is interrupted
and repeated.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin.champion.champion import kept_by_one
from foretwin.project.paths import Paths
from foretwin.registry.locations import ARTIFACTS, FIRST_RUN, MODEL, PARENT, artifact_root, model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

BEFORE = "foretwin.before_move"  # of a run or model: the id that it had
ASIDE, MAKING = "moved", "moving"  # prefixes of names: of what was there, and of what is not complete
PAGE = 100


def relocate(client: "MlflowClient", root: Path) -> None:
    """Recreate each twin's part of the project's own store whose artifact locations are in another folder."""
    found = client.search_experiments(filter_string=f"name LIKE '%{model_name('%')}'")
    for experiment in found:
        if _moved(root, experiment):
            with kept_by_one(Paths(root, experiment.name.removeprefix(model_name("")))):
                before = client.get_experiment(experiment.experiment_id)
                if before.name == experiment.name:  # else another process did it meanwhile
                    _relocate_twin(client, root, before)
    names = {experiment.name for experiment in found}
    for experiment in found:
        name = experiment.name.removeprefix(f"{MAKING} ")
        if name != experiment.name and name not in names:  # complete but for its name: interrupted at the last step
            client.rename_experiment(experiment.experiment_id, name)


def _moved(root: Path, experiment: Any) -> bool:
    """Whether the experiment's artifacts are registered in another folder's mlartifacts, and are here or gone."""
    place, here = Path(experiment.artifact_location), root.resolve() / ARTIFACTS / experiment.name
    ours = experiment.name.startswith(model_name("")) and str(place).startswith("/")
    ours = ours and place.parts[-2:] == here.parts[-2:]
    if not ours or str(place) in (str(here), f"{artifact_root(root)}/{experiment.name}"):
        return False
    return here.exists() or not place.exists()


def _relocate_twin(client: "MlflowClient", root: Path, old: Any) -> None:
    name, here = old.name, root.resolve() / ARTIFACTS / old.name
    new = client.get_experiment_by_name(f"{MAKING} {name}")
    number = new.experiment_id if new else client.create_experiment(f"{MAKING} {name}", artifact_location=str(here))
    runs = _copy_runs(client, old, number, here)
    models = _copy_models(client, old, number, here, runs)
    _copy_versions(client, name, runs, models)
    client.rename_experiment(old.experiment_id, f"{ASIDE} {name} ({old.experiment_id})")
    client.rename_experiment(number, name)
    for folder in (*(here / run for run in runs), *(here / "models" / model for model in models)):
        shutil.rmtree(folder, ignore_errors=True)


def _copy_runs(client: "MlflowClient", old: Any, number: str, here: Path) -> dict[str, str]:
    """Copy every run of the experiment `old` to that of this number, parents first; return old id -> new id."""
    done = {}
    for run in _pages(lambda token: client.search_runs([number], max_results=PAGE, page_token=token)):
        if run.info.status == "RUNNING" and BEFORE in run.data.tags:
            client.delete_run(run.info.run_id)  # an interrupted copy
        else:
            done[run.data.tags[BEFORE]] = run.info.run_id
    found = list(_pages(lambda token: client.search_runs([old.experiment_id], max_results=PAGE, page_token=token)))
    for run in sorted(found, key=lambda run: (PARENT in run.data.tags, run.info.start_time)):
        if run.info.run_id not in done:
            done[run.info.run_id] = _copy_run(client, run, number, here, done)
    return done


def _copy_run(client: "MlflowClient", run: Any, number: str, here: Path, done: dict[str, str]) -> str:
    from mlflow.entities import Param

    info, tags = run.info, dict(run.data.tags)
    tags |= {BEFORE: info.run_id, FIRST_RUN: tags.get(FIRST_RUN, info.run_id)}
    if PARENT in tags:
        tags[PARENT] = done.get(tags[PARENT], tags[PARENT])
    made = str(client.create_run(number, info.start_time, tags, info.run_name).info.run_id)
    params = [Param(key, value) for key, value in run.data.params.items()]
    points = [point for key in run.data.metrics for point in client.get_metric_history(info.run_id, key)]
    for begin in range(0, len(params), PAGE):
        client.log_batch(made, params=params[begin : begin + PAGE])
    for begin in range(0, len(points), PAGE):
        client.log_batch(made, metrics=points[begin : begin + PAGE])
    if run.inputs.dataset_inputs:
        client.log_inputs(made, run.inputs.dataset_inputs)
    if (here / info.run_id / "artifacts").exists():
        client.log_artifacts(made, str(here / info.run_id / "artifacts"))
    client.set_terminated(made, "FAILED" if info.status == "RUNNING" else info.status, info.end_time)
    return made


def _copy_models(client: "MlflowClient", old: Any, number: str, here: Path, runs: dict[str, str]) -> dict[str, Any]:
    """Copy every logged model of the experiment `old` to that of this number; return old id -> new model."""

    def models(experiment: str) -> Iterator[Any]:
        return _pages(lambda token: client.search_logged_models([experiment], max_results=50, page_token=token))

    done = {}
    for model in list(models(number)):
        if str(model.status) == "READY":
            done[model.tags[BEFORE]] = model
        else:
            client.delete_logged_model(model.model_id)  # an interrupted copy
    for model in list(models(old.experiment_id)):
        if model.model_id in done:
            continue
        run = runs.get(model.source_run_id, model.source_run_id)
        tags = {**model.tags, BEFORE: model.model_id}
        made = client.create_logged_model(number, model.name, run, tags, model.params, model.model_type)
        folder = here / "models" / model.model_id / "artifacts"
        if folder.exists():
            client.log_model_artifacts(made.model_id, str(folder))
        done[model.model_id] = client.finalize_logged_model(made.model_id, "READY")
    return done


def _copy_versions(client: "MlflowClient", name: str, runs: dict[str, str], models: dict[str, Any]) -> None:
    """Recreate the registered model: versions under their numbers, descriptions, tags and aliases."""
    aside = f"{ASIDE} {name}"
    if not _registered(client, aside):
        if not _registered(client, name):
            return
        client.rename_registered_model(name, aside)
    old = client.get_registered_model(aside)
    if not _registered(client, name):
        client.create_registered_model(name, old.tags, old.description)
    versions = list(_pages(lambda token: client.search_model_versions(f"name = '{aside}'", PAGE, page_token=token)))
    there = {int(one.version) for one in client.search_model_versions(f"name = '{name}'")}
    for version in sorted(versions, key=lambda one: int(one.version)):
        if int(version.version) not in there:
            _copy_version(client, name, version, runs, models)
    for alias, number in old.aliases.items():
        client.set_registered_model_alias(name, alias, number)
    client.delete_registered_model(aside)


def _copy_version(client: "MlflowClient", name: str, old: Any, runs: dict[str, str], models: dict[str, Any]) -> None:
    """Recreate one version under its number; lower free numbers are used up by versions deleted at once."""
    tags, model = dict(old.tags), models.get(old.tags.get(MODEL, ""))
    if model is not None:
        tags[MODEL] = model.model_id
    source = model.artifact_location if model else old.source
    run = runs.get(old.run_id, old.run_id)
    if run != old.run_id:
        tags.setdefault(FIRST_RUN, old.run_id)
    while True:
        made = client.create_model_version(
            name, source, run, tags=tags, description=old.description, model_id=model and model.model_id
        )
        if int(made.version) >= int(old.version):
            return
        client.delete_model_version(name, made.version)


def _registered(client: "MlflowClient", name: str) -> bool:
    return bool(client.search_registered_models(f"name = '{name}'"))


def _pages(fetch: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield the results of a paged search."""
    token = None
    while True:
        page = fetch(token)
        yield from page
        token = page.token
        if not token:
            return
