"""GET /openapi.json: OpenAPI 3.1 document, generated from the contracts of the served twins."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from foretwin import __version__
from foretwin.champion.champion import Champion
from foretwin.serving.http.limits import Limits
from foretwin.serving.http.problems import PROBLEM
from foretwin.serving.scoring.schemas import (
    PROBLEM_SCHEMA,
    TEXT,
    Schema,
    answer_columns,
    answer_schema,
    call_schema,
    example_call,
    explanation_schema,
    models_schema,
    record_schema,
    table_columns,
)
from foretwin.serving.scoring.state import Service
from foretwin.wire.tables import ARROW, JSON, PARQUET

BINARY: Schema = {"type": "string", "format": "binary"}
REFUSALS = {
    "400": "the body is not what its Content-Type says, or came incomplete",
    "401": "nobody is known by the key; or there is none",
    "403": "the key lacks the scope or is bound to others; or, without keys, the call came from another machine",
    "404": "no such twin is known here",
    "406": "there is no answer in a form that Accept asks for",
    "408": "the body did not arrive in time",
    "409": "the twin has no champion yet, or its champion was refused",
    "413": "more bytes or rows than one call may have: send several",
    "415": "the body has another media type, or is compressed",
    "422": "a value breaks the contract: `field` says which",
    "429": "the key has called too often",
    "500": "the service failed; its log says why",
    "503": "the service cannot answer just now",
}
OF_KEYS = ("401", "403", "429")
OF_BODIES = ("400", "404", "406", "408", "409", "413", "415", "422", "500")
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "s until the call may be made again"}}
REQUEST_ID = {
    "X-Request-ID": {
        "schema": TEXT,
        "description": "the id of the call: its own where it had one of 1 to 64 of A-Z a-z 0-9 . _ -, else a new one",
    }
}

Document = dict[str, Any]


async def get_openapi(request: Request) -> Response:
    """GET /openapi.json: the service as OpenAPI 3.1, with a call for each twin that works when it is pasted."""
    service: Service = request.app.state.service
    champions = service.champions.all()
    kept = getattr(request.app.state, "openapi", None)
    if kept is None or kept[0] is not champions:
        document = describe_scoring_api(champions, service.limits, needs_key=not service.guard.is_open)
        kept = request.app.state.openapi = (champions, orjson.dumps(document))
    return Response(kept[1], media_type=JSON)


def describe_scoring_api(champions: Mapping[str, Champion], limits: Limits, needs_key: bool = True) -> Document:
    """Return the document: routes, bodies and answers of each twin, errors, and how a key is sent."""
    components: Document = {
        "schemas": _schemas(champions, limits),
        "responses": {status: _refusal(status) for status in REFUSALS},
    }
    if needs_key:
        about = "an API key, ftw_<id>_<secret>; `foretwin keys new` makes one"
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": about}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Foretwin", "version": __version__, "description": _about(champions)},
        "servers": [{"url": "/"}],
        "paths": _paths(champions, needs_key),
        "components": components,
    }


def _about(champions: Mapping[str, Champion]) -> str:
    twins = ", ".join(f"{name} ({champion.bundle.contract.title})" for name, champion in champions.items())
    return f"Remaining useful life and faults of machines from their sensor readings. Twins: {twins or 'none yet'}."


def _schemas(champions: Mapping[str, Champion], limits: Limits) -> dict[str, Schema]:
    schemas = {"Problem": PROBLEM_SCHEMA, "Models": models_schema()}
    for twin, champion in champions.items():
        contract = champion.bundle.contract
        schemas[f"{twin}.call"] = call_schema(contract, limits)
        schemas[f"{twin}.explained-call"] = call_schema(contract, limits, most_assets=1)
        schemas[f"{twin}.answer"] = answer_schema(champion)
        schemas[f"{twin}.explanation"] = explanation_schema(champion)
    return schemas


def _paths(champions: Mapping[str, Champion], needs_key: bool) -> Document:
    """Return every route; those without a key come last."""
    security: Document = {"security": [{"key": []}]} if needs_key else {}
    health = record_schema(
        {"status": TEXT, "champions": {"type": "object", "additionalProperties": TEXT}}, ("champions",)
    )
    index = record_schema({"service": TEXT, "version": TEXT, "routes": {"type": "array", "items": TEXT}})
    public = {
        "/": ("where to go from here", JSON, index, ()),
        "/openapi.json": ("this document", JSON, {"type": "object"}, ()),
        "/livez": ("whether the process answers", JSON, health, ()),
        "/readyz": ("whether a champion answers, with the version of each", JSON, health, ("503",)),
        "/metrics": ("what Prometheus scrapes", "text/plain", TEXT, ()),
    }
    of_callers = OF_KEYS if needs_key else ("403",)
    refusals = OF_BODIES + of_callers
    return {
        "/v1/score": {"post": {**_scoring(champions, refusals), **security}},
        "/v1/explain": {"post": {**_explaining(champions, (*refusals, "503")), **security}},
        "/v1/models": {
            "get": {
                "operationId": "models",
                "summary": "which champion answers for each twin, how good it is, and what it wants to know",
                "responses": _responses({JSON: {"schema": _reference("Models")}}, of_callers),
                **security,
            }
        },
        **{
            path: {"get": {"summary": about, "responses": _responses({kind: {"schema": schema}}, more)}}
            for path, (about, kind, schema, more) in public.items()
        },
    }


def _scoring(champions: Mapping[str, Champion], refusals: tuple[str, ...]) -> Document:
    contracts = {twin: champion.bundle.contract for twin, champion in champions.items()}
    sent = "; ".join(f"for {twin}: {table_columns(contract)}" for twin, contract in contracts.items())
    answered = "; ".join(f"for {twin}: {answer_columns(contract)}" for twin, contract in contracts.items())
    rows = "the rows of an asset stand together, in order of time"
    table = {"schema": {**BINARY, "description": f"a table with the columns, {sent}; {rows}"}}
    scores = f"a table with the columns, {answered}; its metadata `foretwin` has the model as JSON"
    return {
        "operationId": "score",
        "summary": "the rows of each asset in, one score per asset out, for its last time",
        "parameters": [
            {
                "name": "twin",
                "in": "query",
                "schema": TEXT,
                "description": "needed beside a table; JSON names its twin itself",
                "examples": {twin: {"value": twin} for twin in champions},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {JSON: _calls(champions, "call"), ARROW: table, PARQUET: table},
        },
        "responses": _responses(
            {
                JSON: {"schema": _one_of(champions, "answer")},
                ARROW: {"schema": {**BINARY, "description": scores}},
                PARQUET: {"schema": {**BINARY, "description": scores}},
            },
            refusals,
        ),
    }


def _explaining(champions: Mapping[str, Champion], refusals: tuple[str, ...]) -> Document:
    return {
        "operationId": "explain",
        "summary": "what each channel contributes to the score of one asset",
        "requestBody": {"required": True, "content": {JSON: _calls(champions, "explained-call")}},
        "responses": _responses({JSON: {"schema": _one_of(champions, "explanation")}}, refusals),
    }


def _calls(champions: Mapping[str, Champion], kind: str) -> Document:
    """Return the JSON bodies of a call, told apart by twin, with an example of each."""
    schema = _one_of(champions, kind)
    if champions:
        mapping = {twin: f"#/components/schemas/{twin}.{kind}" for twin in champions}
        schema["discriminator"] = {"propertyName": "twin", "mapping": mapping}
    examples = {
        twin: {"summary": champion.bundle.contract.title, "value": example_call(champion.bundle)}
        for twin, champion in champions.items()
    }
    return {"schema": schema, "examples": examples}


def _one_of(champions: Mapping[str, Champion], kind: str) -> Schema:
    if not champions:
        return {"type": "object", "description": "no twin is served yet"}
    return {"oneOf": [_reference(f"{twin}.{kind}") for twin in champions]}


def _responses(content: Document, refusals: tuple[str, ...]) -> Document:
    answered = {"description": "answered", "headers": REQUEST_ID, "content": content}
    return {"200": answered, **{status: {"$ref": f"#/components/responses/{status}"} for status in sorted(refusals)}}


def _refusal(status: str) -> Document:
    headers = REQUEST_ID | (RETRY_AFTER if status in ("429", "503") else {})
    return {
        "description": REFUSALS[status],
        "headers": headers,
        "content": {PROBLEM: {"schema": _reference("Problem")}},
    }


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
