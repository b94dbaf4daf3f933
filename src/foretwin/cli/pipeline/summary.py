"""Show figures, champions and reports: `foretwin summary`."""

import click

from foretwin.cli.project import PROJECT


@click.command("summary")
def summary_command() -> None:
    """Show figures, champions and reports.

    Those of the twins that params.yaml lists, and what to try next.

    \b
      foretwin summary
    """
    from foretwin.cli.pipeline.figures import print_summary
    from foretwin.project.params import load_params

    print_summary(PROJECT, load_params(PROJECT / "params.yaml").twins)
