"""Show what something was made of: `foretwin lineage`."""

import json
import os

import click

from foretwin.cli.project import PROJECT


@click.command("lineage")
@click.argument("anything")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with digests in full.")
def lineage_command(anything: str, as_json: bool) -> None:
    """Show what something was made of, or what was made of it.

    ANYTHING is a file or folder of data, a bundle, a model's version, an MLflow run, a digest, a Bento's tag, an asset,
    a score or a case. From a score it leads to model, run, commit, data, validation report, study and the gate's
    verdict; from data and assets to every model that saw them, and how often those have scored.

    \b
      foretwin lineage pump                    the champion; pump:3 is a version
      foretwin lineage P-017                   which models saw this asset
      foretwin lineage P-017@412               what was said of it at time 412; @2/412 of its second run
      foretwin lineage case:12
      foretwin lineage data/pump/raw/fleet.parquet
    """
    from foretwin.lineage.render import show
    from foretwin.lineage.trace import trace

    told = trace(PROJECT, anything, os.environ)
    if as_json:
        click.echo(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        show(told)
