"""Keep what the registry's alias `champion` names: `python -m foretwin.registry.sync PROJECT`.

For every registered model whose alias names another bundle than models/<twin>/champion holds, the bundle is fetched,
verified and kept there. Each twin that changed is one line of JSON on the standard output, and so is each that could
not be followed; the exit code is 1 then. A project without a tracking store stays without one.
"""

import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foretwin.champion.champion import BESIDE, Record, keep_champion, kept_identity
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.paths import Paths
from foretwin.registry.locations import BUNDLE, SQLITE, model_name, tracking_uri
from foretwin.registry.promotion import VERDICT
from foretwin.registry.tracking_store import connect, mlflow_errors
from foretwin.registry.versions import aliased, current

if TYPE_CHECKING:
    from mlflow import MlflowClient

KINDNESS = 10  # added to the process' niceness: what it does is not urgent, and the calls beside it are
MOST_TWINS = 1000


def follow_registry(root: Path) -> Iterator[dict[str, str | None]]:
    """Keep every champion that the registry names; yields what changed: twin, version, and the version before.

    What cannot be followed yields twin and error instead, and the other twins are followed nevertheless. RegistryError
    where the registry itself does not answer.
    """
    if not _has_store(root):
        return
    with mlflow_errors():
        client = connect(root)
        models = client.search_registered_models(f"name LIKE '{model_name('%')}'", max_results=MOST_TWINS)
    for twin in sorted(model.name.removeprefix(model_name("")) for model in models):
        try:
            change = _follow(client, Paths(root, twin))
        except Exception as error:  # MLflow's, onnxruntime's, a full disk: the other twins are followed nevertheless
            yield {"twin": twin, "error": (str(error).splitlines() or [repr(error)])[0]}
        else:
            if change is not None:
                yield change


def _follow(client: "MlflowClient", paths: Paths) -> dict[str, str | None] | None:
    """Keep the version that the alias names, if its bundle is not the one that is kept; returns what changed."""
    version, before = aliased(client, paths.twin), kept_identity(paths)
    if version is None or (before and before.digest == version.tags.get(BUNDLE)):
        return None
    if BUNDLE not in version.tags:
        raise RegistryError(f"{model_name(paths.twin)} version {version.version}: was not registered by Foretwin")
    found = current(client, paths.root, paths.twin)
    if found is None:  # the alias was taken away meanwhile
        return None
    contract = Bundle.load(found.folder).contract
    if contract.name != paths.twin:
        raise RegistryError(f"{found.name} version {found.version}: is a model of {contract.name}")
    identity = ModelIdentity(found.name, found.version, found.run, found.digest)
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder)
        keep_champion(paths, found.folder, identity, _record(client, found.run, found.digest, beside), beside)
    return {"twin": paths.twin, "version": found.version, "before": before.version if before else None}


def _record(client: "MlflowClient", run: str, digest: str, folder: Path) -> Record:
    """What the stages recorded of the bundle, from the artifacts of its run, as far as they are there.

    What stands beside a champion is left in the empty `folder`.
    """
    wanted = ("training.json", "metrics.json", VERDICT)
    there = {file.path for file in client.list_artifacts(run)}.intersection((*wanted, *BESIDE))
    for name in there:
        client.download_artifacts(run, name, str(folder))

    def read(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8")) if name in there else None

    return Record.of(digest, *map(read, wanted))


def _has_store(root: Path) -> bool:
    """Whether there is a store to follow: MLflow would make one where there is none."""
    uri = tracking_uri(root)
    if not uri.startswith(SQLITE):
        return True
    database = root / uri.removeprefix(SQLITE)
    if not database.exists():
        return False
    with closing(sqlite3.connect(database)) as connection:
        tables = "SELECT 1 FROM sqlite_master WHERE name = 'registered_model_aliases'"
        return connection.execute(tables).fetchone() is not None


def main() -> None:
    """Follow the registry of the project that the command line names."""
    os.nice(KINDNESS)
    failed = False
    for change in follow_registry(Path(sys.argv[1])):
        sys.stdout.write(json.dumps(change) + "\n")
        failed = failed or "error" in change
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    with exit_on_error():
        main()
