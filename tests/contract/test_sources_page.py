"""The page on sources, data/README.md: every example is a valid contract, and every field has one."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from foretwin.contract.source import LabelSpans, Source, TableFault
from foretwin.contract.source.side_tables import AssetTable, EventLog, FailureLog, FileSource, MaintenanceLog
from foretwin.contract.twin import Twin

PAGE = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
SOURCES = [example["source"] for example in EXAMPLES if "source" in example]
KINDS: tuple[type[BaseModel], ...] = get_args(get_args(Source)[0])


def contract_of(example: dict) -> Twin:
    """The smallest contract that the example can be part of."""
    remedy = {"part": "P-1", "instruction": "replace it", "lead_time": 0}
    source = example.get("source", {"kind": "pump", "assets": 3, "seed": 1})
    faults = {
        axis: {"title": axis, "classes": {"healthy": None} | dict.fromkeys(classes_of(fault) - {"healthy"}, remedy)}
        for axis, fault in source.get("faults", {}).items()
    }
    beside = source if source["kind"] == "table" else {}
    failures = beside.get("failures", {})
    if "axis" in failures:
        modes = failures["values"].values()
        faults[failures["axis"]] = {"title": "axis", "classes": {"healthy": None} | dict.fromkeys(modes, remedy)}
    names = {
        "force",
        *source.get("columns", {}),
        *source.get("rates", []),
        *beside.get("events", {}).get("counts", {}),
        *beside.get("events", {}).get("since", {}),
        *beside.get("assets", {}).get("columns", {}),
        *example.get("quality", {}).get("allow", []),
    }
    channels = {name: {"unit": "1", "role": "sensor", "min": 0, "max": 1} for name in sorted(names)}
    content = {"name": "press", "title": "Press", "clock": {"unit": "h", "step": 1}, "window": {"length": 8}}
    content |= {"channels": channels, "faults": faults, "rul": {"cap": 100, "remedy": remedy}}
    return Twin.model_validate(content | example | {"source": source})


def classes_of(fault: dict) -> set[str]:
    means = fault.get("spans", {}).get("means")
    return {*fault.get("values", {}).values(), *fault.get("flags", {}).values(), *([means] if means else [])}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: next(iter(example.values())).get("kind", "quality"))
def test_every_example_is_part_of_a_contract(example):
    assert contract_of(example).name == "press"


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model.__name__)
def test_every_field_of_every_kind_has_an_example(model):
    kind = get_args(model.model_fields["kind"].annotation)[0]
    shown = {field for source in SOURCES if source["kind"] == kind for field in source}
    assert shown == set(model.model_fields)


def test_every_field_of_a_fault_axis_has_an_example():
    shown = {field for source in SOURCES for fault in source.get("faults", {}).values() for field in fault}
    assert shown == set(TableFault.model_fields)


def test_every_field_of_spans_of_labels_has_an_example():
    faults = [fault for source in SOURCES for fault in source.get("faults", {}).values()]
    assert {field for fault in faults for field in fault.get("spans", {})} == set(LabelSpans.model_fields)


@pytest.mark.parametrize("field", ["failures", "maintenance", "events", "assets"])
def test_every_field_of_a_table_beside_the_readings_has_an_example(field):
    model = {"failures": FailureLog, "maintenance": MaintenanceLog, "events": EventLog, "assets": AssetTable}[field]
    shown = {name for source in SOURCES if source["kind"] == "table" for name in source.get(field, {})}
    assert set(model.model_fields) - set(FileSource.model_fields) <= shown
