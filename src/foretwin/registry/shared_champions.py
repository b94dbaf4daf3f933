"""Champions for many hosts: published to one place, a folder or an object store, and fetched from there.

    <place>/files/<sha256>          a file of some champion, or a contract; never changed
    <place>/champions/<twin>.json   which files are the twin's champion now; written last

A project with a registry publishes what it keeps in models/<twin>/champion/. A host without one fetches into the same
folder, from where its services take it, and the contract into data/<twin>/twin.yaml. Every file is held against its
digest before any of it is used, then the champion against its manifest, identity and signature.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from foretwin.champion.champion import champion_stamp, file_stamp, kept_by_one, kept_identity, read_champion
from foretwin.champion.pointer import MOST_POINTER, Pointer, PublishedFile
from foretwin.contract.twin import load_twin
from foretwin.errors import BundleError, RegistryError
from foretwin.project.digests import file_digest, file_digests
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths
from foretwin.project.settings import read_setting
from foretwin.registry.locations import has_store
from foretwin.registry.sync import Change, follow_registry, told_of
from foretwin.sources.files.file_names import shown_path
from foretwin.sources.files.places.remote import filesystem

CONTRACT = "twin.yaml"
PIECE = 1024 * 1024  # bytes that are read at once


@dataclass
class SharedChampions:
    """The champions of the project `root` and those at `place`, a URL, between two looks."""

    root: Path
    place: str
    seen: dict[str, object] = field(default_factory=dict)  # twin -> what its pointer and its folder were when looked at

    def fetch(self) -> Iterator[Change]:
        """Bring models/<twin>/champion/ to what the place names; yield what changed, as `follow_registry` does.

        RegistryError where the place cannot be reached: what was fetched before stays.
        """
        system, base = self._open()
        for twin, told in self._pointers(system, base).items():
            if self.seen.get(twin) == (told, champion_stamp(self.root, twin)):
                continue
            try:
                change = self._fetch(system, base, twin)
            except Exception as error:  # a full disk, a broken object: the other twins are looked at nevertheless
                yield {"twin": twin, "error": _one_line(error)}
                continue
            self.seen[twin] = told, champion_stamp(self.root, twin)
            if change:
                yield change

    def publish(self, twin: str = "*") -> Iterator[Change]:
        """Bring the place to the champions that the project keeps; yield what changed. RegistryError as `fetch`."""
        system, base = self._open()
        for path in sorted(self.root.glob(f"models/{twin}/champion/identity.json")):
            paths = Paths(self.root, path.parent.parent.name)
            told = file_stamp(path), file_stamp(path.parent), file_stamp(paths.contract)
            if self.seen.get(paths.twin) == told:
                continue
            try:
                with kept_by_one(paths):
                    change = _publish(system, base, paths)
            except Exception as error:
                yield {"twin": paths.twin, "error": _one_line(error)}
                continue
            self.seen[paths.twin] = told
            if change:
                yield change

    def _open(self) -> tuple[Any, str]:
        try:
            system, base = filesystem(self.place)
        except (OSError, ValueError, ImportError) as error:
            raise self._unreachable(error) from None
        return system, base.rstrip("/")

    def _pointers(self, system: Any, base: str) -> dict[str, str]:
        """Return what the place's listing says of each pointer, by twin."""
        try:
            system.invalidate_cache()
            listed = system.ls(f"{base}/champions", detail=True)
        except FileNotFoundError as error:
            if self.seen:  # it had some: a folder whose disk is gone looks as one that holds nothing yet
                raise self._unreachable(error) from None
            return {}
        except (OSError, ValueError) as error:
            raise self._unreachable(error) from None
        files = {PurePosixPath(one["name"]): one for one in listed if one["type"] == "file"}
        return {path.stem: repr(one) for path, one in sorted(files.items()) if path.suffix == ".json"}

    def _unreachable(self, error: Exception) -> RegistryError:
        place = shown_path(self.place)
        return RegistryError(f"FORETWIN_MODELS: {place}: cannot be reached ({_one_line(error)}); correct it, or wait")

    def _fetch(self, system: Any, base: str, twin: str) -> Change | None:
        with system.open(f"{base}/champions/{twin}.json", "rb") as file:
            content = file.read(MOST_POINTER)
        pointer = Pointer.of(twin, content)
        paths = Paths(self.root, twin)
        marker, before = paths.work / "fetched.json", kept_identity(paths)
        told = _marked(marker)
        digest = hashlib.sha256(content).hexdigest()
        if told.get("pointer") == digest and before == pointer.identity:
            return None
        with kept_by_one(paths):
            contract = _take_all(system, base, paths, pointer, told.get("contract"))
        with fresh_file(marker) as out:
            out.write_text(strict_json({"pointer": digest, "contract": contract}), encoding="utf-8")
        if before == pointer.identity:
            return None
        came = f"version {before.version}" if before else "none"
        told_so = f"{twin}: {shown_path(self.place)} names version {pointer.version}, kept was {came}"
        return {"twin": twin, "version": pointer.version, "before": before.version if before else None, "told": told_so}


