"""Whether an answer is as the OpenAPI document of its service describes it."""

from jsonschema import Draft202012Validator


def assert_as_described(document: dict, method: str, path: str, answer) -> None:
    """The answer keeps to the schema of its operation, and has nothing that the schema does not name."""
    operation = document["paths"][path][method.lower()]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": document["components"]}
    faults = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(answer)]
    assert not faults, (operation["operationId"], faults)
    assert not [*_undeclared(answer, schema, document, "$")], operation["operationId"]


def _undeclared(value, schema: dict, document: dict, place: str):
    for one in _choices(schema, document):
        if isinstance(value, list) and "items" in one:
            for i, item in enumerate(value):
                yield from _undeclared(item, one["items"], document, f"{place}[{i}]")
        if isinstance(value, dict) and "properties" in one:
            if not one.get("additionalProperties"):
                yield from (f"{place}.{name}" for name in value if name not in one["properties"])
            for name in value.keys() & one["properties"].keys():
                yield from _undeclared(value[name], one["properties"][name], document, f"{place}.{name}")


def _choices(schema: dict, document: dict) -> list[dict]:
    if "$ref" in schema:
        return _choices(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    return [one for choice in schema.get("anyOf", []) for one in _choices(choice, document)] or [schema]
