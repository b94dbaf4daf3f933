"""List cases: `foretwin cases`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass

MOST_SHOWN = 50
STATES = ("open", "acknowledged", "planned", "waiting_for_part", "closed")


@click.command("cases")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--twin", help="Only this twin's.")
@click.option("--asset", help="Only this asset's.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def cases_command(state: str | None, twin: str | None, asset: str | None, limit: int) -> None:
    """List the cases, the newest first.

    \b
      foretwin cases --state open
      foretwin case 12                   what to do about one of them
    """
    from foretwin.cli import tables
    from foretwin.cli.project import load_project, opened_store
    from foretwin.twin.store import listing

    load_project()
    filters = {name: value for name, value in (("state", state), ("twin", twin), ("asset", asset)) if value}
    with opened_store() as store, store.read() as connection:
        rows = listing.list_cases(connection, listing.Page(limit + 1, 0, "opened_at", descending=True), filters)
    shown = [
        (
            row["id"],
            row["asset_name"] or f"fleet of {row['twin']}",
            row["fault"],
            row["severity"],
            row["state"] + (f" ({row['closed_because']})" if row["closed_because"] else ""),
            row["opened_at"],
            tables.life(row["rul"], row["rul_low"], row["rul_high"]),
        )
        for row in rows[:limit]
    ]
    columns = ("case", "asset", "fault", "severity", "state", "opened (UTC)", "remaining life")
    tables.show_table(columns, shown, "there are more; --limit shows them" if len(rows) > limit else "")
