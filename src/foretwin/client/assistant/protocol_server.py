"""The tools over the Model Context Protocol: the only importer of `mcp`, an optional extra."""

from collections.abc import Mapping
from typing import Any

import mcp_types as types
import orjson
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server

from foretwin import __version__
from foretwin.client.assistant.tools import LINEAGE, Tool, ToolBox, tools_of
from foretwin.client.clients import AsyncClient
from foretwin.errors import BadInput, ForetwinError

ACTOR = "assistant"
LONGEST = 200_000  # characters of an answer: an assistant reads all of it
ABOUT = (
    "Digital twins of machines: how long each has left, what is failing, how sure that is, and what to do. Start with"
    " `overview` and `fleet` (sort=urgency); `cases` are what something should be done about. Numbers have the unit of"
    " the machine's contract. Verdicts close cases and teach the models: give one only where a person said what was"
    " found."
)


async def serve_assistant(url: str, key: str | None) -> None:
    """Serve until the client goes away; ForetwinError where the live service cannot be reached or knows no such key."""
    async with AsyncClient(url, key, actor=ACTOR) as client:
        server = await server_for(client)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())


async def server_for(client: AsyncClient) -> Any:
    """Return the server of the tools that a client's key allows, each of which is a call of the client."""
    document = await client.call("/openapi.json")
    caller = await client.call("/v1/caller")
    box = tools_of(document, caller["scopes"])

    async def list_tools(_: Any, __: Any) -> Any:
        return types.ListToolsResult(tools=[_described(tool) for tool in box.tools.values()])

    async def call_tool(_: Any, params: Any) -> Any:
        try:
            text = _written(await _answer(client, box, params.name, params.arguments or {}))
        except ForetwinError as error:
            return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], is_error=True)
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    return Server("foretwin", version=__version__, instructions=ABOUT, on_list_tools=list_tools, on_call_tool=call_tool)


def _described(tool: Tool) -> Any:
    hints = types.ToolAnnotations(read_only_hint=not tool.changes, destructive_hint=tool.changes, open_world_hint=False)
    return types.Tool(name=tool.name, description=tool.about, input_schema=tool.schema, annotations=hints)


async def _answer(client: AsyncClient, box: ToolBox, name: str, arguments: Mapping[str, Any]) -> Any:
    path, query, body = box.find(name).request(arguments)
    answer = await client.call(path, query, body)
    if name != LINEAGE:
        return answer
    twin = answer["twin"]
    model = await client.call(f"/v1/models/{twin}")
    decisions = await client.call(f"/v1/models/{twin}/ledger")
    return {
        "asset": answer["asset"],
        "last_score": answer["last_score"],
        "champion": model,
        "decisions": decisions["items"],
    }


def _written(answer: Any) -> str:
    """Return an answer as JSON; BadInput for one that is too long to be read."""
    text = orjson.dumps(answer).decode()
    if len(text) > LONGEST:
        raise BadInput(
            "answer", f"has {len(text)} characters, more than {LONGEST}; ask for less, as by `limit` or a filter"
        )
    return text
