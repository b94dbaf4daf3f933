"""Show the service request of a case: `foretwin case`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass


@click.command("case")
@click.argument("number", type=int)
def case_command(number: int) -> None:
    """Show the service request of a case.

    Fault, remaining life, part, instruction, skills, and until when it is to be done.

    \b
      foretwin case 12
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import contract_named, load_project, opened_store
    from foretwin.cli.twins.monitor import fleet_case_text
    from foretwin.twin.cases.rules import DIGEST
    from foretwin.twin.cases.service_request import as_text, service_request
    from foretwin.twin.store.casework import cases as stored
    from foretwin.twin.store.casework.waiting import list_waiting

    contracts = load_project()
    with opened_store() as store, store.read() as connection:
        found = stored.find_case(connection, number)
        if found.asset is None:
            waiting = list_waiting(connection, found.twin) if found.fault == DIGEST and found.state != "closed" else []
            click.echo(fleet_case_text(found, waiting), nl=False)
            return
        request = service_request(connection, contract_named(contracts, found.twin), found, datetime.now(UTC))
    click.echo(as_text(request), nl=False)
