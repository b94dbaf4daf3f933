"""The active champions, as one mapping that is replaced as a whole.

A call reads the state once and keeps the champion that it found: a swap meanwhile changes nothing for it.
"""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Final

from foretwin.champion.champion import Champion
from foretwin.champion.refusal import refusal_of
from foretwin.errors import Conflict, UnknownTwin
from foretwin.project.paths import Paths

LONGEST_SHOWN = 60


class Champions:
    """The champion of each served twin. Reading takes no lock; writers take turns."""

    def __init__(self, root: Path | None = None) -> None:
        """`root` is the project's folder, whose contracts say which twins there are besides; None without one."""
        self._root: Final = root
        self._writing: Final = Lock()
        self._served: Mapping[str, Champion] = MappingProxyType({})
        self._refused: frozenset[str] = frozenset()
        self.tried: Final[
            dict[Path, object]
        ] = {}  # folder -> its stamp when it was last loaded; for the loading thread

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

    def all(self) -> Mapping[str, Champion]:
        """Return the champions by the name of their twin, sorted; never changed afterwards."""
        return self._served

    def put(self, champion: Champion) -> None:
        """Make this champion active for its twin from the next call on."""
        twin = champion.bundle.contract.name
        with self._writing:
            self._served = MappingProxyType(dict(sorted({**self._served, twin: champion}.items())))
            self._refused -= {twin}

    def drop(self, twin: str) -> None:
        """Remove a twin's champion."""
        with self._writing:
            self._served = MappingProxyType({name: found for name, found in self._served.items() if name != twin})
            self._refused -= {twin}

    def refuse(self, twin: str) -> None:
        """Record that a twin's new champion was refused; the present one, if any, remains active."""
        with self._writing:
            self._refused |= {twin}

    def _known(self) -> set[str]:
        """Return the twins that have a contract in the project."""
        if self._root is None:
            return set()
        return {path.parent.name for path in (self._root / "data").glob("*/twin.yaml")}
