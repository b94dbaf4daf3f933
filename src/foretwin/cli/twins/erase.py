"""Erase an asset: `foretwin erase`."""

import click


@click.command("erase")
@click.argument("asset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_command(asset: str, yes: bool) -> None:
    """Erase everything of an asset, for good.

    Asks first. Prints the certificate: what was erased, and which models have learnt from it.

    \b
      foretwin export P-017 --out P-017.zip
      foretwin erase P-017
    """
    from datetime import UTC, datetime

    import orjson

    from foretwin.cli.project import PROJECT, load_project, opened_store, person
    from foretwin.twin.erasure.erase import erase_asset
    from foretwin.twin.store import assets

    contracts = load_project()
    with opened_store() as store:
        with store.read() as connection:
            found = assets.find_asset(connection, asset)
        if not yes and not click.confirm(f"erase {asset} with its {found.readings} readings, for good?"):
            click.echo("nothing was erased")
            return
        certificate = erase_asset(store, PROJECT, contracts, asset, person(), datetime.now(UTC))
    as_lines = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    click.echo(orjson.dumps(certificate, option=as_lines).decode())
