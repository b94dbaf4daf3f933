"""Memory of the scoring loop: how much it takes of the machine, and whether the windows of all assets fit into it."""

import os
from math import ceil
from pathlib import Path

from foretwin.twin.scoring.window_cache import WindowCache
from foretwin.twin.store import Store, assets

MEGABYTE = 1024 * 1024
SHARE = 1 / 8  # of the machine's memory, for the newest windows
LEAST, MOST = 64 * MEGABYTE, 1024 * MEGABYTE
GROWTH = 1.1  # of the fleet since it was said last that it does not fit
LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def default_memory(root: Path = Path("/")) -> int:
    """Return how many bytes windows may take unless told otherwise: a share of the machine's or container's memory."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in LIMITS:
        try:
            total = min(total, int((root / name).read_text()))
        except (OSError, ValueError):  # not there, or `max`
            continue
    return min(max(int(total * SHARE), LEAST), MOST)


def describe_lack(store: Store, twin: str, recent: WindowCache, twins: int) -> str | None:
    """Say that the windows of a twin's assets do not fit into its part of the memory of `twins` twins.

    None where they do, and where it was said of a fleet that has hardly grown since.
    """
    if not recent.evicted:
        return None
    recent.evicted = 0
    with store.read() as connection:
        wanted = assets.count_assets(connection, twin)
    if wanted <= max(recent.capacity, GROWTH * recent.lacked):
        return None
    recent.lacked = wanted
    enough = ceil(wanted * GROWTH * recent.window_bytes * twins / MEGABYTE)
    return (
        f"{twin}: the memory holds the newest readings of {recent.capacity:,} of {wanted:,} assets, the others are read"
        f" from the store for each score, which is slower; `--memory {enough}` holds them all"
    )
