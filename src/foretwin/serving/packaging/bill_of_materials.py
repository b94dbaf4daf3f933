"""Software bill of materials of a Bento and of an installation: CycloneDX 1.6, reproducible to the byte."""

import json
import uuid
from collections.abc import Sequence
from importlib.metadata import distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from foretwin import __version__
from foretwin.champion.champion import Packaged
from foretwin.serving.packaging.libraries import REQUIREMENTS, Library, closure

NAME = "sbom.cdx.json"
APPLICATION = "foretwin"


def installed_bill() -> str:
    """Return Foretwin as it is installed here, with every library that it may need: what an image of the twin holds."""
    wanted = [Requirement(text) for text in distribution(APPLICATION).requires or ()]
    own = [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return bill_of_materials([], closure(own), [canonicalize_name(name) for name in own])


def bill_of_materials(
    champions: Sequence[Packaged], libraries: Sequence[Library], direct: Sequence[str] = REQUIREMENTS
) -> str:
    """Return Foretwin, its models and libraries with their dependencies, as JSON; `direct` are those that it imports.

    There is no time in it and its serial number is derived from its content: a Bento's tag is, too.
    """
    models = [_model(champion) for champion in champions]
    references = {library.name: _purl(library) for library in libraries}
    own = [references[name] for name in direct] + [model["bom-ref"] for model in models]
    needs = [
        {"ref": references[library.name], "dependsOn": [references[name] for name in library.needs]}
        for library in libraries
    ]
    content = {
        "metadata": {"component": _application()},
        "components": models + [_library(library) for library in libraries],
        "dependencies": [{"ref": APPLICATION, "dependsOn": own}, *needs],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(content, sort_keys=True))
    head = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
    }
    return json.dumps(head | content, indent=1) + "\n"


def _application() -> dict[str, Any]:
    return {
        "type": "application",
        "bom-ref": APPLICATION,
        "name": "foretwin",
        "version": __version__,
        "licenses": [{"expression": "Apache-2.0"}],
    }


def _library(library: Library) -> dict[str, Any]:
    component = {
        "type": "library",
        "bom-ref": _purl(library),
        "name": library.name,
        "version": library.version,
        "purl": _purl(library),
    }
    if library.licence is None:
        return component
    licence = {"expression": library.licence} if library.spdx else {"license": {"name": library.licence}}
    return component | {"licenses": [licence]}


def _model(champion: Packaged) -> dict[str, Any]:
    """Describe a model; its hash is the digest of its bundle, that is of manifest.json, which lists all other files."""
    identity = champion.identity
    manifest = json.loads((champion.folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    known = {"twin": champion.twin, "run": identity.run, "contract": manifest["contract"]}
    return {
        "type": "machine-learning-model",
        "bom-ref": champion.tag,
        "name": identity.name,
        "version": identity.version,
        "hashes": [{"alg": "SHA-256", "content": identity.digest}],
        "properties": [{"name": f"foretwin:{name}", "value": value} for name, value in known.items()],
    }


def _purl(library: Library) -> str:
    return f"pkg:pypi/{library.name}@{library.version}"
