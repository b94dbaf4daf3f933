"""Export the labelled history for training: `foretwin history`."""

import click


@click.command("history")
@click.argument("twin")
def history_command(twin: str) -> None:
    """Export the labelled history for training.

    Writes data/TWIN/history/ from the store: the runs about which something was found out. The next `dvc repro` learns
    from them too.

    \b
      foretwin history pump
      dvc repro
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import PROJECT, contract_named, load_project, opened_store
    from foretwin.twin.training_feedback.history import export_history

    contract = contract_named(load_project(), twin)
    with opened_store() as store:
        made = export_history(store, PROJECT, contract, datetime.now(UTC))
    found = f"{made.runs} runs of {made.assets} assets, {made.rows} rows, {made.labelled_rows} of them labelled"
    click.echo(f"wrote {made.folder}: {found}, by {made.verdicts} verdicts")
    for reason, count in made.left_out.items():
        click.echo(f"  left out {count}: {reason}")
    for run, life in made.longer_lives.items():
        told = f"{life:g} {contract.clock.unit}, longer than any life that the champion has learnt from"
        click.echo(f"  check the clock of {run}: its labels are of a life of {told}")
