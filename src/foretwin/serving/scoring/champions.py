"""The active champions, as one mapping that is replaced as a whole, and those of them whose networks are in memory.

A call reads the state once and keeps the champion that it found: a swap meanwhile changes nothing for it, nor does it
that its champion makes room for another. A champion is described here without its network, which `loaded` has.
"""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock, RLock
from types import MappingProxyType
from typing import Final

from foretwin.champion.champion import Champion
from foretwin.champion.golden import check_golden, example_rows
from foretwin.champion.loaded import LoadedChampions
from foretwin.champion.refusal import refusal_of
from foretwin.errors import Conflict, UnknownTwin
from foretwin.project.paths import Paths

LONGEST_SHOWN = 60


class Champions:
    """The champion of each served twin. Reading takes no lock; writers take turns."""

    def __init__(self, root: Path | None = None, most_bytes: int | None = None) -> None:
        """`root` is the project's folder, whose contracts say which twins there are besides; None without one.

        `most_bytes` bounds the networks in memory; None is what FORETWIN_CHAMPION_MEMORY says.
        """
        self._root: Final = root
        self._writing: Final = Lock()
        self._served: Mapping[str, Champion] = MappingProxyType({})
        self._refused: frozenset[str] = frozenset()
        self._described = 0  # champions whose networks `loaded` has, or will have
        self.loaded: Final = LoadedChampions(most_bytes, check_scores)
        self.renewing: Final = RLock()  # held by whoever puts another champion into the place of one
        self.tried: Final[dict[Path, object]] = {}  # folder -> its stamp when last read; `renewing` guards it

    def get(self, twin: str) -> Champion:
        """Return the champion of a twin; UnknownTwin for an unknown twin, Conflict where it has no champion."""
        champion = self._served.get(twin)
        if champion is not None:
            return champion
        if twin in self._refused:
            raise Conflict("twin", f"the champion of {twin} was refused when it was loaded; the service's log says why")
        if twin in self._known():
            refused = refusal_of(Paths(self._root, twin)) if self._root else None
            raise Conflict("twin", refused or f"{twin} has no champion yet; `dvc repro` trains and promotes one")
        shown = twin if len(twin) <= LONGEST_SHOWN else f"{twin[:LONGEST_SHOWN]}..."
        raise UnknownTwin("twin", f'"{shown}" is not served here; there is {", ".join(self._served) or "none"}')

    @property
    def are_loaded(self) -> bool:
        """Whether the network of every champion is in memory, so that no call has to wait for one."""
        return len(self.loaded) >= self._described

    def all(self) -> Mapping[str, Champion]:
        """Return the champions by the name of their twin, sorted; never changed afterwards."""
        return self._served

    def put(self, champion: Champion) -> None:
        """Make this champion active for its twin from the next call on."""
        twin = champion.bundle.contract.name
        with self._writing:
            self._serve({**self._served, twin: champion})
            self._refused -= {twin}

    def drop(self, twin: str) -> None:
        """Remove a twin's champion."""
        with self._writing:
            self._serve({name: found for name, found in self._served.items() if name != twin})
            self._refused -= {twin}
            self.loaded.drop(twin)

    def refuse(self, twin: str) -> None:
        """Record that a twin's new champion was refused; the present one, if any, remains active."""
        with self._writing:
            self._refused |= {twin}

    def _serve(self, champions: Mapping[str, Champion]) -> None:
        self._served = MappingProxyType(dict(sorted(champions.items())))
        self._described = sum(champion.bundle.session is None for champion in champions.values())

    def _known(self) -> set[str]:
        """Return the twins that have a contract in the project."""
        if self._root is None:
            return set()
        return {path.parent.name for path in (self._root / "data").glob("*/twin.yaml")}


def check_scores(champion: Champion) -> None:
    """BundleError unless a loaded champion gives its golden scores; it has scored a window afterwards."""
    if champion.folder is not None:
        check_golden(champion.folder, champion.bundle)
    champion.bundle.score(example_rows(champion.bundle))
