"""The worked examples of docs/worked-examples.md: what is typed for each, and that no code knows their files."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.render.examples import PAGE, render_examples
from benchmarks.worked_examples import load_examples, run_example, start_project
from foretwin.contract.twin import Twin, load_twin
from foretwin.project.paths import Paths
from foretwin.sources import adapt as adapted
from foretwin.sources import fetch as fetched
from foretwin.validation.scaffold.draft import draft_contract
from pipelines import adapt, fetch, prepare, validate
from support.archives import ROOT, archives
from support.commands import foretwin

EXAMPLES = load_examples()
TO_THE_GATE = "cells"  # the cheapest of those with labels
# Minutes together; `make examples` goes through all, to the gate, and its report is on the page.
TOO_LARGE = ("spectra", "gearbox", "refinery", "drives", "reactor", "wind", "line", "mill")
MOST_EDITED = 10


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Path:
    """A project begun as a user begins one, with the folder of the official files set."""
    folder = tmp_path_factory.mktemp("plant")
    before = os.environ.get("FORETWIN_DATASETS")
    os.environ["FORETWIN_DATASETS"] = str(archives(*(example.files for example in EXAMPLES.values())))
    start_project(folder)
    yield folder
    if before is None:
        del os.environ["FORETWIN_DATASETS"]


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in (TO_THE_GATE, *TOO_LARGE)])
def test_an_example_is_typed_and_its_rows_are_valid(plant, name, monkeypatch):
    monkeypatch.chdir(plant)
    example = EXAMPLES[name]
    assert example.edited_lines <= MOST_EDITED
    for step in ("new", "edit"):
        command = example.commands().get(step)
        if command is not None:
            words = [os.path.expandvars(word) for word in shlex.split(command)]
            if step == "new":
                assert foretwin(*words[1:]).exit_code == 0
            else:
                subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    for stage in (fetch, adapt, validate, prepare):
        stage.main(name, Path())
    splits = json.loads((plant / "data" / name / "windows" / "splits.json").read_text())
    assert {fold < 0 for fold in splits.values()} == {True, False}


def test_an_example_reaches_the_gates_verdict(plant):
    verdict = run_example(EXAMPLES[TO_THE_GATE], plant)["verdict"]
    assert isinstance(verdict["promoted"], bool)
    assert verdict["reasons"]


def test_the_page_is_what_its_files_say():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert page == render_examples(ROOT), "run make docs"
    for example in EXAMPLES.values():
        assert f"foretwin new {example.name} $FORETWIN_DATASETS/{example.files}" in page
        assert example.edited_lines <= MOST_EDITED


def test_no_code_names_a_file_of_the_examples():
    words = {part for example in EXAMPLES.values() for part in re.split(r"[/.]", example.files.lower())}
    words |= set(re.findall(r"\[([\w ]+)\]\(http", " ".join(example.source for example in EXAMPLES.values()).lower()))
    words -= {"csv", "gz", "zip", "init", "tep"}  # the last is a part of many words, and is looked for by itself
    code = [path for folder in ("src", "pipelines", "serving", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert len(code) > 100
    named = {ROOT / "benchmarks" / folder for folder in ("accuracy", "render")}  # whose figures are of a data set
    for path in code:
        if named.intersection(path.parents):
            continue
        text = path.read_text(encoding="utf-8").lower()
        assert [word for word in words if word in text] == [], path
        assert not re.search(r"\btep\b|tennessee", text), path


def rows_of(file: Path, folder: Path, **replaced: str) -> tuple[Twin, pd.DataFrame]:
    """What `foretwin new` and the stages make of a file, with questions of the contract answered."""
    paths = Paths(folder, "mine")
    paths.raw.mkdir(parents=True)
    text = draft_contract("mine", file).text
    for old, new in replaced.items():
        text = text.replace(old, new)
    paths.contract.write_text(text, encoding="utf-8")
    contract = load_twin(paths.contract)
    fetched(contract, paths, paths.raw)
    return contract, adapted(contract, paths.raw)


def altered(lines: list[str], before: int, old: str, new: str, names: dict[str, str] | None) -> list[str]:
    """The table of these lines with its columns renamed, another separator, and its rows in another order.

    `before` lines precede the header; the lines of units below it, if there are any, are named `units`.
    """
    head, header, rows = lines[:before], lines[before].split(old), lines[before + 1 :]
    below = [row for row in rows if not any(char.isdigit() for char in row)]
    body = [row for row in rows if row not in below]
    order = np.random.default_rng(5).permutation(len(body))
    renamed = [(names or {}).get(name, f"c{number}") for number, name in enumerate(header)]
    return head + [new.join(row.split(old)) for row in [old.join(renamed), *below, *(body[place] for place in order)]]


@pytest.mark.parametrize(
    ("files", "before", "old", "new", "names"),
    [
        ("ai4i2020/ai4i2020.csv", 0, ",", ";", None),
        ("nab_machine/machine_temperature_system_failure.csv", 0, ",", "\t", None),
        ("awkward_exports/smard_lu_2024_excerpt_dst_weeks.csv", 0, ";", "\t", None),
        ("awkward_exports/campbell_scientific_demo_data1.csv", 1, ",", ";", None),
        ("process_petrobras/real_process_data.csv", 0, ",", "|", None),
        (
            *("awkward_exports/derived_long_format_from_process_petrobras.csv", 0, ";", ","),
            {"tag": "Messstelle", "value": "Wert"},
        ),
    ],
)
def test_other_names_another_separator_and_another_order_give_the_same_rows(tmp_path, files, before, old, new, names):
    lines = (archives(files) / files).read_text(encoding="utf-8-sig").splitlines()[:400]
    for name, text in {"own": lines, "other": altered(lines, before, old, new, names)}.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(text) + "\n", encoding="utf-8")
    answers = {'"ask"': "day_first"}
    contract, rows = rows_of(tmp_path / "own.csv", tmp_path / "one", **answers)
    twin, others = rows_of(tmp_path / "other.csv", tmp_path / "two", **answers)
    assert len(contract.channel_names) == len(twin.channel_names)
    assert len(contract.axes) == len(twin.axes)
    first = rows.sort_values(["asset", "time"], kind="stable")
    second = others.sort_values(["asset", "time"], kind="stable")
    if contract.source.single_asset is None:
        assert first["asset"].tolist() == second["asset"].tolist()
    np.testing.assert_array_equal(first["time"], second["time"])
    for name, other in zip(contract.channel_names, twin.channel_names, strict=True):
        np.testing.assert_array_equal(first[name], second[other], err_msg=name)
    for name, other in zip(contract.axes, twin.axes, strict=True):
        np.testing.assert_array_equal(first[f"fault_{name}"], second[f"fault_{other}"], err_msg=name)
