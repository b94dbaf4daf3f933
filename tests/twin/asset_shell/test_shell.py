"""A machine's asset administration shell against the templates that the IDTA published, and read by another library."""

import json
import re
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from basyx.aas import model as basyx
from basyx.aas.adapter.aasx import AASXReader, DictSupplementaryFileContainer
from basyx.aas.adapter.json import read_aas_json_file

from foretwin.errors import BadInput, Conflict
from foretwin.twin.asset_shell.content import id_shorts
from foretwin.twin.asset_shell.machine_facts import read_machine
from foretwin.twin.asset_shell.nameplate import FROM_TAGS, tag_of
from foretwin.twin.asset_shell.published_template import NUMBERS, published_template
from foretwin.twin.asset_shell.shell import shell_json, shell_package
from foretwin.twin.store import assets, open_store
from support.small_history import NOON, note_runs, open_case, readings_of, remember
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
HERE = "http://127.0.0.1:3100"
PAGE = Path(__file__).parents[3] / "docs" / "asset-shells.md"
TAGS = {"manufacturer_name": "Muster AG", "order_code_of_manufacturer": "P 7", "hall 7": "by the door"}
# Elements of a name of our own, by the meaning that the template's example has; a channel has a meaning of its own.
FREE = (
    "https://admin-shell.io/SMT/General/ArbitraryProp",
    "https://admin-shell.io/idta/HierarchicalStructures/Node/1/0",
)


def machine(store, name: str = "P-1"):
    with store.read() as connection:
        asset = assets.find_asset(connection, name)
        return read_machine(connection, TWIN, asset, HERE, NOON + timedelta(hours=1))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """P-1, of which everything is known that can be told, and P-2, which has only sent readings."""
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('shells')}/twins.db")
    remember(opened, TWIN, readings_of(TWIN, ["P-1", "P-2"]))
    note_runs(opened, readings_of(TWIN, ["P-1", "P-2"]))
    with opened.write() as connection:
        asset = assets.find_asset(connection, "P-1")
        assets.describe_asset(connection, asset, {"serial_number": "SN 7", "location": "hall 3", "tags": TAGS})
        assets.fit_part(connection, asset, "P-1", "B-9", "supplier A", NOON)
        assets.fit_part(connection, asset, "seal, left", None, None, NOON)
    open_case(opened, TWIN, "P-1", "mode.wear", 39)
    open_case(opened, TWIN, "P-1", "bearing.worn", 39)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shell(store):
    return shell_json(machine(store))


def submodel(shell: dict, number: str) -> dict:
    return next(one for one in shell["submodels"] if one["id"].endswith(f":submodel:{number}"))


def children(element: dict) -> list[dict]:
    value = element.get("value")
    return element.get("submodelElements") or element.get("statements") or (value if type(value) is list else []) or []


def meaning(element: dict) -> str:
    return element["semanticId"]["keys"][-1]["value"]


def check(element: dict, node: dict, place: str) -> int:
    """Hold an element and all within it against the template's; how many there were."""
    assert element["semanticId"] == node["semanticId"], place
    for name in ("modelType", "valueType", "typeValueListElement", "semanticIdListElement"):
        assert element.get(name) == node.get(name), (place, name)
    if element["modelType"] in ("MultiLanguageProperty", "Property", "Range"):
        return 1
    nodes, seen, count = {one.get("idShort"): one for one in node.get("elements", ())}, set(), 1
    for child in children(element):
        name = child.get("idShort")
        if meaning(child).startswith(
            "urn:foretwin:pump:channel:"
        ):  # what the template has examples of acceleration for
            assert (child["modelType"], child["valueType"]) == ("Property", "xs:double")
            assert name in TWIN.channels
            count += 1
            continue
        if meaning(child) in FREE:
            name = next(key for key, one in nodes.items() if meaning(one) == meaning(child))
        elif name is not None and name not in nodes:
            name = re.sub(r"\d{2,3}$", "", name)
        assert name in nodes, f"{place}/{name} is not in the template"
        seen.add(name)
        count += check(child, nodes[name], f"{place}/{name}")
    demanded = {name for name, one in nodes.items() if one["cardinality"].startswith("One")}
    assert demanded <= seen, (place, "lacks", demanded - seen)
    return count


@pytest.mark.parametrize("number", NUMBERS)
def test_every_element_has_name_meaning_and_type_of_the_published_template(shell, number):
    found, template = submodel(shell, number), published_template(number)["submodel"]
    assert found["kind"] == "Instance"
    assert found["idShort"] == template["idShort"]
    assert check(found, template, number) > {"02006": 7, "02008": 60, "02010": 25, "02011": 6, "02048": 30}[number]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_template_says_where_it_is_from_and_under_which_licence(number):
    template = published_template(number)
    assert template["template"].startswith(f"IDTA {number}-")
    assert template["source"].startswith("https://github.com/admin-shell-io/submodel-templates/blob/")
    assert "CC BY 4.0" in template["licence"]
    assert re.fullmatch(r"[0-9a-f]{64}", template["sha256"])


