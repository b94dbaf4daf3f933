"""Package champions as BentoML models, and one Bento that serves them all.

Tags are derived from what they name: a model's from its registry version and bundle digest, the Bento's from its
models, its code, its libraries and its bill of materials. Packaging the same things again therefore finds them in
the store, and a clone that holds models/*/champion rebuilds the same tags. The store is <root>/.bentoml, unless
BENTOML_HOME names another.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from filecmp import cmp
from importlib.metadata import version
from pathlib import Path

from foretwin.champion.champion import Packaged, kept_champions
from foretwin.champion.refusal import absence_of
from foretwin.errors import BundleError, RegistryError
from foretwin.predictor.bundle import verify
from foretwin.project.entrypoint import switch_telemetry_off
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.serving.packaging import bill_of_materials as bill
from foretwin.serving.packaging import code
from foretwin.serving.packaging.libraries import closure, pinned

NAME = "foretwin"
LIBRARIES = "requirements.txt"


@dataclass(frozen=True)
class Built:
    """A Bento in the store: its tag, the store's folder, the models that it serves."""

    tag: str
    store: Path
    champions: tuple[Packaged, ...]

    @property
    def folder(self) -> Path:
        """Return the folder of the Bento."""
        return self.store / "bentos" / self.tag.replace(":", "/")

    @property
    def bill_of_materials(self) -> Path:
        """Return the path of its software bill of materials."""
        return self.folder / "src" / bill.NAME

    @property
    def size(self) -> int:
        """Return the bytes of the Bento and its models."""
        models = [_model_folder(self.store, champion) for champion in self.champions]
        files = (path for folder in (self.folder, *models) for path in folder.rglob("*"))
        return sum(path.stat().st_size for path in files if path.is_file())


def package(root: Path, twin: str) -> str:
    """Add the champions to the store and write models/<twin>/package.json; return the Bento's tag."""
    champions = kept_champions(root)
    mine = next((champion for champion in champions if champion.twin == twin), None)
    if mine is None:
        raise RegistryError(f"{twin}: has no champion to package: {absence_of(Paths(root, twin))}")
    bento = ensure(root)
    content = {
        "model": mine.tag,
        "bento": bento,
        "digest": mine.identity.digest,
        "size": sum(path.stat().st_size for path in (mine.folder / "bundle").iterdir()),
    }
    with fresh_file(Paths(root, twin).models / "package.json") as out:
        out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return bento


def ensure(root: Path) -> str:
    """Return the tag of the Bento of all champions under models/, built where missing. Errors as `build`."""
    return build(root).tag


def build(root: Path) -> Built:
    """Build the Bento of all champions under models/, as far as the store lacks it.

    RegistryError where there is no champion, BundleError where one is not the bundle that was kept.
    """
    champions = kept_champions(root)
    if not champions:
        raise RegistryError(f"{root / 'models'}: there is no champion to serve; run `dvc repro` or `dvc pull` first")
    for champion in champions:
        if verify(champion.folder / "bundle") != champion.identity.digest:
            raise BundleError(f"{champion.folder}: bundle and identity.json differ; run `dvc repro package` again")
    store = _store(root)
    for champion in champions:
        _ensure_model(store, champion, root)
    with tempfile.TemporaryDirectory(prefix="foretwin-bento-") as folder:
        # Outside the project: the store lies inside it, and a Bento built from there would hold the store.
        context = Path(folder)
        stage_bento(root, context, champions)
        return Built(_ensure_bento(store, context, champions), store, tuple(champions))


def stage_bento(root: Path, context: Path, champions: Sequence[Packaged]) -> None:
    """Fill an empty folder with the Bento's src: code, pinned libraries, bill of materials."""
    code.copy_served_files(root, context)
    libraries = closure()
    (context / LIBRARIES).write_text(pinned(libraries), encoding="utf-8")
    (context / bill.NAME).write_text(bill.bill_of_materials(champions, libraries), encoding="utf-8")


def bento_digest(context: Path, champions: Sequence[Packaged]) -> str:
    """SHA-256 of everything that a Bento is made of."""
    tags = [champion.tag for champion in champions]
    found = hashlib.sha256("\n".join([f"bentoml=={version('bentoml')}", *tags]).encode())
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        found.update(f"\n{path.relative_to(context).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _store(root: Path) -> Path:
    """Return the store's folder, which BentoML reads from the environment when it is imported."""
    switch_telemetry_off()
    home = os.environ.setdefault("BENTOML_HOME", str((root / ".bentoml").resolve()))
    return Path(os.path.expandvars(home)).expanduser().resolve()


def _model_folder(store: Path, champion: Packaged) -> Path:
    return store / "models" / champion.tag.replace(":", "/")


def _ensure_model(store: Path, champion: Packaged, root: Path) -> None:
    place = _model_folder(store, champion)
    if (place / "model.yaml").exists() and _holds(place, champion.folder):
        return
    shutil.rmtree(place, ignore_errors=True)  # BentoML leaves half a model where it was interrupted
    _fill(store, lambda: _create_model(champion, _commit(root)))


def _create_model(champion: Packaged, commit: str) -> None:
    import bentoml

    labels = {"twin": champion.twin, "version": champion.identity.version, "run": champion.identity.run}
    manifest = json.loads((champion.folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    metadata = {**asdict(champion.identity), "contract": manifest["contract"], "commit": commit}
    with bentoml.models.create(champion.tag, labels=labels | {"commit": commit}, metadata=metadata) as model:
        shutil.copytree(champion.folder, model.path, dirs_exist_ok=True)


def _ensure_bento(store: Path, context: Path, champions: Sequence[Packaged]) -> str:
    number = bento_digest(context, champions)[:16]
    place = store / "bentos" / NAME / number
    if not ((place / "bento.yaml").exists() and _holds(place / "src", context)):
        shutil.rmtree(place, ignore_errors=True)
        _fill(store, lambda: _create_bento(number, context, champions))
    return f"{NAME}:{number}"


def _create_bento(number: str, context: Path, champions: Sequence[Packaged]) -> None:
    import bentoml

    # A container template makes BentoML choose its first format of Bentos, which it tells as a warning.
    logging.getLogger("bentoml.build").setLevel(logging.ERROR)
    with contextlib.chdir(context):  # files of another folder than the working one are refused
        bentoml.build(
            f"{code.SERVICE}:service",
            name=NAME,
            version=number,
            labels={champion.twin: champion.identity.version for champion in champions},
            description="Foretwin's scoring service with the champions of " + ", ".join(c.twin for c in champions),
            include=["*"],
            python={"requirements_txt": LIBRARIES, "lock_packages": False},
            docker={"dockerfile_template": code.CONTAINER},
            models=[champion.tag for champion in champions],
            build_ctx=str(context),
        )


def _fill(store: Path, create: Callable[[], None]) -> None:
    """Import BentoML, which takes a second, and add something to the store; RegistryError where it cannot."""
    from bentoml.exceptions import BentoMLException

    try:
        create()
    except BentoMLException as error:
        raise RegistryError(f"{store}: BentoML could not fill this store: {' '.join(str(error).split())}") from error


def _holds(place: Path, wanted: Path) -> bool:
    """Whether every file under `wanted` is under `place` with the same bytes."""
    files = [path.relative_to(wanted) for path in wanted.rglob("*") if path.is_file()]
    return all((place / file).is_file() and cmp(place / file, wanted / file, shallow=False) for file in files)


def _commit(root: Path) -> str:
    """Return the checked-out commit, if any."""
    done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
