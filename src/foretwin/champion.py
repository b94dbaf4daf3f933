"""A twin's champion: the bundle that answers, and which registered version of a model it is.

The packaging stage keeps it in models/<twin>/champion/, BentoML's store holds the same folder: bundle/ and
identity.json. Whatever scores reads it here: the service, batch scoring, the living twin.
"""

from dataclasses import dataclass
from pathlib import Path

from foretwin.bundle import Bundle
from foretwin.config import Paths
from foretwin.errors import BundleError, RegistryError
from foretwin.scoring_call import ModelIdentity

ATTEMPTS = 5  # promotions would have to follow one another faster than a bundle is read to use them up


@dataclass(frozen=True)
class Champion:
    """A model that answers for its twin, `bundle.contract.name`."""

    identity: ModelIdentity
    bundle: Bundle


def load_champion(root: Path, twin: str, threads: int = 1) -> Champion:
    """The champion of a project's folder, whole even while another takes its place.

    `threads` is how many of them one score may use. RegistryError where the twin has no champion; BundleError where
    its files are missing, altered, or not those that its identity names.
    """
    folder = Paths(root, twin).models / "champion"
    for _ in range(ATTEMPTS):
        before = champion_stamp(root, twin)
        try:
            champion = read_champion(folder, threads)
        except Exception:  # whatever a file that vanishes under its reader leads to
            if champion_stamp(root, twin) != before:
                continue
            if before is None and not folder.exists():
                missing = f"{twin} has no champion yet; `foretwin add {twin}` and `dvc repro` make one"
                raise RegistryError(f"{folder / 'bundle'}: {missing}") from None
            raise
        if champion_stamp(root, twin) == before:
            return champion
    raise BundleError(f"{folder}: was replaced again and again while it was read; try again")


def champion_stamp(root: Path, twin: str) -> tuple[int, int] | None:
    """What differs from one kept champion to the next; None where there is none."""
    return file_stamp(Paths(root, twin).models / "champion" / "identity.json")


def file_stamp(path: Path) -> tuple[int, int] | None:
    """What differs from one state of a file to the next; None where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def read_champion(folder: Path, threads: int = 1) -> Champion:
    """The champion in a folder that nobody replaces meanwhile; BundleError as `load_champion`."""
    identity = ModelIdentity.read(folder / "identity.json")
    bundle = Bundle.load(folder / "bundle", threads)
    if bundle.digest != identity.digest:
        raise BundleError(f"{folder}: bundle and identity.json differ; run `dvc repro package` again")
    return Champion(identity, bundle)
