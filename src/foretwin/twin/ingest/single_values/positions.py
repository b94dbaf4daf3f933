"""How far the single values of machines have been taken: where a source that keeps a history is read on."""

from collections.abc import Iterable, Mapping

from foretwin.contract.channels import MICROSECONDS
from foretwin.contract.twin import Twin
from foretwin.twin.ingest.single_values.pending import PendingValues
from foretwin.twin.store import Store, assets
from foretwin.twin.store.telemetry import pending_samples


def taken_until(store: Store, contract: Twin, names: Iterable[str]) -> Mapping[tuple[str, str], float]:
    """Return asset and channel -> microseconds since 1970 up to which values were taken, of runs with dates alone.

    Up to there nothing more can be stored: each value was taken, or is of a step whose reading was made.
    """
    found: dict[tuple[str, str], float] = {}
    with store.read() as connection:
        known = {asset.id: name for name, asset in assets.find_all(connection, names).items()}
        held = pending_samples.find_pending(connection, list(known))
    for number, content in held.items():
        pending = PendingValues.unpack(content, contract.channel_names)
        if not pending.dated:
            continue
        made = None
        if pending.made is not None and pending.start is not None:
            made = pending.start + pending.made * contract.clock.step * MICROSECONDS * (contract.clock.seconds or 1.0)
        for place, channel in enumerate(contract.channel_names):
            mine = pending.time[pending.channel == place]
            newest = [float(mine.max())] if len(mine) else []
            if newest or made is not None:
                found[known[number], channel] = max([*newest, *([made] if made is not None else [])])
    return found
