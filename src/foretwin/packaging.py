"""Champions as BentoML models, and one Bento that serves them all.

Tags are derived from what they name: a model's from its registry version and bundle digest, the Bento's from its
models, its code and its requirements. Packaging the same things again therefore finds them in the store, and a
clone that holds models/*/champion rebuilds the same tags. The store is <root>/.bentoml, unless BENTOML_HOME
names another.
"""

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from filecmp import cmp
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from foretwin.bundle import verify
from foretwin.config import Paths, fresh, fresh_file
from foretwin.edge import TELEMETRY_OFF, switch_telemetry_off
from foretwin.errors import BundleError, RegistryError
from foretwin.scoring_call import ModelIdentity

SERVICE = "serving/service.py"
# What the served modules import; BentoML adds its own requirement.
REQUIREMENTS = ("numpy", "onnxruntime", "orjson", "pandas", "pyarrow", "pydantic", "pyyaml", "starlette")
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Packaged:
    """A champion as models/<twin>/champion/ holds it: bundle/ and identity.json."""

    twin: str
    folder: Path
    identity: ModelIdentity

    @cached_property
    def tag(self) -> str:
        """The tag of its BentoML model."""
        return f"foretwin-{self.twin}:{self.identity.version}-{self.identity.digest[:16]}"


def keep_champion(paths: Paths, bundle: Path, identity: ModelIdentity) -> None:
    """Copy a champion's bundle to models/<twin>/champion/; BundleError unless it is the one that `identity` names."""
    if verify(bundle) != identity.digest:
        raise BundleError(
            f"{bundle}: is not the bundle of {identity.name} version {identity.version}: promote it again"
        )
    with fresh(paths.models / "champion") as out:
        shutil.copytree(bundle, out / "bundle")
        (out / "identity.json").write_text(json.dumps(asdict(identity), indent=2) + "\n", encoding="utf-8")


def package(root: Path, twin: str) -> str:
    """Put the kept champions into the store and write models/<twin>/package.json; returns the Bento's tag."""
    champions = kept_champions(root)
    mine = next((champion for champion in champions if champion.twin == twin), None)
    if mine is None:
        raise RegistryError(f"{twin}: has no champion to package; promote one first: `dvc repro promote@{twin}`")
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
    """The tag of the Bento of all champions under models/; what the store lacks of it is built.

    RegistryError where there is no champion, BundleError where one is not the bundle that was kept.
    """
    champions = kept_champions(root)
    if not champions:
        raise RegistryError(f"{root / 'models'}: there is no champion to serve; run `dvc repro` or `dvc pull` first")
    for champion in champions:
        if verify(champion.folder / "bundle") != champion.identity.digest:
            raise BundleError(f"{champion.folder}: bundle and identity.json differ; run `dvc repro package` again")
    bentoml = _bentoml(root)
    store = Path(os.path.expandvars(os.environ["BENTOML_HOME"])).expanduser()
    try:
        for champion in champions:
            _ensure_model(bentoml, store / "models", champion, _commit(root))
        with tempfile.TemporaryDirectory(prefix="foretwin-bento-") as folder:
            # Outside the project: the store lies inside it, and a Bento built from there would hold the store.
            context = Path(folder)
            _stage(root, context)
            return _ensure_bento(bentoml, store / "bentos", context, champions)
    except bentoml.exceptions.BentoMLException as error:
        raise RegistryError(f"{store}: BentoML could not fill this store: {' '.join(str(error).split())}") from error


def serve(root: Path, port: int) -> NoReturn:
    """Become `bentoml serve` on the Bento of all champions; BENTOML_HOST names another interface than loopback."""
    tag = ensure(root)
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "BENTOML_HOST": HOST}
    environment = {**TELEMETRY_OFF, **single, **os.environ}
    os.execve(  # noqa: S606 - a shell would only stand between the user's signals and the server
        sys.executable,
        [sys.executable, "-m", "bentoml", "serve", tag, "--port", str(port)],
        environment,
    )


