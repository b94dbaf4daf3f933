"""Serve the champions of all twins: `foretwin serve`."""

import click

from foretwin.cli.project import PROJECT


@click.command("serve")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 is every interface; it needs keys.")
@click.option("--open", "open_", is_flag=True, help="No keys, for callers on this machine alone.")
def serve_command(port: int, host: str, open_: bool) -> None:
    """Serve the champions of all twins.

    POST /v1/score, POST /v1/explain, GET /v1/models, /openapi.json, /metrics. New champions take over while it runs.

    Callers show a key, unless --open.

    \b
      foretwin serve --open
      export FORETWIN_KEY=$(foretwin keys new planning --scope score)
      foretwin serve --host 0.0.0.0
    """
    from foretwin.serving.packaging.running import serve as serve_bento

    serve_bento(PROJECT, port, host, open_)
