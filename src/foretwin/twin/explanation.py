"""Why the champion says what it says of an asset now: how far each channel moves its answers."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from foretwin.champion.champion import load_champion
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, Conflict
from foretwin.predictor.inputs import ModelInputs
from foretwin.predictor.shapley import explain_tracks
from foretwin.twin.scoring.own_baselines import kept_offsets, offsets_for
from foretwin.twin.store import Store, assets
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.telemetry import windows
from foretwin.twin.store.telemetry.windows import ReadingQuery

PATIENCE = 10.0  # s until a caller hears that there are too many before him
ONE_AT_A_TIME = threading.Lock()  # an explanation costs as much as hundreds of scores


def explain_present(store: Store, root: Path, contracts: Mapping[str, Twin], name: str) -> dict[str, Any]:
    """Explain the answer of the champion to the newest window of an asset, as JSON.

    Per question `base`, which a healthy machine in the same operation would get, `prediction`, and the `contributions`
    that lead from one to the other, by channel. NotFound where there is no such asset, RegistryError where its twin has
    no champion, BadInput where it has too few readings, Conflict where others are explained for too long.
    """
    with store.read() as connection:
        asset = assets.find_asset(connection, name)
        if asset.twin not in contracts:
            raise BadInput("twin", f"{asset.twin} has no contract here")
        champion = load_champion(root, asset.twin)
        contract = champion.bundle.contract
        wanted = ReadingQuery(asset.twin, contract.channel_names, last_batch(connection))
        recent = windows.newest_windows(connection, wanted, [asset.id], contract.window.length)
    needed = np.delete(recent.values, contract.may_be_missing, axis=1)
    whole = recent.only(np.isfinite(needed).all(axis=1))
    if len(whole) < contract.window.shortest:
        least = f"{len(whole)} readings with every channel, but {contract.window.shortest} are needed"
        raise BadInput("asset", f"{name} has {least}")
    tracks = ModelInputs.of_one_run_each([name], [asset.run], [whole.time], [whole.values], len(contract.axes))
    if champion.bundle.own is not None:  # the judgement that raises its cases
        kept = kept_offsets(store, [champion.bundle], np.array([asset.id]))
        numbered = replace(tracks, assets=np.array([asset.id], dtype=object))
        tracks = replace(tracks, own=offsets_for(kept, numbered, contract))
    if not ONE_AT_A_TIME.acquire(timeout=PATIENCE):
        raise Conflict("asset", f"others are explained first, for longer than {PATIENCE:g} s: try again")
    try:
        explanation = explain_tracks(champion.bundle, tracks)
    finally:
        ONE_AT_A_TIME.release()
    identity = champion.identity
    return {
        **explanation.to_dict(),
        "twin": asset.twin,
        "model": {"name": identity.name, "version": identity.version, "run": identity.run, "digest": identity.digest},
    }
