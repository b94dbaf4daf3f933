"""Put twins on the list in params.yaml: `foretwin add`."""

import click

from foretwin.cli.project import PROJECT


@click.command("add")
@click.argument("names", nargs=-1, required=True)
def add_command(names: tuple[str, ...]) -> None:
    """Put twins on the list in params.yaml.

    `dvc repro` builds what that list names. The stages of each are in data/NAME/dvc.yaml, a copy of
    pipelines/chain.yaml.

    \b
      foretwin add cmapss-fd001
      dvc repro
    """
    from foretwin.project.chain import copy_chain
    from foretwin.project.params import add_twins
    from foretwin.project.paths import Paths

    for name in names:
        Paths(PROJECT, name).load_contract()
    listed = add_twins(PROJECT / "params.yaml", names)
    for name in names:
        copy_chain(PROJECT, name)
    click.echo(f"params.yaml lists {', '.join(listed)}; `dvc repro` builds them")
    if (PROJECT / ".git").exists():
        click.echo("`dvc exp run` copies what git knows, so before it:")
        for name in names:
            click.echo(f"  git add params.yaml data/{name}/{{twin,chain,dvc}}.yaml")
