"""Acknowledge a case: `foretwin acknowledge`."""

import click


@click.command()
@click.argument("number", type=int)
def acknowledge(number: int) -> None:
    """Say that a case has been seen.

    \b
      foretwin acknowledge 12
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import load_project, opened_store, person
    from foretwin.twin.cases import feedback

    load_project()
    with opened_store() as store:
        feedback.acknowledge(store, number, person(), datetime.now(UTC))
    click.echo(f"case {number} is acknowledged; `foretwin verdict {number} ...` closes it")
