"""How many of each part will be needed soon: of machines whose remaining life, with its interval, ends by then."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.serving.access.bounds import Bounds
from foretwin.twin.cases.agenda import site_name
from foretwin.twin.cases.rules import END_OF_LIFE, remedy_of
from foretwin.twin.store import Connection
from foretwin.twin.store.casework import cases
from foretwin.twin.store.listing import Row
from foretwin.twin.store.scoring.ends import ends_before
from foretwin.twin.store.scoring.kpis import twins_with_assets

HORIZONS = (30, 90)  # days
MOST_NAMED = 20  # machines of one line


def part_needs(connection: Connection, contracts: Mapping[str, Twin], bounds: Bounds, now: datetime) -> dict[str, Any]:
    """Return a line per site and part: how many are needed within 30 and 90 days, `least`, `expected`, `most`.

    A machine counts where the upper end, the value, the lower end of its RUL is over by then. Its part is that of its
    open case, else that of its diagnosis, else that of an end of life. An end at the cap, which means "that or more",
    counts nowhere; twins with machines whose clock is no calendar, or that have no RUL, are `left_out`.
    """
    lines: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    present = twins_with_assets(connection)
    known = {name: contract for name, contract in contracts.items() if name in present}
    left_out = [name for name, one in known.items() if one.rul is None or one.clock.seconds is None]
    for name, contract in known.items():
        if name in left_out:
            continue
        for row, fault, ends in _ending(connection, contract, bounds):
            remedy = remedy_of(contract, fault) or remedy_of(contract, END_OF_LIFE)
            if remedy is not None:
                site = site_name(row["tags"], row["location"])
                lines[site, remedy.part, name].append({"asset": row["name"], "ends": ends})
    items = [_line(key, found, now) for key, found in sorted(lines.items())]
    return {"items": items, "left_out": left_out}


def _ending(connection: Connection, contract: Twin, bounds: Bounds) -> list[tuple[Row, str, list[datetime | None]]]:
    """Return of each machine that may end within the longest time: row, fault, and when the RUL's ends are over."""
    seconds, cap = contract.clock.seconds or 1.0, contract.rul.cap if contract.rul else 0.0
    rows = ends_before(connection, contract.name, HORIZONS[-1] * 86400 / seconds, cap, bounds)
    found = cases.open_of(connection, [row["asset"] for row in rows])
    ending = []
    for row in rows:
        told = [f"{axis}.{name}" for axis, name in row["diagnosis"].items() if remedy_of(contract, f"{axis}.{name}")]
        own = [case.fault for case in found.get(row["asset"], [])]
        at = row["scored_at"] - timedelta(seconds=row["age"])
        ends = [
            at + timedelta(seconds=row[end] * seconds) if row[end] < cap else None
            for end in ("rul_high", "rul", "rul_low")
        ]
        ending.append((row, (own or told or [END_OF_LIFE])[0], ends))
    return ending


def _line(key: tuple[str, str, str], found: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    site, part, twin = key
    needs = {}
    for days in HORIZONS:
        end = now + timedelta(days=days)
        counts = [
            sum(one["ends"][place] is not None and one["ends"][place] <= end for one in found) for place in range(3)
        ]
        needs[f"in_{days}_days"] = dict(zip(("least", "expected", "most"), counts, strict=True))
    first = sorted(found, key=lambda one: one["ends"][1])[:MOST_NAMED]
    return {"site": site, "part": part, "twin": twin, **needs, "assets": [one["asset"] for one in first]}
