"""Close a case with a verdict: `foretwin verdict`."""

import click

VERDICTS = ("confirmed", "other_fault", "no_fault_found", "sensor_fault", "part_replaced", "run_ended")


@click.command("verdict")
@click.argument("number", type=int)
@click.argument("verdict", metavar="VERDICT", type=click.Choice(VERDICTS))
@click.option("--fault", help="What was found, <axis>.<class>, where it is not the case's, or says more.")
@click.option("--serial-number", help="Of the new part.")
@click.option("--provenance", help="Of the new part: supplier, batch, works order.")
@click.option("--time", type=click.FloatRange(0), help="Since the run began; that of its last reading where left out.")
@click.option("--note", help="Anything else.")
def verdict_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    number: int,
    verdict: str,
    fault: str | None,
    serial_number: str | None,
    provenance: str | None,
    time: float | None,
    note: str | None,
) -> None:
    """Give a case its verdict, and close it.

    VERDICT is confirmed, other_fault, no_fault_found, sensor_fault, part_replaced or run_ended. It becomes a label of
    the history, from which the next champion learns, but for sensor_fault, whose readings tell nothing of the machine;
    after the last two the asset's next run begins.

    A departure from normal has no name: `confirmed --fault` gives it one of the contract's, which the next champion
    learns to tell.

    \b
      foretwin verdict 7 confirmed --fault bearing.worn
      foretwin verdict 12 part_replaced --serial-number TB-88123 --note "axial play 0.6 mm"
    """
    from datetime import UTC, datetime

    from pydantic import ValidationError

    from foretwin.cli.project import load_project, opened_store, person
    from foretwin.cli.tables import told
    from foretwin.errors import BadInput
    from foretwin.twin.cases.feedback import Verdict, give_verdict

    told_us = {"verdict": verdict, "fault": fault, "serial_number": serial_number, "provenance": provenance}
    try:
        given = Verdict.model_validate({**told_us, "time": time, "note": note})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(".".join(map(str, first["loc"])), first["msg"]) from None
    contracts = load_project()
    with opened_store() as store:
        answer = give_verdict(store, contracts, number, given, person(), datetime.now(UTC))
    click.echo(f"case {number} is closed: {told(answer)}")
