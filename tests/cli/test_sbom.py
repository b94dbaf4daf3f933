"""The bill of materials of an installation lists all that Foretwin needs, and who needs whom."""

import json
from importlib.metadata import version

from foretwin.serving.packaging.bill_of_materials import APPLICATION
from support.commands import foretwin


def test_the_bill_lists_what_the_living_twin_needs_with_versions():
    said = foretwin("sbom")
    assert said.exit_code == 0, said.output
    bill = json.loads(said.stdout)
    listed = {one["name"]: one["version"] for one in bill["components"]}
    for name in ("sqlalchemy", "paho-mqtt", "onnxruntime", "alembic"):
        assert listed[name] == version(name)
    known = {one["bom-ref"] for one in bill["components"]} | {APPLICATION}
    needs = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert {name for names in needs.values() for name in names} <= known
    assert any(name.startswith("pkg:pypi/sqlalchemy@") for name in needs[APPLICATION])
    assert foretwin("sbom").stdout == said.stdout
    assert "pytest" not in listed, "what only developers need is in no image"
