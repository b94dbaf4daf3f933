"""Commands that act: on cases, on an asset's future, on what is kept of it."""

from pathlib import Path

import click

VERDICTS = ("confirmed", "other_fault", "no_fault_found", "part_replaced", "run_ended")


@click.command()
@click.argument("number", type=int)
def acknowledge(number: int) -> None:
    """Say that a case has been seen.

    \b
      foretwin acknowledge 12
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin.project import load_project, opened_store, person
    from foretwin.twin.casework import verdicts

    load_project()
    with opened_store() as store:
        verdicts.acknowledge(store, number, person(), datetime.now(UTC))
    click.echo(f"case {number} is acknowledged; `foretwin verdict {number} ...` closes it")


@click.command()
@click.argument("number", type=int)
@click.argument("verdict", metavar="VERDICT", type=click.Choice(VERDICTS))
@click.option("--fault", help="What was found, <axis>.<class>, where it is not the case's.")
@click.option("--serial-number", help="Of the new part.")
@click.option("--provenance", help="Of the new part: supplier, batch, works order.")
@click.option("--time", type=click.FloatRange(0), help="Since the run began; that of its last reading where left out.")
@click.option("--note", help="Anything else.")
def verdict(  # noqa: PLR0913, PLR0917 - one parameter per option
    number: int,
    verdict: str,
    fault: str | None,
    serial_number: str | None,
    provenance: str | None,
    time: float | None,
    note: str | None,
) -> None:
    """Say what was found, and close the case.

    VERDICT is confirmed, other_fault, no_fault_found, part_replaced or run_ended. It becomes a label of the history,
    from which the next champion learns; after the last two the asset's next run begins.

    \b
      foretwin verdict 12 part_replaced --serial-number TB-88123 --note "axial play 0.6 mm"
    """
    from datetime import UTC, datetime

    from pydantic import ValidationError

    from foretwin.cli_twin.project import load_project, opened_store, person
    from foretwin.cli_twin.tables import told
    from foretwin.errors import BadInput
    from foretwin.twin.casework.verdicts import Verdict, give

    told_us = {"verdict": verdict, "fault": fault, "serial_number": serial_number, "provenance": provenance}
    try:
        given = Verdict.model_validate({**told_us, "time": time, "note": note})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(".".join(map(str, first["loc"])), first["msg"]) from None
    contracts = load_project()
    with opened_store() as store:
        answer = give(store, contracts, number, given, person(), datetime.now(UTC))
    click.echo(f"case {number} is closed: {told(answer)}")


@click.command("what-if")
@click.argument("asset")
@click.option("--option", "options", multiple=True, required=True, metavar="NAME:SETTING=VALUE,...", help="A future.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curves of survival as a .png.")
def what_if(asset: str, options: tuple[str, ...], out: Path | None) -> None:
    """Compare how long an asset lasts if it is run otherwise.

    Each option is a name and the settings that it changes; going on as now is compared with them. A setting's value may
    change with time: VALUEforHOURS, the last one for ever.

    \b
      foretwin what-if P-017 --option "slower:commanded_speed=3240"
      foretwin what-if P-017 --option "weekend:commanded_speed=2400for48/3600" --out future.png
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin.futures import parse_option, show_futures
    from foretwin.cli_twin.project import PROJECT, contract_named, load_project, opened_store
    from foretwin.errors import BadInput
    from foretwin.twin.future.what_if import what_if as ask
    from foretwin.twin.store import assets

    if out and out.suffix != ".png":
        raise BadInput("--out", f"{out} does not end in .png")
    asked, contracts = [parse_option(text) for text in options], load_project()
    with opened_store() as store:
        with store.read() as connection:
            contract = contract_named(contracts, assets.find(connection, asset).twin)
        answer = ask(store, PROJECT, contract, asset, asked, datetime.now(UTC))
    show_futures(answer)
    if out:
        from foretwin.config import fresh_file
        from foretwin.plots_twin import what_if_plot

        with fresh_file(out) as temporary:
            what_if_plot(answer, temporary)
        click.echo(f"wrote {out}")


@click.command()
@click.argument("twin")
def history(twin: str) -> None:
    """Give what verdicts labelled to training.

    Writes data/TWIN/history/ from the store: the runs about which something was found out. The next `dvc repro` learns
    from them too.

    \b
      foretwin history pump
      dvc repro
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin.project import PROJECT, contract_named, load_project, opened_store
    from foretwin.twin.records.history import export_history

    contract = contract_named(load_project(), twin)
    with opened_store() as store:
        made = export_history(store, PROJECT, contract, datetime.now(UTC))
    found = f"{made.runs} runs of {made.assets} assets, {made.rows} rows, {made.labelled_rows} of them labelled"
    click.echo(f"wrote {made.folder}: {found}, by {made.verdicts} verdicts")
    for reason, count in made.left_out.items():
        click.echo(f"  left out {count}: {reason}")


@click.command()
@click.argument("asset")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .zip to write.")
def export(asset: str, out: Path) -> None:
    """Copy everything that is kept of an asset into a ZIP.

    \b
      foretwin export P-017 --out P-017.zip
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin.project import load_project, opened_store
    from foretwin.errors import BadInput
    from foretwin.twin.records.export import export_asset

    if out.suffix != ".zip":
        raise BadInput("--out", f"{out} does not end in .zip")
    contracts = load_project()
    with opened_store() as store:
        click.echo(f"wrote {export_asset(store, contracts, asset, out, datetime.now(UTC))}")


@click.command()
@click.argument("asset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(asset: str, yes: bool) -> None:
    """Erase everything of an asset, for good.

    Asks first. Prints the certificate: what was erased, and which models have learnt from it.

    \b
      foretwin export P-017 --out P-017.zip
      foretwin erase P-017
    """
    from datetime import UTC, datetime

    import orjson

    from foretwin.cli_twin.project import PROJECT, load_project, opened_store, person
    from foretwin.twin.records.erase import erase_asset
    from foretwin.twin.store import assets

    contracts = load_project()
    with opened_store() as store:
        with store.read() as connection:
            found = assets.find(connection, asset)
        if not yes and not click.confirm(f"erase {asset} with its {found.readings} readings, for good?"):
            click.echo("nothing was erased")
            return
        certificate = erase_asset(store, PROJECT, contracts, asset, person(), datetime.now(UTC))
    as_lines = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    click.echo(orjson.dumps(certificate, option=as_lines).decode())
