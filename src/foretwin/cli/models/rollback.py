"""Take the champion back: `foretwin rollback`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass
from foretwin.cli.project import PROJECT


@click.command("rollback")
@click.argument("twin")
@click.option("--reason", required=True, metavar="TEXT", help="Why; the ledger and the registry keep it.")
@click.option("--to", metavar="VERSION", help="A former champion, instead of the one before the present one.")
@click.option("--by", metavar="NAME", help="Who decides; whoever runs the command, where nobody is named.")
def rollback_command(twin: str, reason: str, to: str | None, by: str | None) -> None:
    """Restore the previous champion.

    The registry's alias moves, and running services take the former champion as they would a new one. Done twice, it is
    the champion before that. The gate does not promote again what was rolled back.

    \b
      foretwin rollback pump --reason "false alarms on the night shift"
      foretwin rollback pump --to 3 --reason "the last one that knew the old impellers"
    """
    from foretwin.cli.project import contract_named, load_project, person, record_champion, share_champion
    from foretwin.registry.rollback import rollback as put_back

    contract_named(load_project(), twin)
    champion = put_back(PROJECT, twin, reason, by or person(), to)
    click.echo(f"rollback {twin}: {champion.name} version {champion.version} is the champion again")
    record_champion(twin, "package", "publish")
    share_champion(twin)
