"""Make MLflow show what DVC holds: `foretwin publish`."""

import click

from foretwin.cli.project import PROJECT


@click.command("publish")
def publish_command() -> None:
    """Make MLflow show what DVC holds.

    Runs, trials, versions and the champion of each twin that params.yaml lists.

    Needed after `dvc pull` or in a copy of the project, where the results are there and the tracking store is not. What
    is there already stays.

    \b
      foretwin publish
    """
    from foretwin.project.params import load_params
    from foretwin.registry import publish as publish_twins

    publish_twins(PROJECT, load_params(PROJECT / "params.yaml").twins)
