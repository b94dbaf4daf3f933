"""Compare an asset's futures: `foretwin what-if`."""

from pathlib import Path

import click


@click.command("what-if")
@click.argument("asset")
@click.option("--option", "options", multiple=True, required=True, metavar="NAME:SETTING=VALUE,...", help="A future.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curves of survival as a .png.")
def what_if_command(asset: str, options: tuple[str, ...], out: Path | None) -> None:
    """Compare how long an asset lasts if it is run otherwise.

    Each option is a name and the settings that it changes; going on as now is compared with them. A setting's value may
    change with time: VALUEforHOURS, the last one for ever.

    \b
      foretwin what-if P-017 --option "slower:commanded_speed=3240"
      foretwin what-if P-017 --option "weekend:commanded_speed=2400for48/3600" --out future.png
    """
    from datetime import UTC, datetime

    from foretwin.cli.cases.futures import parse_option, show_futures
    from foretwin.cli.project import PROJECT, contract_named, load_project, opened_store
    from foretwin.errors import BadInput
    from foretwin.twin.store import assets
    from foretwin.twin.what_if.what_if import what_if as ask

    if out and out.suffix != ".png":
        raise BadInput("--out", f"{out} does not end in .png")
    asked, contracts = [parse_option(text) for text in options], load_project()
    with opened_store() as store:
        with store.read() as connection:
            contract = contract_named(contracts, assets.find_asset(connection, asset).twin)
        answer = ask(store, PROJECT, contract, asset, asked, datetime.now(UTC))
    show_futures(answer)
    if out:
        from foretwin.evaluation.plots_twin import what_if_plot
        from foretwin.project.files import fresh_file

        with fresh_file(out) as temporary:
            what_if_plot(answer, temporary)
        click.echo(f"wrote {out}")
