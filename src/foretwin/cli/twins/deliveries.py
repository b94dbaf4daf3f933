"""List or revive deliveries of events: `foretwin deliveries`."""

import click

MOST_SHOWN = 50
UNDELIVERED = ("dead", "unknown")


@click.command("deliveries")
@click.option("--state", default=None, type=click.Choice([*UNDELIVERED, "waiting", "delivered"]))
@click.option("--revive", is_flag=True, help="Have those that were given up, or are of this state, sent again.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def deliveries_command(state: str | None, revive: bool, limit: int) -> None:
    """List the events that could not be delivered, and those of which nobody knows whether they were.

    \b
      foretwin deliveries
      foretwin deliveries --revive       `foretwin watch` sends those again that were given up
    """
    from datetime import UTC, datetime

    from foretwin.cli import tables
    from foretwin.cli.project import load_project, opened_store
    from foretwin.twin.store import listing
    from foretwin.twin.store.casework import events

    if revive and state not in (None, *UNDELIVERED):
        raise click.BadParameter(f"{state} ones are not sent again; leave it out, or say unknown", param_hint="--state")
    load_project()
    with opened_store() as store:
        if revive:
            with store.write() as connection:
                count = events.revive(connection, None, datetime.now(UTC), state or "dead")
            click.echo(f"{count} deliveries wait again; `foretwin watch` sends them")
            return
        with store.read() as connection:
            page = listing.Page(limit + 1, 0, "due_at", descending=True)
            asked = UNDELIVERED if state is None else (state,)
            rows = [row for one in asked for row in listing.list_deliveries(connection, page, {"state": one})]
    names = ("at", "type", "subject", "target", "state", "attempts", "error")
    shown = [tuple(row[name] for name in names) for row in rows[:limit]]
    tables.show_table(names, shown, "there are more; --limit shows them" if len(rows) > limit else "")
