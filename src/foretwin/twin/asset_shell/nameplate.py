"""IDTA 02006-3-0-1, digital nameplate: from the serial number, and from tags with the elements' names."""

import re

from foretwin.twin.asset_shell.content import Called, Content, id_shorts
from foretwin.twin.asset_shell.machine_facts import MachineFacts

# Elements of the template that a tag of the machine may tell; the tag's name is the same in snake_case.
FROM_TAGS = (
    "ManufacturerName",
    "ManufacturerProductDesignation",
    "ManufacturerProductRoot",
    "ManufacturerProductFamily",
    "ManufacturerProductType",
    "OrderCodeOfManufacturer",
    "ProductArticleNumberOfManufacturer",
    "YearOfConstruction",
    "DateOfManufacture",
    "HardwareVersion",
    "FirmwareVersion",
    "SoftwareVersion",
    "CountryOfOrigin",
    "UniqueFacilityIdentifier",
)


def tag_of(element: str) -> str:
    """Return the name of the tag that tells an element: `order_code_of_manufacturer`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", element).lower()


def nameplate(facts: MachineFacts) -> Content:
    """Return what is known of the nameplate; other tags, twin and location are specific properties of the asset."""
    tags = facts.asset.tags
    told = {element: tags.get(tag_of(element)) for element in FROM_TAGS}
    used = {tag_of(element) for element in FROM_TAGS} | {"uri_of_the_product"}
    others = {"machine_type": facts.contract.title, "location": facts.asset.location or ""}
    others |= {name: value for name, value in tags.items() if name not in used}
    specific = [(name, Called("ArbitraryProperty", value)) for name, value in others.items() if value]
    names = id_shorts(name for name, _ in specific)
    return {
        "URIOfTheProduct": facts.global_id,
        "SerialNumber": facts.asset.serial_number,
        **told,
        "AssetSpecificProperties": dict(zip(names, (value for _, value in specific), strict=True)),
    }
