"""Keep everything of an asset: `foretwin hold`."""

import click


@click.command("hold")
@click.argument("asset")
@click.option("--because", metavar="TEXT", help="Why; a hold needs it, its end may have it.")
@click.option("--release", is_flag=True, help="End the hold.")
def hold_command(asset: str, because: str | None, release: bool) -> None:
    """Keep everything of an asset, whatever its age.

    As a court or an insurer may ask for. While it is held nothing of it ages out, and it cannot be erased. Both the
    hold and its end are in the audit.

    \b
      foretwin hold P-017 --because "claim 4711 of 2026-11-20"
      foretwin hold P-017 --release --because "claim 4711 is settled"
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import load_project, opened_store, person
    from foretwin.errors import BadInput
    from foretwin.twin.store import assets
    from foretwin.twin.store.aging import holds

    load_project()
    why = (because or "").strip()
    if not why and not release:
        raise BadInput("--because", "is needed, or --release")
    now = datetime.now(UTC)
    with opened_store() as store, store.write() as connection:
        found = assets.find_asset(connection, asset)
        if release:
            holds.release_hold(connection, found, why or None, person(), now)
        else:
            holds.place_hold(connection, found, why, person(), now)
    click.echo(f"{asset} is {'no longer held: it ages as the contract says' if release else 'held: nothing ages out'}")
