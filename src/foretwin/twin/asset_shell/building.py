"""Content and template together make submodel elements of aas-core3.0, an optional extra."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aas_core3 import types as aas

from foretwin.twin.asset_shell.content import Called, Content, Link, Thing
from foretwin.twin.asset_shell.published_template import Node, is_mandatory, node_named

ENGLISH = "en"
LONGEST_TEXT = 1023  # characters of a text with a language, by the standard
KEYS = {one.value: one for one in aas.KeyTypes}
REFERENCES = {one.value: one for one in aas.ReferenceTypes}
KINDS = {one.value: one for one in aas.AASSubmodelElements}
VALUE_TYPES = {one.value: one for one in aas.DataTypeDefXSD}


def build_submodel(node: Node, submodel_id: str, content: Content) -> aas.Submodel:
    """Return the submodel; what its template demands and nobody knows is there without a value."""
    return aas.Submodel(
        id=submodel_id,
        id_short=node["idShort"],
        kind=aas.ModellingKind.INSTANCE,
        semantic_id=reference(node["semanticId"]),
        submodel_elements=list(_elements(node, content, submodel_id)),
    )


def reference(node: Node) -> aas.Reference:
    """Return a reference as the template writes it."""
    keys = [aas.Key(KEYS[key["type"]], key["value"]) for key in node["keys"]]
    return aas.Reference(REFERENCES[node["type"]], keys)


def meaning_of(text: str) -> aas.Reference:
    """Return the reference to a meaning outside of the shell."""
    return aas.Reference(aas.ReferenceTypes.EXTERNAL_REFERENCE, [aas.Key(aas.KeyTypes.GLOBAL_REFERENCE, text)])


def in_english(text: str) -> list[aas.LangStringTextType]:
    """Return a text with its language; one that the standard calls too long ends with an ellipsis."""
    shown = text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
    return [aas.LangStringTextType(ENGLISH, shown)]


def _elements(node: Node, content: Mapping[str, Content], home: str) -> Iterator[aas.SubmodelElement]:
    """Yield the elements of a collection, entity or submodel: what is known, and what is demanded."""
    told = set()
    for name, one in content.items():
        example = one.example if isinstance(one, Called) else name
        child = node_named(node, example)
        told.add(child["idShort"])
        if one is not None or is_mandatory(child):
            yield _element(child, name, one, home)
    for child in node.get("elements", ()):
        if is_mandatory(child) and child["idShort"] not in told:
            yield _element(child, child["idShort"], None, home)


def _element(node: Node, id_short: str | None, content: Content, home: str) -> aas.SubmodelElement:
    """Return one element; `home` is the submodel's id."""
    called = content if isinstance(content, Called) else Called("", content)
    built = _BUILDERS[node["modelType"]](node, called, home)
    built.id_short = id_short
    if called.meaning:
        built.semantic_id = meaning_of(called.meaning)
    elif "semanticId" in node:
        built.semantic_id = reference(node["semanticId"])
    return built


def _property(node: Node, called: Called, _: str) -> aas.SubmodelElement:
    return aas.Property(VALUE_TYPES[called.value_type or node["valueType"]], value=_written(called.content))


def _text(_: Node, called: Called, __: str) -> aas.SubmodelElement:
    return aas.MultiLanguageProperty(value=in_english(called.content) if called.content else None)


def _range(node: Node, called: Called, _: str) -> aas.SubmodelElement:
    low, high = called.content or (None, None)
    return aas.Range(VALUE_TYPES[node["valueType"]], min=_written(low), max=_written(high))


def _collection(node: Node, called: Called, home: str) -> aas.SubmodelElement:
    return aas.SubmodelElementCollection(value=list(_elements(node, called.content or {}, home)) or None)


def _list(node: Node, called: Called, home: str) -> aas.SubmodelElement:
    (item,) = node["elements"]
    items: Sequence[Content] = called.content or ([None] if is_mandatory(item) else [])
    meaning = node.get("semanticIdListElement")
    return aas.SubmodelElementList(
        KINDS[node["typeValueListElement"]],
        semantic_id_list_element=reference(meaning) if meaning else None,
        value=[_element(item, None, one, home) for one in items] or None,
    )


def _entity(node: Node, called: Called, home: str) -> aas.SubmodelElement:
    """Return an entity; one that says which asset it is manages itself, whatever the template's example does."""
    thing = called.content if isinstance(called.content, Thing) else Thing(statements=called.content or {})
    serial = thing.serial_number
    return aas.Entity(
        aas.EntityType.SELF_MANAGED_ENTITY if thing.global_id or serial else aas.EntityType.CO_MANAGED_ENTITY,
        global_asset_id=thing.global_id,
        specific_asset_ids=[aas.SpecificAssetID("serialNumber", serial)] if serial else None,
        description=in_english(thing.description) if thing.description else None,
        statements=list(_elements(node, thing.statements, home)) or None,
    )


def _relationship(_: Node, called: Called, home: str) -> aas.SubmodelElement:
    link: Link = called.content
    return aas.RelationshipElement(_path(link.first, home), _path(link.second, home))


def _path(names: tuple[str, ...], home: str) -> aas.Reference:
    keys = [aas.Key(aas.KeyTypes.SUBMODEL, home), *(aas.Key(aas.KeyTypes.ENTITY, name) for name in names)]
    return aas.Reference(aas.ReferenceTypes.MODEL_REFERENCE, keys)


def _written(value: Any) -> str | None:
    """Return a value as XML Schema writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return None if value is None else repr(value) if isinstance(value, float) else str(value)


_BUILDERS = {
    "Property": _property,
    "MultiLanguageProperty": _text,
    "Range": _range,
    "SubmodelElementCollection": _collection,
    "SubmodelElementList": _list,
    "Entity": _entity,
    "RelationshipElement": _relationship,
}
