"""Baselines of machines' own in the scoring loop: what the store keeps of them, and what a new window adds.

A window counts only while no case is open about the machine, and none waits for room; with an open case what it shows
may be the fault. What a verdict has called no fault is normal for this machine.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.health.own_baseline import OwnOffsets, next_ends
from foretwin.predictor.health.warning_kinds import CHECK_FUNCTION, SHORT_HISTORY, SILENT, says
from foretwin.predictor.inputs import ModelInputs
from foretwin.twin.store import Connection, Store
from foretwin.twin.store.casework.cases import open_of
from foretwin.twin.store.casework.waiting import waiting_of
from foretwin.twin.store.scoring.own_offsets import StoredOffsets, keep_offsets, offsets_of
from foretwin.twin.store.scoring.scores import Score

Kept = Mapping[int, StoredOffsets]  # by the numbers of assets


def kept_offsets(store: Store, bundles: Sequence[Bundle], assets: NDArray[np.int64]) -> Kept:
    """Return what is kept of these assets; the store is not asked where no bundle judges by own baselines."""
    if all(one.own is None for one in bundles):
        return {}
    with store.read() as connection:
        return offsets_of(connection, assets.tolist())


def offsets_for(kept: Kept, tracks: ModelInputs, contract: Twin) -> OwnOffsets:
    """Return what is known of the machines of a scoring batch, in its order; of another run it is nothing."""
    found = OwnOffsets.unknown(len(tracks), len(contract.channel_names))
    for i, (asset, run) in enumerate(zip(tracks.assets.tolist(), tracks.runs.tolist(), strict=True)):
        one = kept.get(asset)
        if one is not None and one.run == run:
            found.windows[i] = one.windows
            found.until[i] = -np.inf if one.until is None else one.until
            known = [one.channels.get(name, (0.0, 0)) for name in contract.channel_names]
            found.offset[i], found.rows[i] = ([part[j] for part in known] for j in (0, 1))
    return found


def learnt_offsets(bundle: Bundle, tracks: ModelInputs) -> dict[int, StoredOffsets]:
    """Return what will be known of those machines whose window is the next whole one, if it counts."""
    own, known, length = bundle.own, tracks.own, bundle.contract.window.length
    if own is None or known is None:
        return {}
    histories, growing = tracks.spaced(bundle.slot), np.flatnonzero(~own.ready(known))
    due = growing[next_ends(histories, tracks.ends[growing], known.until[growing], length) == tracks.ends[growing]]
    if not len(due):
        return {}
    ends = tracks.ends[due]
    new = own.levels.added(known.at(due), histories.cut(ends, length), histories.time[ends], np.ones(len(due), bool))
    names, runs = bundle.contract.channel_names, tracks.runs[due].tolist()
    found = {}
    for i, asset in enumerate(tracks.assets[due].tolist()):
        means = zip(new.offset[i].tolist(), new.rows[i].tolist(), strict=True)
        channels = {name: one for name, one in zip(names, means, strict=True) if one[1]}
        found[asset] = StoredOffsets(runs[i], int(new.windows[i]), float(new.until[i]), channels)
    return found


def keep_learnt(connection: Connection, kept: Kept, learnt: Kept, found: Sequence[Score]) -> None:
    """Store what the windows of these scores tell, after their cases have been reviewed."""
    due = {score.asset: score for score in found if score.asset in learnt}
    if not due:
        return
    taken = {*open_of(connection, due), *(one.asset for one in waiting_of(connection, due))}
    new = {}
    for asset, score in due.items():
        one, before = learnt[asset], kept.get(asset)
        unsaid = any(says(word, score.warnings) for word in (*SILENT, CHECK_FUNCTION, SHORT_HISTORY))
        if asset in taken or unsaid:  # it was looked at, and does not count
            same = before is not None and before.run == one.run
            windows, channels = (before.windows, before.channels) if before is not None and same else (0, {})
            one = StoredOffsets(one.run, windows, one.until, channels)
        new[asset] = one
    keep_offsets(connection, new)
