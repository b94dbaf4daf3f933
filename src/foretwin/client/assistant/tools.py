"""The tools of an assistant: what the live service's own description offers to the key that is used."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from foretwin.errors import BadInput
from foretwin.serving.access.keys import sufficient

JSON = "application/json"
ASKED = ("post_explanation", "post_what_if")  # calls with a body that change nothing
CHANGING = ("post_acknowledge", "post_verdict")  # all that an assistant may change
LINEAGE = "lineage"
TEXT: dict[str, Any] = {"type": "string"}
Schema = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A tool: an operation of the service, with the JSON schema of its arguments."""

    name: str
    about: str
    path: str
    schema: Schema
    changes: bool = False
    body: frozenset[str] | None = None  # arguments that go into the body; None: it has none

    def request(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        """Return path, query and body of the call; BadInput for an argument that it has not."""
        known = self.schema["properties"]
        wrong = next((name for name in arguments if name not in known), None)
        if wrong is not None:
            raise BadInput(wrong, f"is no argument of {self.name}; there is {', '.join(known) or 'none'}")
        missing = next((name for name in self.schema["required"] if arguments.get(name) is None), None)
        if missing is not None:
            raise BadInput(missing, f"is missing; {self.name} needs it")
        places = set(re.findall(r"{(\w+)}", self.path))
        path = self.path
        for name in places:
            path = path.replace(f"{{{name}}}", quote(str(arguments[name]), safe=""))
        told = {name: value for name, value in arguments.items() if value is not None and name not in places}
        if self.body is None:
            return path, told, None
        return path, {}, {name: value for name, value in told.items() if name in self.body}


@dataclass(frozen=True)
class ToolBox:
    """The tools by name."""

    tools: Mapping[str, Tool] = field(default_factory=dict)

    def find(self, name: str) -> Tool:
        """Return a tool; BadInput for a name that is none."""
        if name not in self.tools:
            raise BadInput("name", f"{name[:60]} is no tool here; there is {', '.join(self.tools)}")
        return self.tools[name]


def tools_of(document: Mapping[str, Any], scopes: Iterable[str]) -> ToolBox:
    """Return the tools that the scopes of a key allow, of the service's OpenAPI document.

    These are the operations that read and answer JSON, explanation and what-if; and acknowledging and verdicts for a
    key with the scope `assist`, whatever else it has.
    """
    held = set(scopes)
    found: dict[str, Tool] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tool = _tool(document, path, method, operation, held)
            if tool is not None:
                found[tool.name] = tool
    if {"twin", "model", "ledger"} <= found.keys():
        found[LINEAGE] = Tool(
            LINEAGE,
            "What a machine's last score comes from: its model, the data, code and verdict behind it, and the decisions"
            " about the models of its type.",
            "/v1/twins/{asset}",
            {"type": "object", "properties": {"asset": TEXT}, "required": ["asset"]},
        )
    return ToolBox(found)


def _tool(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any], held: set[str]
) -> Tool | None:
    name, changes = operation["operationId"], operation["operationId"] in CHANGING
    needed = next((scopes[0] for one in operation["security"] for scopes in one.values()), None)
    if needed is None or JSON not in operation["responses"]["200"]["content"]:
        return None
    if method != "get" and name not in (*ASKED, *CHANGING):
        return None
    if "assist" not in held if changes else held.isdisjoint(sufficient(needed)):
        return None
    properties = {one["name"]: _shown(one) for one in operation["parameters"] if one["in"] != "header"}
    required = [one["name"] for one in operation["parameters"] if one.get("required")]
    body = None
    if method == "post":
        sent = _body(document, operation)
        properties |= sent.get("properties", {})
        required += sent.get("required", [])
        body = frozenset(sent.get("properties", {}))
    schema = {"type": "object", "properties": properties, "required": required}
    return Tool(re.sub(r"^(get|post)_", "", name), operation["summary"], path, schema, changes, body)


def _shown(parameter: Mapping[str, Any]) -> Schema:
    return {"type": ["string", "number", "boolean"]} if parameter["in"] == "query" else dict(TEXT)


def _body(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Schema:
    """Return the schema of a body with all that it refers to within it."""
    schema = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    components = document["components"]["schemas"]
    inlined: Schema = _inlined(schema, components)
    return inlined


def _inlined(schema: Any, components: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(one, components) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components)
    return {name: _inlined(one, components) for name, one in schema.items()}
