"""Take readings in: `foretwin ingest`."""

from pathlib import Path

import click


@click.command("ingest")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--twin", help="Whose readings the files hold; not needed where there is one twin only.")
@click.option("--mqtt", metavar="URL", help="Listen to this broker until Ctrl-C; the topic names twin and asset.")
def ingest_command(files: tuple[Path, ...], twin: str | None, mqtt: str | None) -> None:
    """Store readings of files, of an MQTT broker, or both.

    FILE is CSV or Parquet with the columns asset, time, an optional run, and one per channel; or with asset, time,
    channel, value and an optional quality, one value per row. The broker's topics are
    foretwin/TWIN/ASSET/readings; FORETWIN_MQTT_PASSWORD is its password. Without FILE and --mqtt the broker
    is that of FORETWIN_MQTT_URL. What breaks the contract is set aside: `foretwin quarantine` shows it.

    \b
      foretwin ingest readings.csv --twin pump
      foretwin ingest --mqtt mqtt://127.0.0.1:1883
    """
    from datetime import UTC, datetime

    from foretwin.cli import project
    from foretwin.cli.twins.progress import Totals
    from foretwin.errors import BadInput
    from foretwin.operations.health.each_process import ingest_state
    from foretwin.operations.health.endpoints import health_served
    from foretwin.project.settings import read_setting
    from foretwin.serving.http.tracing import traced_process
    from foretwin.twin.connectors.files import ingest_file
    from foretwin.twin.connectors.mqtt.address import check_no_password
    from foretwin.twin.connectors.mqtt.listening import Listening, listen

    check_no_password("--mqtt", mqtt or "")
    mqtt = mqtt or (None if files else read_setting("FORETWIN_MQTT_URL"))
    if not files and not mqtt:
        raise BadInput("FILE", "is missing; name files, or a broker with --mqtt or FORETWIN_MQTT_URL")
    contracts, total = project.load_project(), Totals()
    of = project.contract_named(contracts, twin or project.only_twin(contracts)).name if files else ""
    project.log_to_terminal()
    with project.stop_on_signals() as stop, project.opened_store(stop if mqtt else None) as store:
        for file in files:
            for receipt in ingest_file(store, contracts[of], file, datetime.now(UTC)):
                total.add(receipt)
                if stop.is_set():
                    break
        if mqtt and not stop.is_set():
            state = Listening()
            health = health_served(ingest_state(store, project.PROJECT, state, total.counts))
            with traced_process("foretwin-ingest"), health:
                click.echo("listening; Ctrl-C ends it", err=True)
                listen(store, contracts, mqtt, stop, total.add, state=state, root=project.PROJECT)
    click.echo(str(total))
