"""Acknowledge a case: `foretwin acknowledge`."""

import click


@click.command("acknowledge")
@click.argument("number", type=int)
def acknowledge_command(number: int) -> None:
    """Mark a case as seen.

    \b
      foretwin acknowledge 12
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import load_project, opened_store, person
    from foretwin.twin.cases.board import acknowledge_case

    load_project()
    with opened_store() as store:
        acknowledge_case(store, number, person(), datetime.now(UTC))
    click.echo(f"case {number} is acknowledged; `foretwin verdict {number} ...` closes it")
