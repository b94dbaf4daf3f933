"""Champions whose networks are in memory, within a bound: loaded when first needed, the least recently used let go."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from foretwin.champion.champion import Champion, file_stamp
from foretwin.errors import BundleError
from foretwin.predictor.bundle import NETWORK, verify
from foretwin.predictor.health.own_baseline import OwnBaseline
from foretwin.predictor.onnx_session import make_session
from foretwin.project.settings import read_number

MEBIBYTE = 1024 * 1024
# Measured: a session over the pumps' network of 2.1 MiB takes 5.1 MiB, one over a network of a kilobyte 0.12 MiB.
PER_SESSION, PER_NETWORK_BYTE = MEBIBYTE // 4, 2.4


@dataclass(frozen=True)
class Loaded:
    """A champion with its network, the description that it was asked for by, and what its memory is counted as."""

    known: Champion
    champion: Champion
    size: int  # bytes
    stamp: tuple[int, int] | None  # of its manifest


class LoadedChampions:
    """At most `most_bytes` of champions by twin; whoever got one keeps it for as long as it is used.

    `check` is done once with each champion that is loaded; what it raises is raised by `get`.
    """

    def __init__(self, most_bytes: int | None = None, check: Callable[[Champion], None] | None = None) -> None:
        """`most_bytes` is FORETWIN_CHAMPION_MEMORY unless told otherwise."""
        self.most_bytes = read_number("FORETWIN_CHAMPION_MEMORY") * MEBIBYTE if most_bytes is None else most_bytes
        self.size = 0  # bytes in memory now
        self.loads = 0  # since the process began
        self.evictions = 0  # of champions that made room for others, since the process began
        self._check = check
        self._checked: dict[str, str] = {}  # twin -> digest of the champion that was checked last
        self._held: OrderedDict[str, Loaded] = OrderedDict()
        self._changing = Lock()
        self._loading: dict[str, Lock] = {}  # by twin: who needs a champion that another is loading waits for it

    def __len__(self) -> int:
        return len(self._held)

    def has_room(self, known: Champion) -> bool:
        """Return whether this champion can be loaded without letting another go."""
        return self.size + _size_of(known) <= self.most_bytes

    def held(self, known: Champion) -> Champion | None:
        """Return a described champion with its network where it is in memory, else None."""
        if known.bundle.session is not None:
            return known
        with self._changing:
            found = self._held.get(known.bundle.contract.name)
            if found is None or found.known is not known:
                return None
            self._held.move_to_end(known.bundle.contract.name)
            return found.champion

    def get(self, known: Champion) -> Champion:
        """Return a described champion with its network, loaded where it is not in memory.

        BundleError where its files are no longer those that were described, OSError where they cannot be read.
        """
        found = self.held(known)
        if found is not None:
            return found
        with self._changing:
            loading = self._loading.setdefault(known.bundle.contract.name, Lock())
        with loading:
            return self.held(known) or self._load(known)

    def drop(self, twin: str) -> None:
        """Let a twin's champion go."""
        with self._changing:
            found = self._held.pop(twin, None)
            self.size -= found.size if found else 0

    def _load(self, known: Champion) -> Champion:
        """Load a champion's network, check it, and put it in the place of the twin's former one."""
        bundle, twin, folder = known.bundle, known.bundle.contract.name, _folder(known)
        stamp, size = _stamp(folder), _size_of(known)
        if verify(folder) != bundle.digest:
            raise BundleError(f"{folder}: is no longer the bundle {bundle.digest[:12]} of {twin}; it was replaced")
        session, own = make_session(folder / NETWORK, threads=1), OwnBaseline.load(folder)
        champion = replace(known, bundle=replace(bundle, session=session, own=own))
        if _stamp(folder) != stamp:
            raise BundleError(f"{folder}: was replaced while it was loaded; try again")
        if self._check and self._checked.get(twin) != bundle.digest:
            self._check(champion)
            self._checked[twin] = bundle.digest
        with self._changing:
            before = self._held.pop(twin, None)
            self._held[twin] = Loaded(known, champion, size, stamp)
            self.size += size - (before.size if before else 0)
            self.loads += 1
            self._let_go()
        return champion

    def _let_go(self) -> None:
        """Let the least recently used go until the rest is within the bound.

        A champion whose files were replaced or removed could not be loaded again, and stays.
        """
        for twin in list(self._held)[:-1]:
            if self.size <= self.most_bytes:
                return
            one = self._held[twin]
            if one.stamp == _stamp(_folder(one.known)):
                del self._held[twin]
                self.size -= one.size
                self.evictions += 1


def _folder(known: Champion) -> Path:
    if known.folder is None:
        raise BundleError(f"champion of {known.bundle.contract.name}: was described without its folder; read it again")
    return known.folder / "bundle"


def _size_of(known: Champion) -> int:
    """Return the bytes that a champion's sessions are counted as."""
    networks = [path.stat().st_size for path in _folder(known).glob("*.onnx")]
    return len(networks) * PER_SESSION + int(PER_NETWORK_BYTE * sum(networks))


def _stamp(folder: Path) -> tuple[int, int] | None:
    return file_stamp(folder / "manifest.json")
