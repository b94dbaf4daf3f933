"""List or release quarantined readings: `foretwin quarantine`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foretwin.contract.twin import Twin
    from foretwin.twin.store import Store

MOST_SHOWN = 50


@click.command("quarantine")
@click.option(
    "--release",
    metavar="ID",
    type=int,
    help="Send this one again, whatever its clock or run; what waits for that run too.",
)
@click.option("--asset", help="Only this asset's.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def quarantine_command(release: int | None, asset: str | None, limit: int) -> None:
    """List quarantined readings with their reasons; or release one.

    \b
      foretwin quarantine
      foretwin quarantine --release 7
    """
    from foretwin.cli import tables
    from foretwin.cli.project import load_project, opened_store
    from foretwin.twin.store import listing

    contracts = load_project()
    with opened_store() as store:
        if release is not None:
            _release(store, contracts, release)
            return
        with store.read() as connection:
            page = listing.Page(limit + 1, 0, "received_at", descending=True)
            rows = listing.list_quarantine(connection, page, {"asset": asset} if asset else {}, released=False)
    names = ("id", "received_at", "via", "twin", "asset", "reason", "field", "detail")
    shown = [tuple(row[name] for name in names) for row in rows[:limit]]
    tables.show_table(names, shown, "there are more; --limit shows them" if len(rows) > limit else "")


def _release(store: "Store", contracts: "dict[str, Twin]", number: int) -> None:
    from datetime import UTC, datetime

    from foretwin.cli.project import person
    from foretwin.errors import BadInput
    from foretwin.twin.ingest.release import release

    receipt = release(store, contracts, number, person(), datetime.now(UTC))
    if receipt.rejected:
        again = receipt.rejected[0]
        raise BadInput("--release", f"{number} is refused again: {again.reason}: {again.field} {again.detail}")
    click.echo(f"released {number}: {receipt.stored} stored, {receipt.duplicates} there already")
