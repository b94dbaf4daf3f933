"""Commands that run: taking readings in, scoring them, answering over HTTP, replaying a fleet."""

from pathlib import Path

import click

MEGABYTE = 1024 * 1024


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--twin", help="Whose readings the files hold; not needed where there is one twin only.")
@click.option("--mqtt", metavar="URL", help="Listen to this broker until Ctrl-C; the topic names twin and asset.")
def ingest(files: tuple[Path, ...], twin: str | None, mqtt: str | None) -> None:
    """Store readings of files, of an MQTT broker, or both.

    FILE is CSV or Parquet with the columns asset, time, an optional run, and one per channel. The broker's topics are
    foretwin/TWIN/ASSET/readings. What breaks the contract is set aside: `foretwin quarantine` shows it.

    \b
      foretwin ingest readings.csv --twin pump
      foretwin ingest --mqtt mqtt://127.0.0.1:1883
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin import project
    from foretwin.cli_twin.telling import Totals
    from foretwin.errors import BadInput
    from foretwin.twin.intake.files import ingest_file
    from foretwin.twin.mqtt.listening import listen

    if not files and not mqtt:
        raise BadInput("FILE", "is missing; name files, or a broker with --mqtt")
    contracts, total = project.load_project(), Totals()
    of = project.contract_named(contracts, twin or project.only_twin(contracts)).name if files else ""
    project.log_to_terminal()
    with project.opened_store() as store, project.stop_on_signals() as stop:
        for file in files:
            for receipt in ingest_file(store, contracts[of], file, datetime.now(UTC)):
                total.add(receipt)
                if stop.is_set():
                    break
        if mqtt and not stop.is_set():
            click.echo("listening; Ctrl-C ends it", err=True)
            listen(store, contracts, mqtt, stop, total.add)
    click.echo(str(total))


@click.command()
@click.option("--memory", default=256, show_default=True, type=click.IntRange(8), help="Of the newest readings, in MB.")
def watch(memory: int) -> None:
    """Score what comes in, and keep the cases.

    Every asset with new readings is scored by its twin's champion; a line tells of each case that opens, escalates or
    closes. Others are told too where FORETWIN_WEBHOOKS or FORETWIN_EVENTS_MQTT name them. Ctrl-C ends it; what was not
    scored is scored by the next start.

    \b
      foretwin watch --memory 512
    """
    import os

    from foretwin.cli_twin import project
    from foretwin.cli_twin.telling import CaseNews
    from foretwin.twin.delivery.sending import deliver, targets_from
    from foretwin.twin.watch.loop import WatchSettings
    from foretwin.twin.watch.loop import watch as run_loop

    project.load_project()
    targets = targets_from(os.environ)
    settings = WatchSettings(memory_bytes=memory * MEGABYTE)
    project.log_to_terminal()
    with project.opened_store() as store, project.stop_on_signals() as stop:
        news, failures = CaseNews.from_now(store), list[BaseException]()
        threads = [project.start(lambda: run_loop(store, project.PROJECT, settings, stop), stop, failures)]
        if targets:
            threads.append(project.start(lambda: deliver(store, targets, stop), stop, failures))
        click.echo("watching; Ctrl-C ends it", err=True)
        while not stop.wait(0.5):
            news.tell(store)
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        news.tell(store)
    click.echo(str(news))


@click.command()
@click.option("--port", default=3100, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--open", "is_open", is_flag=True, help="Nobody needs a key; then for this machine alone.")
def live(port: int, host: str, is_open: bool) -> None:
    """Answer over HTTP: readings in; twins, scores, cases out.

    Every call needs a key of `foretwin keys new`, unless --open is given or FORETWIN_ACCESS is `open`. GET / lists the
    routes, /openapi.json describes them.

    \b
      foretwin live
      export FORETWIN_KEY=$(foretwin keys new ann --scope read --scope admin)
      curl -H "Authorization: Bearer $FORETWIN_KEY" "http://127.0.0.1:3100/v1/twins?sort=rul_low"
    """
    import os

    from foretwin.access.guard import Guard
    from foretwin.cli_twin import project
    from foretwin.twin.http.server import serve

    project.load_project()
    project.log_to_terminal()
    guard = Guard.from_env(project.PROJECT, {**os.environ, "FORETWIN_ACCESS": "open"} if is_open else os.environ)
    who = "anybody on this machine" if guard.is_open else "who has a key"

    def started(url: str) -> None:
        click.echo(f"answering {who} on {url}; Ctrl-C ends it")

    with project.opened_store() as store, project.stop_on_signals() as stop:
        calls = serve(store, project.PROJECT, guard, (host, port), stop, started)
    click.echo(f"ended after {calls} calls")


@click.command()
@click.argument("twin")
@click.option("--assets", type=click.IntRange(1), help="How many of the fleet.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Recorded rows (Parquet).")
@click.option("--speed", default=0.0, show_default=True, help="Units of the clock per second; 0: as fast as possible.")
@click.option("--rows", default=1, show_default=True, type=click.IntRange(1), help="Readings in one message.")
@click.option("--mqtt", metavar="URL", help="Send to this broker.")
@click.option("--http", metavar="URL", help="Send to this `foretwin live`, with the key in FORETWIN_KEY.")
@click.option("--disturb", multiple=True, metavar="KIND=SHARE", help="What goes wrong on the way; may be repeated.")
@click.option("--seed", default=0, show_default=True, help="Of the disturbances.")
def replay(  # noqa: PLR0913, PLR0917 - one parameter per option
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
    import os

    from foretwin.cli_twin import project
    from foretwin.errors import BadInput
    from foretwin.twin.replay.disturbances import parse_disturbances
    from foretwin.twin.replay.sending import Plan, fleet
    from foretwin.twin.replay.sending import replay as send

    if (mqtt is None) == (http is None):
        raise BadInput("URL", "is needed once: --mqtt or --http")
    contract = project.contract_named(project.load_project(), twin)
    key = os.environ.get("FORETWIN_KEY", "").strip() or None
    plan = Plan(mqtt or http or "", speed, rows, parse_disturbances(disturb), seed, key)
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
