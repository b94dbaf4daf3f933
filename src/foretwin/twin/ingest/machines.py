"""Find the machines that readings name, each in one spelling; unknown ones are registered."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import numpy as np

from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.twin.ingest.checks import Fault
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.telemetry.arrivals import find_arriving
from foretwin.twin.store.telemetry.spans import ReceiptHour
from foretwin.wire.readings import Readings


class Machines(NamedTuple):
    """Readings, the asset of each of their names, last hours of receipt by id, and readings of no such machine."""

    readings: Readings
    assets: list[Asset]
    hours: dict[int, ReceiptHour]
    faults: list[Fault]


def find_machines(connection: Connection, contract: Twin, readings: Readings, now: datetime) -> Machines:
    """Find the assets that readings name, locked until the transaction ends.

    Another spelling of a machine's name is its machine where the contract joins spellings, else a fault.
    """
    known, hours = find_arriving(connection, readings.names)
    missing = [name for name in readings.names if name not in known]
    spelt = assets.other_spellings(connection, missing) if missing else {}
    if spelt and isinstance(contract.source, TableSource) and contract.source.spellings == "join":
        return find_machines(connection, contract, _renamed(readings, spelt), now)
    if missing:
        others = find_arriving(connection, [name for name in spelt.values() if name not in known])
        known, hours = known | others.assets, hours | others.hours
        new = [name for name in missing if name not in spelt]
        known |= assets.register_assets(connection, readings.twin, new, now)
    found = [known[spelt.get(name, name)] for name in readings.names]
    return Machines(readings, found, hours, [*_misspelt(readings, spelt), *_strangers(readings, found)])


def _renamed(readings: Readings, spelt: Mapping[str, str]) -> Readings:
    """Return readings in which machines have their own names."""
    place: dict[str, int] = {}
    names = [spelt.get(name, name) for name in readings.names]
    codes = np.array([place.setdefault(name, len(place)) for name in names], np.int64)
    return replace(readings, asset=codes[readings.asset], names=tuple(place))


def _misspelt(readings: Readings, spelt: Mapping[str, str]) -> list[Fault]:
    """Return the readings under another spelling of a machine's name."""
    told = {i: assets.another_spelling(name, spelt[name]) for i, name in enumerate(readings.names) if name in spelt}
    return _of_assets(readings, told)


def _strangers(readings: Readings, known: list[Asset]) -> list[Fault]:
    """Return the readings of assets that belong to another twin."""
    twin = readings.twin
    other = {i: f"{asset.name} is a {asset.twin}, not a {twin}" for i, asset in enumerate(known) if asset.twin != twin}
    return _of_assets(readings, other)


def _of_assets(readings: Readings, told: Mapping[int, str]) -> list[Fault]:
    """Return a fault for each reading of these assets, with what is told of each."""
    rows = np.flatnonzero(np.isin(readings.asset, list(told))).tolist() if told else ()
    return [Fault(row, "asset", "unknown", told[int(readings.asset[row])]) for row in rows]
