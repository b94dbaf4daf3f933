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
def rollback_command(twin: str, reason: str, to: str | None) -> None:
    """Restore the previous champion.

    The registry's alias moves, and running services take the former champion as they would a new one. Done twice, it is
    the champion before that. The gate does not promote again what was rolled back.

    \b
      foretwin rollback pump --reason "false alarms on the night shift"
      foretwin rollback pump --to 3 --reason "the last one that knew the old impellers"
    """
    from foretwin.cli.project import contract_named, load_project, person
    from foretwin.registry.rollback import rollback as put_back

    contract_named(load_project(), twin)
    champion = put_back(PROJECT, twin, reason, person(), to)
    click.echo(f"rollback {twin}: {champion.name} version {champion.version} is the champion again")
    _record(twin, "package", "publish")


def _record(twin: str, *stages: str) -> None:
    """Update DVC's records of the champion; a failure is reported, since the roll-back itself stays."""
    from foretwin.twin.retraining import record_stages

    trouble = record_stages(PROJECT, twin, *stages)
    if trouble:
        click.echo(f"DVC's records still name the champion before: {trouble}; then `dvc repro`", err=True)
