"""Serve assistants: `foretwin mcp`."""

import click

LIVE = "http://127.0.0.1:3100"


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

    try:
        from foretwin.client.assistant.protocol_server import serve_assistant
    except ModuleNotFoundError as error:
        raise BadInput("mcp", f"{error.name} is not installed; `pip install 'foretwin[mcp]'`") from None
    asyncio.run(serve_assistant(url, None))
