"""Keep models/<twin>/champion/ at what the registry's alias `champion` names, for services and the scoring loop.

`promote` and `rollback` keep what they have moved the alias to; `foretwin follow` does for whatever moved it.
"""

import json
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from foretwin.champion.champion import BESIDE, ChampionRecord, keep_champion, kept_identity
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import Bundle
from foretwin.project.loops import Heartbeat
from foretwin.project.paths import Paths
from foretwin.registry.locations import BUNDLE, has_store, model_name
from foretwin.registry.tracking_store import connect_mlflow, mlflow_errors
from foretwin.registry.versions import aliased, current

if TYPE_CHECKING:
    from mlflow import MlflowClient

MOST_TWINS = 1000
LONGEST_PAUSE = 300.0  # s between two attempts at a registry that does not answer, or a champion that cannot be kept
LOOK = 600.0  # s that a look may take, with the champions that it fetches, before it hangs
EVERY_TWIN = "*"
EVALUATIONS = ("evaluation.json", "metrics.json")  # the second has the figures in runs of versions before

Change = dict[str, str | None]  # twin, version, the version before, and what to tell; or twin and error
logger = logging.getLogger("foretwin.follow")


@dataclass
class RegistryLooks:
    """What following says of itself; it alone writes, others may read."""

    heartbeat: Heartbeat = field(default_factory=lambda: Heartbeat(LOOK))
    fetched: Counter[str] = field(default_factory=Counter)  # champions by twin
    failing: dict[str, str] = field(default_factory=dict)  # twin -> why its champion could not be kept


def follow_registry(root: Path) -> Iterator[Change]:
    """Update every champion that the registry names; yield what changed: twin, version, and the version before.

    What cannot be kept yields twin and error instead, and the other twins are followed nevertheless. RegistryError
    where the registry itself does not answer. A project without a tracking store stays without one.
    """
    if not has_store(root):
        return
    with mlflow_errors():
        client = connect_mlflow(root)
        models = client.search_registered_models(f"name LIKE '{model_name('%')}'", max_results=MOST_TWINS)
    for twin in sorted(model.name.removeprefix(model_name("")) for model in models):
        try:
            change = keep_named(client, Paths(root, twin))
        except Exception as error:  # MLflow's, onnxruntime's, a full disk: the other twins are followed nevertheless
            yield {"twin": twin, "error": _first_line(error)}
        else:
            if change is not None:
                yield change


def keep_following(
    root: Path,
    seconds: float,
    stop: Event,
    looks: RegistryLooks | None = None,
    look: Callable[[Path], Iterable[Change]] = follow_registry,
) -> None:
    """Follow the registry by `look` every so many seconds until `stop` is set, and log changes.

    Where it does not answer, or a champion cannot be kept, the next look comes later and later; the reason is logged
    once. `looks` shows how it goes.
    """
    looks = looks or RegistryLooks()
    told: dict[str, str] = {}
    pause = seconds
    while not stop.is_set():
        failed: dict[str, str] = {}
        try:
            for change in look(root):
                if change.get("error"):
                    failed[str(change["twin"])] = str(change["error"])
                else:
                    logger.info("%s", told_of(change))
                    looks.fetched[str(change["twin"])] += 1
        except Exception as error:  # whatever happens, the next look may go better
            failed[EVERY_TWIN] = _first_line(error)
        for twin, reason in failed.items():
            if told.get(twin) != reason:
                logger.error("%s: the registry could not be followed: %s", twin, reason)
        if told and not failed:
            logger.info("the registry is followed again")
        told = failed
        pause = min(2 * pause, max(seconds, LONGEST_PAUSE)) if failed else seconds
        looks.failing = dict(failed)
        if failed:
            looks.heartbeat.fail("; ".join(f"{twin}: {reason}" for twin, reason in failed.items()), pause)
        else:
            looks.heartbeat.done(pause)
        stop.wait(pause)


def told_of(change: Change) -> str:
    """Describe a change in one line."""
    if change.get("told"):
        return str(change["told"])
    came = f"version {change['before']}" if change["before"] else "none"
    return f"{change['twin']}: the registry names version {change['version']}, kept was {came}"


def keep_named(client: "MlflowClient", paths: Paths) -> Change | None:
    """Keep the version that the alias names, unless its bundle is kept already; return what changed.

    RegistryError, BundleError where it cannot be kept.
    """
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
    identity = ModelIdentity(**found.identity())
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder)
        keep_champion(paths, found.folder, identity, _record(client, found.run, found.digest, beside), beside)
    return {"twin": paths.twin, "version": found.version, "before": before.version if before else None}


def _record(client: "MlflowClient", run: str, digest: str, folder: Path) -> ChampionRecord:
    """Return the stages' records of the bundle, from the artifacts of its run, as far as they exist.

    What stands beside a champion is left in the empty `folder`.
    """
    wanted = ("training.json", *EVALUATIONS, "promotion.json")
    there = {file.path for file in client.list_artifacts(run)}.intersection((*wanted, *BESIDE))
    for name in there:
        client.download_artifacts(run, name, str(folder))

    def read(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8")) if name in there else None

    measured = next((content for content in map(read, EVALUATIONS) if content), None)
    return ChampionRecord.of(digest, read("training.json"), measured, read("promotion.json"))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [repr(error)])[0]
