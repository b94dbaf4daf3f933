"""Show the decisions about champions: `foretwin ledger`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foretwin.champion.ledger import LedgerEntry
from foretwin.cli.project import PROJECT


@click.command("ledger")
@click.argument("twin")
def ledger_command(twin: str) -> None:
    """Show the decisions about a twin's champions, the newest last.

    Fails where a line of models/TWIN/ledger.jsonl was changed or taken out.

    \b
      foretwin ledger pump
    """
    from foretwin.champion.ledger import read
    from foretwin.cli.project import contract_named, load_project
    from foretwin.cli.tables import show_table
    from foretwin.project.paths import Paths

    contract_named(load_project(), twin)
    decisions = read(Paths(PROJECT, twin).ledger)
    rows = [
        (
            one.at,
            one.version,
            one.action.replace("_", " "),
            f"{one.champion_before or 'none'} to {one.champion}"
            if one.champion_before != one.champion
            else one.champion,
            one.actor,
            _why(one),
        )
        for one in decisions
    ]
    advice = "" if rows else f"nothing was decided about {twin} yet; `dvc repro` puts a candidate to the gate"
    show_table(("when", "version", "decision", "champion", "by", "why"), rows, advice)


def _why(one: "LedgerEntry") -> str:
    """Return a person's reason; else why a candidate was refused, or how it compares with the champion before."""
    if one.reason:
        return one.reason
    against = [sentence for sentence in one.reasons if "champion" in sentence]
    return "\n".join(one.reasons if one.action == "refused" else against or one.reasons)
