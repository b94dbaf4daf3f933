"""List or revive deliveries of events: `foretwin deliveries`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass

MOST_SHOWN = 50


@click.command("deliveries")
@click.option("--state", default="dead", show_default=True, type=click.Choice(["waiting", "delivered", "dead"]))
@click.option("--revive", is_flag=True, help="Have those that were given up sent again.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def deliveries_command(state: str, revive: bool, limit: int) -> None:
    """List the events that could not be delivered.

    \b
      foretwin deliveries
      foretwin deliveries --revive       `foretwin watch` sends them again
    """
    from datetime import UTC, datetime

    from foretwin.cli import tables
    from foretwin.cli.project import load_project, opened_store
    from foretwin.twin.store import listing
    from foretwin.twin.store.casework import events

    load_project()
    with opened_store() as store:
        if revive:
            with store.write() as connection:
                count = events.revive(connection, None, datetime.now(UTC))
            click.echo(f"{count} deliveries wait again; `foretwin watch` sends them")
            return
        with store.read() as connection:
            page = listing.Page(limit + 1, 0, "due_at", descending=True)
            rows = listing.list_deliveries(connection, page, {"state": state})
    names = ("at", "type", "subject", "target", "attempts", "error")
    shown = [tuple(row[name] for name in names) for row in rows[:limit]]
    tables.show_table(names, shown, "there are more; --limit shows them" if len(rows) > limit else "")
