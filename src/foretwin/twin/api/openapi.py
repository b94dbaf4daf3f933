"""The routes as data, and as an OpenAPI 3.1 document: paths, parameters, bodies, and how refusals look."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from foretwin import __version__
from foretwin.serving.access.keys import Scope
from foretwin.serving.http.problems import PROBLEM
from foretwin.twin.api.call import About, Handler
from foretwin.twin.api.schemas.by_operation import BY_OPERATION

TEXT: dict[str, Any] = {"type": "string"}
REFERENCE = "#/components/schemas/{model}"
LISTS = (  # which are CSV by suffix too
    "/v1/twins",
    "/v1/twins/{asset}/readings",
    "/v1/twins/{asset}/scores",
    "/v1/cases",
    "/v1/calendar",
    "/v1/parts",
    "/v1/quarantine",
    "/v1/deliveries",
    "/v1/models/{twin}/ledger",
    "/v1/usage",
)
ANSWERS = {  # what is no JSON
    "/v1/twins/{asset}/export": ("application/zip", {"type": "string", "format": "binary"}),
    "/v1/twins/{asset}/aas.aasx": (
        "application/asset-administration-shell-package",
        {"type": "string", "format": "binary"},
    ),
    "/v1/cases/{case}/photos/{photo}": ("image/jpeg", {"type": "string", "format": "binary"}),
    "/v1/events": ("text/event-stream", TEXT),
    "/metrics": ("text/plain", TEXT),
    "/v1/usage/events": ("application/cloudevents-batch+json", {"type": "array", "items": {"type": "object"}}),
    "/v1/models/{twin}/card": ("text/html", TEXT),
    "/v1/calendar.ics": ("text/calendar", TEXT),
    **{f"{path}.csv": ("text/csv", TEXT) for path in LISTS},
}
PROBLEM_SCHEMA = {
    "type": "object",
    "properties": {**dict.fromkeys(("type", "title", "detail", "field"), TEXT), "status": {"type": "integer"}},
}
ACTOR = {
    "name": "X-Actor",
    "in": "header",
    "schema": TEXT,
    "description": "who asks, for the audit, which names the key too",
}
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "ftw_<id>_<secret>",
    "description": "an API key with the scope that the operation names, of `foretwin keys new`",
}


@dataclass(frozen=True)
class Way:
    """A route: its method and path, who answers, the query parameters, types and schema of the body that it takes.

    `scope` is what a key must have for it; without one it needs no key. `about` says how it keeps to a key's bounds.
    """

    method: str
    path: str
    scope: Scope | None
    about: About
    handler: Handler
    query: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    body: type[BaseModel] | None = None

    @property
    def operation(self) -> str:
        """Its name in the description, by which generated clients call it."""
        name = self.handler.__name__.lstrip("_")
        return f"{name}_csv" if self.path.endswith(".csv") else name


def describe_twin_api(ways: Sequence[Way]) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for way in ways:
        paths.setdefault(way.path, {})[way.method.lower()] = _operation(way, schemas)
    about = {"openapi": "3.1.0", "info": {"title": "Foretwin, the living twin", "version": __version__}}
    components = {"securitySchemes": {"key": BEARER}, "schemas": schemas}
    return {**about, "components": components, "paths": paths}


def _operation(way: Way, schemas: dict[str, Any]) -> dict[str, Any]:
    named = re.findall(r"{(\w+)}", way.path)
    parameters = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in named]
    parameters += [{"name": name, "in": "query", "schema": TEXT} for name in way.query]
    answered = dict([_answer(way, schemas)])
    refused = {"description": "refused: which `field`, and why", "content": {PROBLEM: {"schema": PROBLEM_SCHEMA}}}
    operation: dict[str, Any] = {
        "operationId": way.operation,
        "tags": [way.path.removeprefix("/v1/").strip("/").partition("/")[0]],
        "summary": (way.handler.__doc__ or "").partition(": ")[2] + (" As CSV." if way.path.endswith(".csv") else ""),
        "parameters": [*parameters, *([] if way.method == "GET" else [ACTOR])],
        "security": [{"key": [way.scope]}] if way.scope else [],
        "responses": {"200": {"description": "done", "content": answered}, "default": refused},
    }
    if way.accepts:
        schema = _schema(way.body, schemas) if way.body else {}
        content = {kind: {"schema": schema} if kind == "application/json" else {} for kind in way.accepts}
        operation["requestBody"] = {"required": way.body is not None or len(way.accepts) > 1, "content": content}
    return operation


def _answer(way: Way, schemas: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The type of an answer, with its schema."""
    if way.path in ANSWERS:
        kind, schema = ANSWERS[way.path]
        return kind, {"schema": schema}
    return "application/json", {"schema": _schema(BY_OPERATION[way.operation], schemas, "serialization")}


def _schema(model: type[BaseModel], schemas: dict[str, Any], mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    """The schema of a model; those that it refers to are added to the document's own."""
    schema = model.model_json_schema(ref_template=REFERENCE, mode=mode)
    schemas.update(schema.pop("$defs", {}))
    return schema