def kept_champions(root: Path) -> list[Packaged]:
    """The champions under models/*/champion, by name of their twin."""
    folders = sorted(path.parent for path in (root / "models").glob("*/champion/identity.json"))
    return [Packaged(folder.parent.name, folder, ModelIdentity.read(folder / "identity.json")) for folder in folders]


def served_files(root: Path) -> Iterator[Path]:
    """The service and every module of Foretwin that it imports, directly or through another."""
    library = Path(__file__).parent
    waiting, seen = [root / SERVICE], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            yield path
            waiting.extend(_imported(path, library))


def _imported(path: Path, library: Path) -> Iterator[Path]:
    """The files of the library's modules that one file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):  # a name may be a module or something in one: what is no file is dropped
            names = [f"{node.module}.{name}" for name in names]
        for name in names:
            parts = name.split(".")
            if parts[0] != library.name:
                continue
            for end in range(1, len(parts) + 1):
                place = library.joinpath(*parts[1:end])
                yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


def _bentoml(root: Path) -> ModuleType:
    """BentoML with its store in this project: it reads where from the environment, once."""
    switch_telemetry_off()
    os.environ.setdefault("BENTOML_HOME", str((root / ".bentoml").resolve()))
    import bentoml

    return bentoml


def _ensure_model(bentoml: ModuleType, store: Path, champion: Packaged, commit: str) -> None:
    place = store / champion.tag.replace(":", "/")
    if (place / "model.yaml").exists() and _holds(place, champion.folder):
        return
    shutil.rmtree(place, ignore_errors=True)  # BentoML leaves half a model where it was interrupted
    labels = {"twin": champion.twin, "version": champion.identity.version, "run": champion.identity.run}
    manifest = json.loads((champion.folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    metadata = {**asdict(champion.identity), "contract": manifest["contract"], "commit": commit}
    with bentoml.models.create(champion.tag, labels=labels | {"commit": commit}, metadata=metadata) as model:
        shutil.copytree(champion.folder, model.path, dirs_exist_ok=True)


def _ensure_bento(bentoml: ModuleType, store: Path, context: Path, champions: list[Packaged]) -> str:
    number = _digest(context, champions)[:16]
    tag = f"foretwin:{number}"
    place = store / "foretwin" / number
    if (place / "bento.yaml").exists() and _holds(place / "src", context):
        return tag
    shutil.rmtree(place, ignore_errors=True)
    bentoml.build(
        f"{SERVICE}:service",
        name="foretwin",
        version=number,
        labels={champion.twin: champion.identity.version for champion in champions},
        description="Foretwin's scoring service with the champions of " + ", ".join(c.twin for c in champions),
        include=["*.py"],
        python={"packages": _pinned(), "lock_packages": False},
        models=[champion.tag for champion in champions],
        build_ctx=str(context),
    )
    return tag


def _holds(place: Path, wanted: Path) -> bool:
    """Whether every file under `wanted` lies under `place` with the same bytes."""
    files = [path.relative_to(wanted) for path in wanted.rglob("*") if path.is_file()]
    return all((place / file).is_file() and cmp(place / file, wanted / file, shallow=False) for file in files)


def _stage(root: Path, context: Path) -> None:
    library = Path(__file__).parent
    for path in served_files(root):
        place = context / SERVICE if path == root / SERVICE else context / "foretwin" / path.relative_to(library)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def _digest(context: Path, champions: list[Packaged]) -> str:
    """SHA-256 of everything that a Bento is made of."""
    tags = [champion.tag for champion in champions]
    found = hashlib.sha256("\n".join([*_pinned(), f"bentoml=={version('bentoml')}", *tags]).encode())
    for path in sorted(context.rglob("*.py")):
        found.update(f"\n{path.relative_to(context).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _pinned() -> list[str]:
    return [f"{name}=={version(name)}" for name in REQUIREMENTS]


def _commit(root: Path) -> str:
    """The commit that is checked out, as far as there is one."""
    done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
