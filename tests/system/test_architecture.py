"""The drawing in docs/architecture.md against the code: packages, layers, width of folders, names."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "foretwin"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = {one["containers"][0]: one["layers"] for one in CONTRACTS if one["type"] == "layers"}
MOST_MODULES = 14
MOST_LINES = 300
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "versions" not in path.parts)  # without Alembic's steps


# Modules of one name: each package tells which it is.
REPEATED = {
    "agenda": {"twin.api.plant", "twin.cases"},
    "app": {"serving.scoring", "twin.api"},
    "assets": {"lineage", "twin.store"},
    "audit": {"cli.operations", "twin.store.casework"},
    "bento": {"cli.models", "serving.packaging"},
    "call": {"serving.scoring.calls", "twin.api"},
    "cases": {"cli.cases", "twin.api", "twin.store.casework"},
    "champions": {"serving.packaging", "serving.scoring"},
    "erase": {"cli.twins", "twin.erasure"},
    "explain": {"cli.models", "serving.scoring"},
    "figures": {"cli.pipeline", "gate", "twin.kpis"},
    "files": {"project", "twin.connectors"},
    "fleet": {"cli.demo", "twin.simulator"},
    "history": {"cli.twins", "twin.store.telemetry", "twin.training_feedback"},
    "ingest": {"cli.twins", "twin.ingest"},
    "json": {"project", "wire"},
    "keys": {"cli.models", "serving.access"},
    "kpis": {"cli.twins", "twin.api.plant", "twin.store.scoring"},
    "labels": {"sources", "twin.training_feedback"},
    "ledger": {"champion", "cli.models"},
    "lineage": {"cli.models", "twin.store.scoring"},
    "metrics": {"", "serving.scoring"},
    "models": {"serving.scoring", "twin.api.plant"},
    "openapi": {"serving.scoring", "twin.api"},
    "page": {"twin.kpis", "twin.monitoring"},
    "profile": {"drift", "validation"},
    "quarantine": {"cli.twins", "twin.api.plant", "twin.store.telemetry"},
    "readings": {"twin.api", "twin.store.telemetry", "wire"},
    "restore": {"operations", "registry"},
    "retain": {"cli.retention", "twin.retention"},
    "rollback": {"cli.models", "registry"},
    "rules": {"twin.cases", "validation"},
    "score": {"cli.models", "serving.scoring"},
    "scores": {"drift", "twin.scoring", "twin.store.scoring"},
    "shadow": {"twin.scoring", "twin.store.scoring"},
    "shown": {"cli.demo", "twin.kpis"},
    "table": {"dataset", "sources"},
    "tables": {"cli", "twin.store", "wire"},
    "timeline": {"twin", "twin.store"},
    "twins": {"cli.twins", "twin.api"},
    "what_if": {"cli.cases", "twin.api", "twin.what_if"},
    "windows": {"dataset", "twin.store.telemetry"},
}


def spaces_removed(text: str) -> str:
    return " ".join(text.split())


def test_every_package_has_its_row():
    section = PAGE[PAGE.index("## The rooms") : PAGE.index("### The scoring service")]
    rows = set(re.findall(r"^\| `(\w+)/`", section, re.MULTILINE))
    assert rows == {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}


@pytest.mark.parametrize("container", ["foretwin", "foretwin.twin"])
def test_the_layers_on_the_page_are_those_that_import_linter_holds(container):
    assert " > ".join(LAYERS[container]) in spaces_removed(PAGE.replace("`", ""))


def test_no_folder_is_wide_and_no_module_long():
    count: defaultdict[Path, int] = defaultdict(int)
    for path in SOURCES:
        count[path.parent] += path.name != "__init__.py"
        assert len(path.read_text().splitlines()) <= MOST_LINES, f"{path.relative_to(ROOT)} is too long"
    assert {str(folder): modules for folder, modules in count.items() if modules > MOST_MODULES} == {}


def public(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node.name


def test_no_two_public_classes_or_functions_share_a_name():
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for name in public(path):
            places[name].append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_module_s_name_repeats_only_where_its_package_tells_it_apart():
    places: defaultdict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        if path.stem not in ("__init__", "__main__"):
            places[path.stem].add(".".join(path.relative_to(PACKAGE).parent.parts))
    assert {name: found for name, found in places.items() if len(found) > 1} == REPEATED


def asks_what_time_it_is(path: Path) -> bool:
    names = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    return bool(names & {"datetime.now", "time.time", "date.today"})


def constant(path: Path, name: str) -> Any:
    """The value that a module gives to a name."""
    assigned = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    return next(ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == name)


def test_quick_tests_that_ask_what_time_it_is_are_marked_as_dated():
    """So that they are tried on special days; the slow ones, which are not, have no need of the mark."""
    slow = {ROOT / "tests" / name for name in constant(ROOT / "tests/conftest.py", "SLOW")}
    quick = [path for path in ROOT.glob("tests/**/test_*.py") if not {path, *path.parents} & slow]
    unmarked = [path for path in quick if asks_what_time_it_is(path) and "mark.dated" not in path.read_text()]
    assert [str(path.relative_to(ROOT)) for path in unmarked] == []
