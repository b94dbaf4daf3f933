"""What is told of the champions in memory, by each process that has some."""

from collections.abc import Callable

from foretwin.champion.loaded import LoadedChampions

LOADED: dict[str, tuple[str, Callable[[LoadedChampions], float]]] = {  # metric -> what it is, and its value
    "foretwin_champions_loaded": ("champions whose networks are in memory", len),
    "foretwin_champion_bytes": ("memory that their networks are counted as", lambda loaded: loaded.size),
    "foretwin_champion_loads_total": (
        "networks that were loaded, again where they had made room for others",
        lambda loaded: loaded.loads,
    ),
    "foretwin_champion_evictions_total": ("networks that made room for others", lambda loaded: loaded.evictions),
}
