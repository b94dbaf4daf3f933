"""Write a first contract for a machine: `foretwin new`."""

from pathlib import Path

import click

from foretwin.cli.project import PROJECT


@click.command("new")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def new_command(name: str, file: Path) -> None:
    """Write a first contract for a machine.

    Looks at FILE (CSV or Parquet) and writes data/NAME/twin.yaml.

    Asset, time, labels and channels are guessed from names and content, with a comment at each guess. What was assumed
    and left out is told, the costliest mistake first: correct it by hand, then `foretwin add NAME` and `dvc repro`.

    \b
      foretwin new press press.csv
    """
    from foretwin.errors import ContractError
    from foretwin.project.files import fresh_file
    from foretwin.project.paths import Paths
    from foretwin.validation.scaffold.draft import draft_contract

    path = Paths(PROJECT, name).contract
    if path.exists():
        raise ContractError(f"{path}: is there already; edit it, or remove it and run this again")
    draft = draft_contract(name, file, PROJECT)
    with fresh_file(path) as out:
        out.write_text(draft.text, encoding="utf-8")
    click.echo(f"wrote {path}")
    click.echo("\n".join(draft.assumptions.lines()))
    click.echo(f"Then\n  foretwin add {name}\n  dvc repro")
