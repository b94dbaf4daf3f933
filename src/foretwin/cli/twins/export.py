"""Export everything about an asset: `foretwin export`."""

from pathlib import Path

import click


@click.command("export")
@click.argument("asset")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .zip to write.")
def export_command(asset: str, out: Path) -> None:
    """Export everything that is kept of an asset as a ZIP.

    \b
      foretwin export P-017 --out P-017.zip
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import PROJECT, load_project, opened_store
    from foretwin.errors import BadInput
    from foretwin.twin.data_export import export_asset

    if out.suffix != ".zip":
        raise BadInput("--out", f"{out} does not end in .zip")
    contracts = load_project()
    with opened_store() as store:
        click.echo(f"wrote {export_asset(store, PROJECT, contracts, asset, out, datetime.now(UTC))}")
