"""What is due and when: open cases by the day for which they are planned, or by their latest safe date."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.serving.access.bounds import Bounds
from foretwin.twin.cases.rules import remedy_of
from foretwin.twin.store import Connection, assets, listing
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.listing import Page, Row

MOST = 1000  # cases of one answer
SITE_TAGS = ("site", "line")  # tags that say where a machine stands; the place is its location without them
SHOWN = (
    "id",
    "twin",
    "fault",
    "state",
    "severity",
    "assignee",
    "planned_for",
    "latest_safe_date",
    "undated",
    "rul_low",
    "snoozed_until",
)


def agenda(
    connection: Connection, contracts: Mapping[str, Twin], until: datetime, tag: tuple[str, str] | None, bounds: Bounds
) -> dict[str, Any]:
    """Return `items` that are due before that moment, in their order, `undated` ones, and whether there are `more`.

    Each is a case with `asset`, `site`, `due_at`, `is_late` (planned for later than is safe), the `part` that it needs
    and its `lead_time` in the clock's `unit`.
    """
    narrowed = {} if tag is None else {"tag": tag}
    page = Page(MOST + 1, 0, "latest_safe_date", descending=False)
    dated = listing.list_cases(connection, page, {**narrowed, "is_open": True, "due_before": until}, bounds)
    without = listing.list_cases(connection, page, {**narrowed, "is_open": True, "has_date": False}, bounds)
    rows = [*dated[:MOST], *without[:MOST]]
    known = assets.by_id(connection, {row["asset"] for row in rows if row["asset"] is not None})
    shown = [_item(row, known.get(row["asset"]), contracts.get(row["twin"])) for row in rows]
    return {
        "items": sorted((one for one in shown if one["due_at"]), key=lambda one: (one["due_at"], one["id"])),
        "undated": [one for one in shown if one["due_at"] is None and one["asset"] is not None],
        "more": len(dated) > MOST or len(without) > MOST,
    }


def site_name(tags: Mapping[str, str], location: str | None) -> str:
    """Return where a machine stands: by its tags `site` and `line`, else its location; empty where nobody said."""
    said = [tags[name] for name in SITE_TAGS if tags.get(name)]
    return " / ".join(said) or location or ""


def _item(row: Row, asset: Asset | None, contract: Twin | None) -> dict[str, Any]:
    remedy = remedy_of(contract, row["fault"]) if contract else None
    due, safe = row["planned_for"] or row["latest_safe_date"], row["latest_safe_date"]
    return {
        **{name: row[name] for name in SHOWN},
        "asset": row["asset_name"],
        "site": site_name(asset.tags, asset.location) if asset else "",
        "due_at": due,
        "is_late": bool(row["planned_for"] and safe and row["planned_for"] > safe),
        "part": remedy.part if remedy else None,
        "lead_time": remedy.lead_time if remedy else None,
        "unit": contract.clock.unit if contract else None,
    }
