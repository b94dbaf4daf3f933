"""Archive and drop what is due: `foretwin retain`."""

import click


@click.command("retain")
def retain_command() -> None:
    """Archive and drop what is older than the contracts say, now.

    `foretwin watch` does the same all the time, in small pieces. What is dropped was written to data/TWIN/archive/, or
    below FORETWIN_ARCHIVE, and read back before; `foretwin history`, `export` and `erase` know of it.

    \b
      foretwin retain
    """
    from datetime import UTC, datetime

    from foretwin.cli import project
    from foretwin.twin.retention.retain import Retaining, retain_once

    contracts = project.load_project()
    for contract in contracts.values():
        click.echo(f"{contract.name}: {contract.retention}")
    with project.stop_on_signals() as stop, project.opened_store() as store:
        counts = retain_once(Retaining(store, project.PROJECT, contracts), datetime.now(UTC), stop)
    words = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    click.echo(f"archived and dropped: {words or 'nothing was due'}")