def followed(root: Path) -> Callable[[Path], Iterable[Change]]:
    """Return what a look of `foretwin follow` does: the registry, and what FORETWIN_MODELS shares.

    A project with a registry publishes there what it keeps, one without fetches what it names.
    """
    place = read_setting("FORETWIN_MODELS")
    if not place:
        return follow_registry
    shared = SharedChampions(root, place)
    if not has_store(root):
        return lambda _: shared.fetch()
    return lambda project: chain(follow_registry(project), shared.publish())


def share_kept(root: Path, twin: str) -> str | None:
    """Publish a twin's champion where FORETWIN_MODELS says, and return what to tell; None where nothing changed."""
    place = read_setting("FORETWIN_MODELS")
    changes = list(SharedChampions(root, place).publish(twin)) if place else []
    return next((one.get("error") or told_of(one) for one in changes), None)


def _take_all(system: Any, base: str, paths: Paths, pointer: Pointer, former: str | None) -> str | None:
    """Put the champion's files into models/<twin>/champion/, and its contract where that may be; return its digest.

    Files that lie there already are not fetched again. `former` is the digest of the contract that was fetched before.
    """
    folder = paths.models / "champion"
    there = {digest: folder / name for name, digest in file_digests(folder).items()} if folder.exists() else {}
    with fresh(folder) as out:
        for name, kept in pointer.files.items():
            if name == CONTRACT:
                continue
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            if kept.sha256 in there:
                shutil.copyfile(there[kept.sha256], out / name)
            else:
                _take(system, base, kept, out / name)
        champion = read_champion(out, threads=None)
        if champion.identity != pointer.identity or champion.bundle.contract.name != paths.twin:
            raise BundleError(f"champions/{paths.twin}.json: its files are {champion.identity.tag}; publish it again")
        return _take_contract(system, base, paths, pointer, former)


def _take_contract(system: Any, base: str, paths: Paths, pointer: Pointer, former: str | None) -> str | None:
    """Put the contract into data/<twin>/twin.yaml, unless somebody wrote another there; return the fetched digest."""
    kept = pointer.files.get(CONTRACT)
    present = file_digest(paths.contract) if paths.contract.exists() else None
    if kept is None or present not in (None, former, kept.sha256):
        return former
    if present != kept.sha256:
        with fresh_file(paths.contract) as out:
            _take(system, base, kept, out)
            load_twin(out)
    return kept.sha256


def _take(system: Any, base: str, kept: PublishedFile, target: Path) -> None:
    """Fetch a file; RegistryError unless it is the one that its name says."""
    count, found = 0, hashlib.sha256()
    with system.open(f"{base}/files/{kept.sha256}", "rb") as file, target.open("wb") as out:
        while (piece := file.read(PIECE)) and count <= kept.bytes:
            count += len(piece)
            found.update(piece)
            out.write(piece)
    if count != kept.bytes or found.hexdigest() != kept.sha256:
        raise RegistryError(f"files/{kept.sha256}: is not the file of this digest; remove it, and publish it again")


def _publish(system: Any, base: str, paths: Paths) -> Change | None:
    """Publish a kept champion with its contract; None where the place names it already."""
    folder = paths.models / "champion"
    identity = read_champion(folder, threads=None).identity
    files = {name: folder / name for name in file_digests(folder)}
    if paths.contract.exists():
        files[CONTRACT] = paths.contract
    kept = {name: PublishedFile(sha256=file_digest(path), bytes=path.stat().st_size) for name, path in files.items()}
    pointer = Pointer(twin=paths.twin, **asdict(identity), files=kept)
    before = _former(system, base, paths.twin)
    if before == pointer:
        return None
    for name, one in kept.items():
        _put_file(system, f"{base}/files/{one.sha256}", files[name], one.bytes)
    _put_pointer(system, f"{base}/champions/{paths.twin}.json", pointer.text())
    came = f"version {before.version}" if before else "none"
    told = f"{paths.twin}: version {identity.version} is published, before it was {came}"
    return {"twin": paths.twin, "version": identity.version, "before": before.version if before else None, "told": told}


def _former(system: Any, base: str, twin: str) -> Pointer | None:
    """Return a twin's present pointer; None without one, or where it is none."""
    try:
        with system.open(f"{base}/champions/{twin}.json", "rb") as file:
            return Pointer.of(twin, file.read(MOST_POINTER))
    except (FileNotFoundError, RegistryError):
        return None


def _put_file(system: Any, target: str, path: Path, size: int) -> None:
    if system.exists(target) and system.size(target) == size:
        return
    _make_folder(system, target)
    with path.open("rb") as file, system.open(target, "wb") as out:
        while piece := file.read(PIECE):
            out.write(piece)


def _put_pointer(system: Any, target: str, content: bytes) -> None:
    """Write a pointer as a whole: an object store does so by itself, a file system by a renaming."""
    is_local = "file" in system.protocol
    _make_folder(system, target)
    with system.open(f"{target}.partial" if is_local else target, "wb") as out:
        out.write(content)
    if is_local:
        Path(f"{target}.partial").replace(target)


def _make_folder(system: Any, target: str) -> None:
    if "file" in system.protocol:
        Path(target).parent.mkdir(parents=True, exist_ok=True)


def _marked(marker: Path) -> dict[str, str]:
    """Return what was fetched last: the digests of pointer and contract."""
    try:
        found: dict[str, str] = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or repr(error)
