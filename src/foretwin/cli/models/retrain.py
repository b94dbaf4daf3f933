"""Train again with what verdicts have taught: `foretwin retrain`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass
from foretwin.cli.project import PROJECT


@click.command("retrain")
@click.argument("twin")
@click.option("--if-drifted", is_flag=True, help="Only where the last report of `foretwin monitor` asks for it.")
def retrain_command(twin: str, if_drifted: bool) -> None:
    """Train again with the verdicts given since.

    Exports the history as `foretwin history` does, runs `dvc repro` for this twin, and ends at the gate: the candidate
    becomes champion only if the gate promotes it, and running services take it then. For a schedule: exit code 0 is
    also a refusal, and that there is nothing new.

    \b
      foretwin retrain pump
      foretwin monitor pump && foretwin retrain pump --if-drifted
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import contract_named, load_project, opened_store
    from foretwin.twin.retraining import retrain as run
    from foretwin.twin.retraining import why_not

    contract_named(load_project(), twin)
    reason = why_not(PROJECT, twin) if if_drifted else None
    if reason:
        click.echo(f"retrain {twin}: nothing done: {reason}")
        return
    with opened_store() as store:
        done = run(PROJECT, store, twin, datetime.now(UTC))
    if done.history is not None:
        version = "as before" if done.history.digest == done.history_before else done.history.digest[:12]
        click.echo(f"retrain {twin}: history of {done.history.runs} runs of {done.history.assets} assets, {version}")
    now = f"; version {done.champion} is the champion" if done.champion else ""
    candidate = "" if done.decision == "nothing new" else f"version {done.version} "
    click.echo(f"retrain {twin}: {candidate}{done.decision}{now}")
    for sentence in done.reasons:
        click.echo(f"retrain {twin}: {sentence}")
