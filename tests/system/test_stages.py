"""dvc.yaml against the code: DVC does not follow imports, so each stage must name what it reaches."""

import ast
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest
import yaml

from foretwin.serving.packaging.code import served_files

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
GRAPH = grimp.build_graph("foretwin", cache_dir=None)


def rooms(modules: Iterable[str]) -> set[str]:
    """The packages and modules directly under `foretwin` that hold these modules, as DVC is to name them."""
    places = {ROOT / "src" / Path(*module.split(".")[:2]) for module in modules if "." in module}
    return {str((place if place.is_dir() else place.with_suffix(".py")).relative_to(ROOT)) for place in places}


def reached(stage: str) -> set[str]:
    """Where everything of the product lies that the script of a stage imports, directly or through others."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / "pipelines" / f"{stage}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "foretwin":
            modules |= {node.module} | ({f"{node.module}.{alias.name}" for alias in node.names} & GRAPH.modules)
    return rooms(modules.union(*(GRAPH.find_upstream_modules(module) for module in modules)))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_packages_that_it_reaches(stage):
    listed = {path for path in STAGES[stage]["deps"] if path.startswith("src/")}
    want = reached(stage)
    if stage == "package":  # the Bento holds the service and what it imports
        src = ROOT / "src"
        served = [path for path in served_files(ROOT) if path.is_relative_to(src) and path.parent.name != "foretwin"]
        want |= rooms(".".join(path.relative_to(src).with_suffix("").parts) for path in served)
    assert listed == want, f"{stage}.deps: add {sorted(want - listed)}, remove {sorted(listed - want)}"
    assert f"pipelines/{stage}.py" in STAGES[stage]["deps"]


def test_each_stage_runs_the_script_of_its_name():
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python pipelines/{name}.py ${{item.twin}}"
        assert stage["matrix"] == {"twin": "${twins}"}
    assert {path.stem for path in (ROOT / "pipelines").glob("*.py")} == set(STAGES)
