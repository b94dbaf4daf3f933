"""Export everything about an asset: `foretwin export`."""

from pathlib import Path

import click

from foretwin.cli.project import LIVE


@click.command("export")
@click.argument("asset")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@click.option("--aas", is_flag=True, help="Its asset administration shell: a .json or .aasx.")
@click.option("--url", default=LIVE, show_default=True, help="Where `foretwin live` answers, for the shell's links.")
def export_command(asset: str, out: Path, aas: bool, url: str) -> None:
    """Export everything that is kept of an asset as a ZIP, or its asset administration shell.

    \b
      foretwin export P-017 --out P-017.zip
      foretwin export P-017 --aas --out P-017.aasx
    """
    if aas:
        _export_shell(asset, out, url)
        return
    from datetime import UTC, datetime

    from foretwin.cli.project import PROJECT, load_project, opened_store
    from foretwin.errors import BadInput
    from foretwin.twin.data_export import export_asset

    if out.suffix != ".zip":
        raise BadInput("--out", f"{out} does not end in .zip")
    contracts = load_project()
    with opened_store() as store:
        click.echo(f"wrote {export_asset(store, PROJECT, contracts, asset, out, datetime.now(UTC))}")


def _export_shell(name: str, out: Path, url: str) -> None:
    """Write the shell, as JSON or AASX by the suffix."""
    from datetime import UTC, datetime

    import orjson

    from foretwin.cli.project import contract_named, load_project, opened_store
    from foretwin.errors import BadInput
    from foretwin.project.files import fresh_file
    from foretwin.twin.asset_shell.machine_facts import read_machine
    from foretwin.twin.asset_shell.shell import shell_json, shell_package
    from foretwin.twin.store import assets

    if out.suffix not in (".json", ".aasx"):
        raise BadInput("--out", f"{out} ends neither in .json nor in .aasx")
    contracts = load_project()
    with opened_store() as store, store.read() as connection:
        asset = assets.find_asset(connection, name)
        contract = contract_named(contracts, asset.twin)
        facts = read_machine(connection, contract, asset, url.rstrip("/"), datetime.now(UTC))
    as_json = out.suffix == ".json"
    packed = orjson.dumps(shell_json(facts), option=orjson.OPT_INDENT_2) if as_json else shell_package(facts)
    with fresh_file(out, private=True) as file:
        file.write_bytes(packed)
    click.echo(f"wrote {out}")
