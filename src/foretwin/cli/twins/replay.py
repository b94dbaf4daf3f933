"""Send a fleet's readings as its machines would: `foretwin replay`."""

from pathlib import Path

import click


@click.command("replay")
@click.argument("twin")
@click.option("--assets", type=click.IntRange(1), help="How many of the fleet.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Recorded rows (Parquet).")
@click.option("--speed", default=0.0, show_default=True, help="Units of the clock per second; 0: as fast as possible.")
@click.option("--rows", default=1, show_default=True, type=click.IntRange(1), help="Readings in one message.")
@click.option("--mqtt", metavar="URL", help="Send to this broker.")
@click.option("--http", metavar="URL", help="Send to this `foretwin live`, with the key in FORETWIN_KEY.")
@click.option("--disturb", multiple=True, metavar="KIND=SHARE", help="What goes wrong on the way; may be repeated.")
@click.option("--seed", default=0, show_default=True, help="Of the disturbances.")
def replay_command(  # noqa: PLR0913, PLR0917 - one parameter per option
    twin: str,
    assets: int | None,
    file: Path | None,
    speed: float,
    rows: int,
    mqtt: str | None,
    http: str | None,
    disturb: tuple[str, ...],
    seed: int,
) -> None:
    """Send a fleet's readings as its machines would.

    Pumps are simulated anew; other twins send their recorded rows. Kinds of disturbance are dropouts, duplicates,
    disorder, spikes, outliers, stuck and clock_jumps, each with the share of readings that it strikes.

    \b
      foretwin replay pump --assets 20 --speed 10 --http http://127.0.0.1:3100
      foretwin replay pump --assets 500 --mqtt mqtt://127.0.0.1 --disturb dropouts=0.05 --disturb disorder=0.1
    """
    from foretwin.cli import project
    from foretwin.errors import BadInput
    from foretwin.project.settings import read_setting
    from foretwin.twin.connectors.mqtt.address import check_no_password
    from foretwin.twin.simulator.disturbances import parse_disturbances
    from foretwin.twin.simulator.sending import ReplayPlan, fleet
    from foretwin.twin.simulator.sending import replay as send

    if (mqtt is None) == (http is None):
        raise BadInput("URL", "is needed once: --mqtt or --http")
    check_no_password("--mqtt", mqtt or "")
    contract = project.contract_named(project.load_project(), twin)
    key = read_setting("FORETWIN_KEY").strip() or None
    plan = ReplayPlan(mqtt or http or "", speed, rows, parse_disturbances(disturb), seed, key)
    machines = fleet(contract, project.PROJECT, assets, None, file)
    project.log_to_terminal()
    with project.stop_on_signals() as stop:
        click.echo(f"{machines['asset'].nunique()} assets, {len(machines)} readings; Ctrl-C ends it", err=True)
        sent = send(contract, machines, plan, stop)
    struck = "".join(f", {count} {kind}" for kind, count in sent.disturbed.items() if count)
    lost = f"; {sent.refused} messages refused" if sent.refused else ""
    unheard = f"; nobody subscribes to {sent.unheard} messages" if sent.unheard else ""
    click.echo(f"sent {sent.readings} readings in {sent.messages} messages{struck}{lost}{unheard}")
    for failure in sent.failures:
        click.echo(f"  {failure.asset} failed at {failure.time:g} {contract.clock.unit} of run {failure.run}")