def test_another_library_reads_the_json_and_the_package(shell, store, tmp_path):
    (tmp_path / "p1.json").write_text(json.dumps(shell))
    with (tmp_path / "p1.json").open() as file:
        from_json = {one.id: one for one in read_aas_json_file(file, failsafe=False)}
    (tmp_path / "p1.aasx").write_bytes(shell_package(machine(store)))
    packed = basyx.DictIdentifiableStore()
    with AASXReader(str(tmp_path / "p1.aasx"), failsafe=False) as reader:
        reader.read_into(packed, DictSupplementaryFileContainer())
    assert (
        {one.id for one in packed}
        == set(from_json)
        == {
            "urn:foretwin:pump:P-1:shell",
            *(f"urn:foretwin:pump:P-1:submodel:{number}" for number in NUMBERS),
        }
    )
    (prediction,) = packed.get_item("urn:foretwin:pump:P-1:submodel:02048").submodel_element
    interval = prediction.get_referable("ConfidenceInterval")
    assert (interval.min, interval.max) == (30.0, 50.0)
    assert prediction.get_referable("RemainingUsefulLifetime").get_referable("DurationValue").value == 40.0
    alerts = prediction.get_referable("ListPreAlerts").value
    assert len(alerts) == 2
    assert {one.get_referable("PreAlertValue").value for one in alerts} == {2.0}
    parts = packed.get_item("urn:foretwin:pump:P-1:submodel:02011").get_referable("EntryNode").statement
    assert {one.id_short for one in parts} == {"P_1", "seal_left", "HasPart01", "HasPart02"}
    link = next(one for one in parts if one.id_short == "HasPart02")
    assert link.second.resolve(packed).id_short == "seal_left"


def test_the_newest_window_and_the_link_to_the_rest_are_those_of_the_store(shell):
    (segments,) = [one for one in submodel(shell, "02008")["submodelElements"] if one["idShort"] == "Segments"]
    linked, inner = ({one["idShort"]: one for one in segment["value"]} for segment in segments["value"])
    assert linked["Endpoint"]["value"] == f"{HERE}/v1/twins/P-1/readings"
    assert (linked["StartTime"]["value"], linked["EndTime"]["value"]) == ("0", str(39 * 3_600_000))
    rows = inner["Records"]["value"]
    assert int(inner["RecordCount"]["value"]) == len(rows) == TWIN.window.length
    last = {one["idShort"]: one["value"] for one in rows[-1]["value"]}
    sent = readings_of(TWIN, ["P-1", "P-2"]).iloc[39]
    assert int(last["Time"]) == 39 * 3_600_000
    assert [float(last[name]) for name in TWIN.channels] == [float(sent[name]) for name in TWIN.channels]


def test_of_a_machine_that_nobody_described_the_demanded_elements_are_there_without_a_value(store):
    bare = shell_json(machine(store, "P-2"))
    assert {one["id"].rpartition(":")[2] for one in bare["submodels"]} == {"02006", "02008"}
    plate = {one["idShort"]: one for one in submodel(bare, "02006")["submodelElements"]}
    check(submodel(bare, "02006"), published_template("02006")["submodel"], "02006")
    assert "value" not in plate["ManufacturerName"]
    assert "value" not in plate["OrderCodeOfManufacturer"]
    assert "SerialNumber" not in plate


def test_tags_tell_the_nameplate_and_the_rest_of_them_stays(shell):
    plate = {one["idShort"]: one.get("value") for one in submodel(shell, "02006")["submodelElements"]}
    assert plate["ManufacturerName"] == [{"language": "en", "text": "Muster AG"}]
    assert plate["OrderCodeOfManufacturer"] == "P 7"
    assert plate["SerialNumber"] == "SN 7"
    own = {one["idShort"]: one["value"] for one in plate["AssetSpecificProperties"]}
    assert own == {"machine_type": "Tiny pump", "location": "hall 3", "hall_7": "by the door"}


def test_a_text_that_the_standard_does_not_allow_is_told_with_its_place(store):
    with store.write() as connection:
        assets.register_assets(connection, "pump", ["P-3"], NOON)
        assets.describe_asset(connection, assets.find_asset(connection, "P-3"), {"serial_number": "bell \x07"})
    with pytest.raises(Conflict, match=r"P-3 has a text that AAS 3\.0 does not allow, at "):
        shell_json(machine(store, "P-3"))


def test_names_become_id_shorts_of_which_none_is_there_twice():
    assert id_shorts(["seal, left", "seal left", "7 bar", "größe"]) == ["seal_left", "seal_left__2", "x_7_bar", "gr_e"]


def test_the_page_maps_every_element_of_every_template():
    page = PAGE.read_text()
    told = set(re.findall(r"`([A-Z]\w+)`", page))

    def names(node):
        for one in node.get("elements", ()):
            yield from ([one["idShort"]] if "idShort" in one else [])
            yield from names(one)

    for number in NUMBERS:
        samples = {one for one in names(published_template(number)["submodel"]) if not one.startswith("sample")}
        assert samples <= told, (number, samples - told)
    assert all(f"`{tag_of(element)}`" in page for element in FROM_TAGS)


def test_without_the_extra_it_is_said_how_to_install_it(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "aas_core3", None)
    with pytest.raises(BadInput, match=r"pip install 'foretwin\[aas\]'"):
        shell_json(machine(store))
