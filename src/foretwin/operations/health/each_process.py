"""The states of live, watch, ingest and follow, each from what its loop says of itself."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import Metric

from foretwin.champion.loaded_figures import LOADED
from foretwin.errors import StoreError
from foretwin.operations.health.connection_metrics import connection_families
from foretwin.operations.health.families import family
from foretwin.operations.health.process_state import ProcessState
from foretwin.operations.health.store_state import StoreState
from foretwin.twin.store import Store, assets

if TYPE_CHECKING:  # each process loads its own work alone
    from foretwin.registry.sync import RegistryLooks
    from foretwin.twin.api.server import LiveState
    from foretwin.twin.connectors.listening import Listening
    from foretwin.twin.scoring.passes import PassCounts

OUTCOMES = ("stored", "duplicates", "late", "gaps", "quarantined")  # of readings; late ones are among those stored


def live_state(store: Store, root: Path, state: "LiveState") -> ProcessState:
    """Describe `foretwin live`: alive while its event loop turns, ready while its store takes writes."""
    shared = StoreState(store, root)
    return ProcessState("live", state.heartbeat, (shared.not_ready,), (shared.collect, state.calls.of_calls))


def watch_state(store: Store, root: Path, passes: "PassCounts") -> ProcessState:
    """Describe `foretwin watch`: ready while passes come through, the store takes writes and there is a champion."""
    shared = StoreState(store, root)

    def no_champion() -> str | None:
        return None if passes.held else "no champion to score with; `dvc repro` or `foretwin promote` makes one"

    def collect() -> Iterable[Metric]:
        yield family("foretwin_scores_total", _by_name(passes.scored))
        yield family("foretwin_unscored_total", _by_name(passes.refused))
        yield family("foretwin_partition_owned", [((str(number),), 1.0) for number in passes.owned])
        yield from (family(name, [((), float(figure(passes.loaded)))]) for name, (_, figure) in LOADED.items())
        held = dict(passes.held)
        yield family("foretwin_windows_held", [((twin,), float(count)) for twin, (count, _) in held.items()])
        yield family("foretwin_windows_capacity", [((twin,), float(most)) for twin, (_, most) in held.items()])
        try:
            with store.read() as connection:
                wanted = [((twin,), float(assets.count_assets(connection, twin))) for twin in held]
        except StoreError:
            wanted = []
        yield family("foretwin_windows_wanted", wanted)

    return ProcessState("watch", passes.heartbeat, (shared.not_ready, no_champion), (shared.collect, collect))


def ingest_state(store: Store, root: Path, listening: "Listening", counts: Mapping[str, int]) -> ProcessState:
    """Describe `foretwin ingest`: ready while all connections stand and the store takes writes.

    `counts` are readings by what became of them.
    """
    shared = StoreState(store, root)

    def not_connected() -> str | None:
        if listening.is_connected:
            return None
        away = [f"{name} ({listening.connections[name].trouble})" for name in listening.not_connected]
        return f"not connected: {', '.join(away) or 'nothing listens yet'}"

    def collect() -> Iterable[Metric]:
        states = dict(listening.connections)
        yield family("foretwin_broker_connected", [((), float(listening.is_connected))])
        yield family("foretwin_messages_waiting", [((), float(sum(one.waiting for one in states.values())))])
        yield from connection_families(states)
        yield family("foretwin_readings_total", _by_name({name: counts.get(name, 0) for name in OUTCOMES}))

    return ProcessState("ingest", listening.heartbeat, (not_connected, shared.not_ready), (shared.collect, collect))


def follow_state(looks: "RegistryLooks") -> ProcessState:
    """Describe `foretwin follow`: ready while the registry answers and what it names can be kept."""

    def collect() -> Iterable[Metric]:
        yield family("foretwin_champions_fetched_total", _by_name(looks.fetched))
        yield family("foretwin_champions_failing", [((twin,), 1.0) for twin in dict(looks.failing)])

    return ProcessState("follow", looks.heartbeat, (), (collect,))


def _by_name(counts: Mapping[str, int]) -> list[tuple[tuple[str, ...], float]]:
    return [((name,), float(count)) for name, count in dict(counts).items()]
