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

    Asset, time, failure and channels are guessed from names and content, with a comment at each guess: correct them by
    hand, then `foretwin add NAME` and `dvc repro`.

    \b
      foretwin new press press.csv
    """
    from foretwin.errors import ContractError
    from foretwin.project.files import fresh_file
    from foretwin.project.paths import Paths
    from foretwin.validation.scaffold import describe_file

    path = Paths(PROJECT, name).contract
    if path.exists():
        raise ContractError(f"{path}: is there already; edit it, or remove it and run this again")
    text = describe_file(name, file.resolve())
    with fresh_file(path) as out:
        out.write_text(text, encoding="utf-8")
    click.echo(f"wrote {path}: correct what is marked as guessed, then\n  foretwin add {name}\n  dvc repro")
