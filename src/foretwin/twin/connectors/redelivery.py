"""Single values of messages that are delivered again: what was taken of them changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from foretwin.contract.twin import Twin
from foretwin.twin.connectors.connection_state import ConnectionState
from foretwin.twin.ingest.single_values.positions import taken_until
from foretwin.twin.store import Store
from foretwin.wire.readings import Decoded, SingleValues


def without_taken(
    store: Store, contracts: Mapping[str, Twin], decoded: Sequence[Decoded], state: ConnectionState
) -> list[Decoded]:
    """Leave dated values out up to which their channel was taken, and count them.

    Each was stored when it came first, or is of a step whose reading was made. Whole readings the store compares.
    """
    left = []
    for one in decoded:
        if one.values is None:
            left.append(one)
            continue
        values, taken = one.values, taken_until(store, contracts[one.values.twin], one.values.names)
        rows = zip(values.asset.tolist(), values.channel.tolist(), strict=True)
        until = [taken.get((values.names[asset], values.channels[channel]), -np.inf) for asset, channel in rows]
        kept = ~values.dated | (values.time > np.array(until))
        state.repeated += int((~kept).sum())
        left.append(replace(one, values=_only(values, kept) if kept.any() else None))
    return left


def _only(values: SingleValues, kept: "np.typing.NDArray[np.bool_]") -> SingleValues:
    columns = {name: getattr(values, name)[kept] for name in ("asset", "time", "dated", "channel", "value")}
    return replace(values, **columns)
