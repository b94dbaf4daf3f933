"""Explain the score of one asset: `foretwin explain`."""

from pathlib import Path

import click

from foretwin.cli.project import PROJECT


@click.command("explain")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--twin", required=True, help="The twin whose champion is asked.")
@click.option("--asset", required=True, help="The asset of FILE whose score is explained.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Draw the contributions as a .png too.")
def explain_command(file: Path, twin: str, asset: str, out: Path | None) -> None:
    """Explain the score of one asset.

    Shows how far each channel moves the remaining life, and the probability of the leading fault, from what a healthy
    machine in the same operation would get. FILE is as for `foretwin score`.

    \b
      foretwin explain readings.csv --twin pump --asset P-017 --out why.png
    """
    from foretwin.cli.models.scored_file import explain_asset, show_explanation
    from foretwin.errors import BadInput

    if out and out.suffix != ".png":
        raise BadInput("--out", f"{out} does not end in .png")
    contract, explanation = explain_asset(PROJECT, twin, file, asset)
    show_explanation(explanation)
    if out:
        from foretwin.evaluation.plots import contributions
        from foretwin.project.files import fresh_file

        with fresh_file(out) as temporary:
            contributions(contract, explanation, temporary)
        click.echo(f"wrote {out}")
