"""Erase an asset from the store, from exported histories and from the outputs that stages made of them.

A certificate says what was removed where, and which models saw the asset; it names the asset by a digest alone.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foretwin.champion.challenger import forget_asset
from foretwin.champion.provenance import asset_digest
from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, Conflict, StoreError
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.sources.store import FOLDER, TABLE
from foretwin.twin.erasure.file_copies import Copies, cache_folder, find_copies, holds, remotes, remove_copies
from foretwin.twin.erasure.models_that_saw import models_that_saw
from foretwin.twin.monitoring import reports
from foretwin.twin.retention.erasing import erase_from_archive
from foretwin.twin.store import Store, assets, erasure
from foretwin.twin.store.aging.holds import find_hold
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import audit
from foretwin.twin.store.telemetry import history as stored
from foretwin.twin.training_feedback.history import export_history

SCHEMA = 1
CERTIFICATES = "erasures"
UNTOUCHED = [
    "models that saw the asset, and what they learnt from it",
    "the twin's own source, where it holds the same machine",
    "pictures and figures of models, which name no asset",
    "backups, archives that were exported, events that were delivered, tracking servers on other machines",
]


def erase_asset(
    store: Store, root: Path, contracts: Mapping[str, Twin], name: str, actor: str, now: datetime
) -> dict[str, Any]:
    """Erase an asset, write erasures/<its number>.json and return that certificate as JSON values.

    NotFound where there is no such asset, Conflict where it is held. The store comes last: what was interrupted before
    can be asked for again. An asset that goes on sending is registered anew, under another number.
    """
    with store.read() as connection:
        asset = assets.find_asset(connection, name)
        held = find_hold(connection, asset.id)
        histories = stored.exports_with(connection, asset.id)
    if held:
        why = f"{name} is held by {held.actor}: {held.because}"
        raise Conflict("asset", f"{why}; `foretwin hold {name} --release` comes first")
    cache, beyond = cache_folder(root), remotes(root)
    copies = find_copies(root, asset.twin, name, cache)
    models = models_that_saw(root, asset.twin, name, histories, cache)
    history = _history_without(store, root, contracts, asset, now)
    remove_copies(copies)
    forget_asset(Paths(root, asset.twin), name)
    reports.forget(root, asset.twin, name)
    archived = erase_from_archive(store, root, asset, erasure.without)
    with fresh_file(root / CERTIFICATES / f"{asset.id}.json", private=True) as out:
        history_rows = erasure.erase_history(store, asset)
        with store.read() as connection:
            mentions = erasure.find_mentions(connection, name)
        with store.write() as connection:
            rows = erasure.erase(connection, asset, mentions)
            audit.record(connection, actor, "asset.erased", {"number": asset.id}, now, asset=asset.id)
        rows = {table: rows.get(table, 0) + history_rows.get(table, 0) for table in {**rows, **history_rows}}
        certificate = {
            "schema": SCHEMA,
            "number": asset.id,
            "asset_sha256": asset_digest(name),
            "twin": asset.twin,
            "at": now.astimezone(UTC).isoformat(),
            "actor": actor,
            "store": {"name": store.name, "rows": rows, **_overwritten(store)},
            "archive": {"rows": archived},
            "history": history,
            "files": _counted(copies, root),
            "models": [{**asdict(model), "versions": list(model.versions)} for model in models],
            "not_touched": [*(f"copies in the DVC remote {remote}" for remote in beyond), *UNTOUCHED],
            "next": f"`dvc repro` makes what was removed again, and trains a model of {asset.twin} without the asset",
        }
        out.write_text(json.dumps(certificate, indent=1) + "\n", encoding="utf-8")
    return certificate


def _history_without(store: Store, root: Path, contracts: Mapping[str, Twin], asset: Asset, now: datetime) -> str:
    """Rewrite data/<twin>/history/ without the asset and return what became of it."""
    folder = Paths(root, asset.twin).data / FOLDER
    if not (folder / TABLE).exists() or not holds(folder / TABLE, asset.name):
        return "did not hold the asset"
    try:
        if asset.twin in contracts:
            export = export_history(store, root, contracts[asset.twin], now, without=asset.id)
            return f"exported again without the asset: {export.runs} runs of {export.assets} assets"
    except BadInput:
        pass  # no other asset has a label
    shutil.rmtree(folder)
    return "removed: there was no other asset in it"


def _overwritten(store: Store) -> dict[str, Any]:
    """Whether the freed space was overwritten, and if not, why; deleted rows are unreadable either way."""
    try:
        erasure.overwrite(store)
    except StoreError as error:
        return {"overwritten": False, "because": str(error)}
    return {"overwritten": True}


def _counted(copies: Copies, root: Path) -> dict[str, Any]:
    """List removed project files by name, and count DVC's objects, whose names are digests."""
    return {
        "folders": [path.relative_to(root).as_posix() for path in copies.folders],
        "files": [path.relative_to(root).as_posix() for path in copies.files],
        "dvc_objects": len(copies.objects),
    }
