"""Take readings in: `foretwin ingest`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foretwin.contract.twin import Twin
    from foretwin.twin.connectors.connections.connections_file import Peer


@click.command("ingest")
@click.argument("sources", nargs=-1, metavar="[FILE|URL|NAME]...")
@click.option("--twin", help="Whose readings the files hold; not needed where there is one twin only.")
@click.option("--mqtt", metavar="URL", help="Listen to this broker until Ctrl-C; the topic names twin and asset.")
def ingest_command(sources: tuple[str, ...], twin: str | None, mqtt: str | None) -> None:
    """Store readings of files, of brokers and servers, or both.

    FILE is CSV or Parquet with the columns asset, time, an optional run, and one per channel; or with asset, time,
    channel, value and an optional quality, one value per row. URL or NAME is a connection of connections.yaml, which
    says what its tags are; an mqtt:// URL that is not there is a broker whose topics are foretwin/TWIN/ASSET/readings,
    and FORETWIN_MQTT_PASSWORD its password; a nats:// URL is a server of NATS JetStream with the same subjects, with
    dots; a kafka:// URL brokers of Kafka, whose topics are foretwin.TWIN.readings and whose keys the machines.
    Connections are listened to until Ctrl-C. Without any argument they are those of connections.yaml, also ones
    that are added to it meanwhile, and the broker of FORETWIN_MQTT_URL. What breaks the contract is set aside:
    `foretwin quarantine` shows it.

    \b
      foretwin ingest readings.csv --twin pump
      foretwin ingest mqtt://127.0.0.1:1883
      foretwin ingest nats://127.0.0.1:4222
      foretwin ingest kafka://127.0.0.1:9092
      foretwin ingest
    """
    from datetime import UTC, datetime

    from foretwin.cli import project
    from foretwin.cli.twins.progress import Totals
    from foretwin.errors import BadInput
    from foretwin.operations.health.each_process import ingest_state
    from foretwin.operations.health.endpoints import health_served
    from foretwin.project.contracts import RunningContracts
    from foretwin.project.loops import exempt_from_collection
    from foretwin.serving.http.tracing import traced_process
    from foretwin.twin.connectors.connections.connections_file import FILE
    from foretwin.twin.connectors.connections.new_connections import NewConnections
    from foretwin.twin.connectors.files import ingest_file
    from foretwin.twin.connectors.listening import Listening, listen

    contracts, total = RunningContracts(project.PROJECT, project.load_project()), Totals()
    files, peers = _chosen(sources, mqtt, contracts)
    if not files and not peers:
        raise BadInput("FILE", "is missing; name files, a URL, or connections in connections.yaml or FORETWIN_MQTT_URL")
    of = project.contract_named(contracts, twin or project.only_twin(contracts)).name if files else ""
    project.log_to_terminal()
    with project.stop_on_signals() as stop, project.opened_store(stop if peers else None) as store:
        for file in files:
            for receipt in ingest_file(store, contracts[of], file, datetime.now(UTC)):
                total.add(receipt)
                if stop.is_set():
                    break
        if peers and not stop.is_set():
            state, set_up = Listening(), None if sources or mqtt else project.PROJECT / FILE
            more = NewConnections(set_up, contracts, peers)
            health = health_served(ingest_state(store, project.PROJECT, state, total.counts))
            with traced_process("foretwin-ingest"), health:
                exempt_from_collection()
                click.echo("Ctrl-C ends it", err=True)
                listen(store, contracts, peers, stop, total.add, state=state, root=project.PROJECT, newcomers=more)
    click.echo(str(total))


def _chosen(
    sources: tuple[str, ...], mqtt: str | None, contracts: "Mapping[str, Twin]"
) -> tuple[list[Path], list["Peer"]]:
    """Return the files, and the connections by their names or URLs; of nothing, all connections that are set up."""
    from foretwin.cli import project
    from foretwin.errors import BadInput
    from foretwin.project.settings import read_setting
    from foretwin.twin.connectors.connections.connections_file import FILE, load_connections, plain_peer
    from foretwin.twin.connectors.mqtt.address import check_no_password

    check_no_password("--mqtt", mqtt or "")
    known = load_connections(project.PROJECT / FILE, contracts)
    if not sources and not mqtt:
        broker = read_setting("FORETWIN_MQTT_URL")
        return [], [*known, *([plain_peer(broker)] if broker else [])]
    files, peers = [], [plain_peer(mqtt)] if mqtt else []
    for source in sources:
        named = [peer for peer in known if source in (peer.name, peer.settings.url)]
        if named:
            peers += named
        elif "://" not in source:
            if not Path(source).is_file():
                raise BadInput("FILE", f"{source}: there is no such file, and no connection of this name in {FILE}")
            files.append(Path(source))
        elif source.startswith(("mqtt://", "mqtts://")):
            check_no_password("URL", source)
            peers.append(plain_peer(source))
        elif source.startswith(("nats://", "tls://", "kafka://", "kafkas://")):
            if "@" in source:
                raise BadInput("URL", f"names a user; describe the connection in {FILE}, with user and password_from")
            peers.append(plain_peer(source))
        else:
            raise BadInput("URL", f"{source}: is no connection of {FILE}; describe it there, with its tags")
    return files, peers
