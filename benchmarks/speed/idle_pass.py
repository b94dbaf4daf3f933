"""Measure what a pass of the scoring loop costs where nothing waits, in projects of ten to a thousand machine types.

The types are copies of the pumps', whose networks are never loaded; each has a machine that was heard of. The median of
the passes of two rounds counts, as processor time of ours and of PostgreSQL's.
"""

import os
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from benchmarks.servers import Postgres
from benchmarks.speed.in_turns import timed
from foretwin.champion.champion import load_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import Store, open_store
from foretwin.twin.store.assets import quarter_of
from foretwin.twin.store.tables import assets

TWINS, SHORT = (10, 100, 1000), (10, 100)
PASSES = 64  # two rounds of a thousand types
NO_NETWORK = b"nothing is scored"


def keep_copies(root: Path, like: Bundle, count: int) -> list[str]:
    """Keep so many champions in a project, each of a machine type of its own; return their names."""
    names = [f"type{number:04d}" for number in range(count)]
    for name in names:
        paths, contract = Paths(root, name), like.contract.model_copy(update={"name": name})
        bundle = paths.models / "champion" / "bundle"
        bundle.mkdir(parents=True)
        digest = save_bundle(bundle, contract, NO_NETWORK, like.calibration, like.reference, like.fault_calibration)
        identity = ModelIdentity(f"foretwin-{name}", "1", "run", digest)
        with fresh_file(bundle.parent / "identity.json") as out:
            out.write_text(strict_json(vars(identity)))
        with fresh_file(paths.contract) as out:
            out.write_text(contract.model_dump_json())
    return names


def add_machines(store: Store, names: list[str], now: datetime) -> None:
    """Let each machine type have a machine whose readings are all scored."""
    known = {"tags": {}, "registered_at": now, "received_at": now, "time": 1.0, "heard_in": quarter_of(now)}
    with store.write() as connection:
        connection.execute(insert(assets), [{"twin": name, "name": f"{name}-1", **known} for name in names])


def measure(sizes: tuple[int, ...] = TWINS) -> dict[str, Any]:
    """Return the milliseconds of a pass by the number of machine types; this project has the pumps' champion."""
    load, server = round(os.getloadavg()[0], 1), Postgres().start()
    try:
        with tempfile.TemporaryDirectory(prefix="foretwin-idle-") as folder:
            return passes(Path(folder), load_champion(".", "pump", threads=None).bundle, server, sizes) | {"load": load}
    finally:
        server.remove()


def passes(folder: Path, like: Bundle, server: Postgres, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Make a project of each size in the folder, and measure its passes on either store."""
    found: dict[str, list[float]] = {"milliseconds": [], "postgresql_milliseconds": []}
    for size in sizes:
        names = keep_copies(folder / str(size), like, size)
        sqlite, postgresql = f"sqlite:///{folder}/{size}.db", server.new_database(f"types{size}")
        found["milliseconds"].append(cost_of_a_pass(folder / str(size), sqlite, names, None))
        found["postgresql_milliseconds"].append(cost_of_a_pass(folder / str(size), postgresql, names, server))
    return {"twins": list(sizes), **found}


def cost_of_a_pass(root: Path, url: str, names: list[str], server: Postgres | None) -> float:
    """Return the milliseconds of processors, the server's too where there is one."""
    now = datetime.now(UTC)
    with closing(open_store(url)) as store:
        add_machines(store, names, now)
        watching = Watching(store, root, WatchSettings())
        with closing(watching.owner):
            score_once(watching, lambda: now)
            spent = [timed(lambda: score_once(watching, lambda: now), server)[1] for _ in range(PASSES)]
    return round(float(np.median(spent)) * 1000, 2)
