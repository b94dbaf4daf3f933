"""Serve the living twin over HTTP: `foretwin live`."""

import click


@click.command("live")
@click.option("--port", default=3100, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--open", "is_open", is_flag=True, help="Nobody needs a key; then for this machine alone.")
def live_command(port: int, host: str, is_open: bool) -> None:
    """Serve the living twin over HTTP: readings in; twins, scores, cases out.

    A browser gets the console at /: pages of the fleet, each machine and each case. Every call needs a key of `foretwin
    keys new`, which people sign in with, unless --open is given or FORETWIN_ACCESS is `open`. For programs GET / lists
    the routes, /openapi.json describes them.

    \b
      foretwin live
      export FORETWIN_KEY=$(foretwin keys new ann --scope read --scope admin)
      curl -H "Authorization: Bearer $FORETWIN_KEY" "http://127.0.0.1:3100/v1/twins?sort=rul_low"
    """
    import os

    from foretwin.cli import project
    from foretwin.operations.health.each_process import live_state
    from foretwin.operations.health.endpoints import health_served
    from foretwin.project.loops import exempt_from_collection
    from foretwin.serving.access.authentication import Guard
    from foretwin.twin.api.server import LiveState, serve_twins

    project.load_project()
    project.log_to_terminal()
    guard = Guard.from_env(project.PROJECT, {**os.environ, "FORETWIN_ACCESS": "open"} if is_open else os.environ)
    who = "anybody on this machine" if guard.is_open else "who has a key"

    def started(url: str) -> None:
        exempt_from_collection()
        click.echo(f"answering {who} on {url}, with pages for people; Ctrl-C ends it")

    with project.stop_on_signals() as stop, project.opened_store(stop) as store:
        state = LiveState()
        with health_served(live_state(store, project.PROJECT, state)):
            calls = serve_twins(store, project.PROJECT, guard, (host, port), stop, started, state)
    click.echo(f"ended after {calls} calls")
