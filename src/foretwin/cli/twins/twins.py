"""List the fleet: `foretwin twins`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass

MOST_SHOWN = 50


@click.command("twins")
@click.option("--twin", help="Only this twin's assets.")
@click.option("--stale", is_flag=True, help="Only those that have been silent for too long.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def twins_command(twin: str | None, stale: bool, limit: int) -> None:
    """Show the fleet, the shortest remaining life first.

    Times are UTC; a life is shown with its interval.

    \b
      foretwin twins --twin pump
    """
    from datetime import UTC, datetime

    from foretwin.cli import tables
    from foretwin.cli.project import contract_named, load_project, opened_store
    from foretwin.twin.scoring.staleness import heard_since, is_stale
    from foretwin.twin.store import listing

    contracts, now = load_project(), datetime.now(UTC)
    filters = {"twin": contract_named(contracts, twin).name} if twin else {}
    with opened_store() as store, store.read() as connection:
        page = listing.Page(limit + 1, 0, "rul_low", descending=False)
        rows = listing.list_fleet(connection, page, filters, stale or None, heard_since(contracts, now))
    shown = []
    for row in rows[:limit]:
        score = row["score"] or {}
        silent = row["twin"] in contracts and is_stale(contracts[row["twin"]], row["received_at"], now)
        left = tables.life(score.get("rul"), score.get("rul_low"), score.get("rul_high"))
        diagnosis = tables.diagnosis(score.get("diagnosis", {}))
        silence = (now - row["received_at"]).total_seconds() if row["received_at"] else None
        heard = tables.age(silence) + (" (stale)" if silent else "")
        shown.append((row["name"], row["twin"], row["run"], row["time"], left, diagnosis, row["open_cases"], heard))
    columns = ("asset", "twin", "run", "time", "remaining life", "diagnosis", "cases", "last heard")
    tables.show_table(columns, shown, "there are more; --limit shows them" if len(rows) > limit else "")
