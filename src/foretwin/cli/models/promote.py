"""Promote the candidate against the gate: `foretwin promote`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass
from foretwin.cli.project import PROJECT


@click.command("promote")
@click.argument("twin")
@click.option("--force", "reason", required=True, metavar="REASON", help="Why; the ledger and the registry keep it.")
def promote_command(twin: str, reason: str) -> None:
    """Promote the present candidate against the gate.

    `dvc repro` promotes what passes the gate; this promotes what it refused. The gate's checks stay visible beside the
    reason, in promotion.json, on the version's page and in the ledger. A damaged bundle is not promoted.

    \b
      foretwin promote pump --force "the flow sensor was exchanged, the old model cannot be fed"
    """
    from foretwin.cli.project import contract_named, load_project, person, record_champion, share_champion
    from foretwin.evaluation.held_out import predict
    from foretwin.project.params import load_params
    from foretwin.project.paths import Paths
    from foretwin.registry import promote as decide

    contract_named(load_project(), twin)
    paths = Paths(PROJECT, twin)
    verdict = decide(paths, load_params(paths.params), predict, force=reason, actor=person())
    how = (
        f"is champion by force: {verdict['forced']}"
        if verdict["forced"]
        else "is champion, as the gate allows without force"
    )
    click.echo(f"promote {twin}: version {verdict['version']} {how}")
    record_champion(twin, "promote", "package", "publish")
    share_champion(twin)
