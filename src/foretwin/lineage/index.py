"""Index a project's models: stage records, ledgers, Bentos, and the store's models."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from foretwin.champion.identity import model_tag
from foretwin.champion.ledger import LedgerEntry
from foretwin.champion.ledger import read as read_ledger
from foretwin.errors import RegistryError, StoreError
from foretwin.project.paths import Paths
from foretwin.project.settings import read_setting
from foretwin.twin.erasure.file_copies import cache_folder
from foretwin.twin.erasure.models_that_saw import NAME, Knowledge, Known, champion_digest
from foretwin.twin.store import Store, open_store, store_url
from foretwin.twin.store.database import FILE, VARIABLE
from foretwin.twin.store.scoring.lineage import Use, uses

BENTO_MODEL = re.compile(r"^- tag: (\S+)$", re.MULTILINE)  # in a bento.yaml, under `models`


@dataclass
class Project:
    """The index; `notes` say what could not be read, and why."""

    root: Path
    twins: tuple[str, ...]
    known: Knowledge
    store: Store | None
    champions: dict[str, str] = field(default_factory=dict)  # twin -> bundle's digest
    ledgers: dict[str, list[LedgerEntry]] = field(default_factory=dict)  # by twin
    uses: dict[str, list[Use]] = field(default_factory=dict)  # by bundle's digest
    notes: list[str] = field(default_factory=list)

    def models(self) -> list[Known]:
        """List every model, by twin and version."""
        return sorted(self.known.models.values(), key=lambda model: (model.twin, model.order))

    def is_champion(self, model: Known) -> bool:
        """Whether the model is the one in models/<twin>/champion/."""
        return self.champions.get(model.twin) == model.bundle


@contextmanager
def opened(root: Path, environ: Mapping[str, str]) -> Iterator[Project]:
    """Open a project with its store where there is one; creates nothing."""
    twins = {path.parent.name for path in root.glob("data/*/twin.yaml")}
    twins |= {path.name for path in root.glob("models/*") if path.is_dir()}
    folders = [root / "models", *root.glob("data/*/windows"), cache_folder(root), root / "mlartifacts"]
    known = Knowledge.of(folder for folder in folders if folder is not None)
    project = Project(root, tuple(sorted(twins)), known, None)
    _read_decisions(project)
    project.store = _opened_store(project, environ)
    try:
        if project.store is not None:
            _read_uses(project, project.store)
        _read_bentos(project, Path(environ.get("BENTOML_HOME") or root / ".bentoml"))
        yield project
    finally:
        if project.store is not None:
            project.store.close()


def tags(model: Known) -> list[str]:
    """Return the BentoML tags of the model's versions."""
    return [model_tag(f"{NAME}{model.twin}", version, model.bundle) for version in model.ordered_versions]


def _read_decisions(project: Project) -> None:
    for twin in project.twins:
        paths = Paths(project.root, twin)
        champion = champion_digest(paths)
        if champion is not None:
            project.champions[twin] = champion
        try:
            entries = read_ledger(paths.ledger)
        except RegistryError as error:
            project.notes.append(str(error))
            continue
        project.ledgers[twin] = entries
        for entry in entries:
            identity = {"name": f"{NAME}{twin}", "version": entry.version, "run": entry.run, "digest": entry.bundle}
            project.known.add_identity(identity)


def _opened_store(project: Project, environ: Mapping[str, str]) -> Store | None:
    if not read_setting(VARIABLE, environ) and not (project.root / FILE).exists():
        project.notes.append(f"there is no store ({FILE}), so no asset, score or case of the living twins is known")
        return None
    try:
        return open_store(store_url(project.root, environ))
    except StoreError as error:
        project.notes.append(f"the store tells nothing: {error}")
        return None


def _read_uses(project: Project, store: Store) -> None:
    with store.read() as connection:
        found = uses(connection)
    for use in found:
        identity = {"name": f"{NAME}{use.twin}", "version": use.version, "run": use.run, "digest": use.digest}
        project.known.add_identity(identity)
        project.uses.setdefault(use.digest, []).append(use)


def _read_bentos(project: Project, home: Path) -> None:
    """Return the models that each Bento in BentoML's store holds."""
    tagged = {tag: model for model in project.models() for tag in tags(model)}
    for path in sorted(home.glob("bentos/*/*/bento.yaml")):
        for tag in BENTO_MODEL.findall(path.read_text(encoding="utf-8")):
            if tag in tagged:
                tagged[tag].bentos.add(f"{path.parent.parent.name}:{path.parent.name}")
