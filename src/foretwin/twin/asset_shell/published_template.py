"""The published submodel templates of the IDTA: names, types and meanings, from `templates/`, where their source is."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import orjson

Number = Literal["02006", "02008", "02010", "02011", "02048"]
NUMBERS: tuple[Number, ...] = ("02006", "02008", "02010", "02011", "02048")
Node = Mapping[str, Any]
COUNTER = re.compile(r"\d{2,3}$")  # behind the name of an element that may be there several times


@cache
def published_template(number: Number) -> Node:
    """Return the file of one template: source, version, licence, and the tree of its elements."""
    found: Node = orjson.loads((files(__package__) / "templates" / f"idta-{number}.json").read_bytes())
    return found


def node_named(parent: Node, id_short: str) -> Node:
    """Return the element of that name in a collection, entity or submodel; `Name01` is the first of several `Name`.

    KeyError where the template has none.
    """
    elements: dict[Any, Node] = {node.get("idShort"): node for node in parent.get("elements", ())}
    if id_short in elements:
        return elements[id_short]
    name = COUNTER.sub("", id_short)
    if name in elements:
        return elements[name]
    raise KeyError(f"{parent.get('idShort')} has no element {id_short}")


def is_mandatory(node: Node) -> bool:
    """Whether it must be there at least once."""
    return str(node.get("cardinality", "")).startswith("One")
