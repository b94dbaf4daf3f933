"""Watch a fleet of simulated pumps wear out: `foretwin demo`."""

import click


@click.command("demo")
@click.option("--pumps", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--speed", default=10.0, show_default=True, help="Hours of the pumps' lives in a second.")
@click.option("--port", default=3100, show_default=True, type=click.IntRange(1, 65535), help="Of the HTTP interface.")
@click.option("--once", is_flag=True, help="End with the last pump, instead of going on until Ctrl-C.")
def demo_command(pumps: int, speed: float, port: int, once: bool) -> None:
    """Watch a fleet of simulated pumps wear out.

    Starts a Mosquitto on this machine, `foretwin ingest`, `foretwin watch` and `foretwin live`, and replays pumps that
    no model has seen. When the last one has failed, the cases of those that failed first get a technician's verdict,
    the monitor looks once, and the pages stay up until Ctrl-C. Needs a champion of the twin `pump`: `dvc repro` makes
    one. Everything is kept in the project's store, so that the commands shown at the end work on it; a further fleet is
    the next life of the same pumps.

    \b
      foretwin demo --speed 20
    """
    from foretwin.cli.demo.fleet import watch_fleet

    watch_fleet(pumps, speed, port, once)
