"""Serve assistants: `foretwin mcp`."""

import click

from foretwin.cli.project import LIVE


@click.command("mcp")
@click.option("--url", default=LIVE, show_default=True, help="Where `foretwin live` answers.")
def mcp_command(url: str) -> None:
    """Serve an assistant over the Model Context Protocol, on standard input and output.

    Its tools are what the key in FORETWIN_KEY may read of `foretwin live`, explanations, what-if and lineage; with the
    scope `assist` also acknowledging cases and verdicts, which the audit has under the key's name.

    \b
      export FORETWIN_KEY=$(foretwin keys new assistant --scope read --scope score)
      foretwin mcp
    """
    import asyncio

    from foretwin.errors import BadInput
    from foretwin.twin.connectors.extras import needing_extra

    with needing_extra("mcp", "mcp", BadInput):
        from foretwin.client.assistant.protocol_server import serve_assistant
    asyncio.run(serve_assistant(url, None))
