"""dvc.yaml against the code: DVC does not follow imports, so each stage must name what it reaches."""

import ast
from pathlib import Path

import grimp
import pytest
import yaml

from foretwin.packaging.code import served_files

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
GRAPH = grimp.build_graph("foretwin", cache_dir=None)


def reached(stage: str) -> set[str]:
    """The script of a stage and every module of the product that it imports, directly or through others."""
    script = ROOT / "pipelines" / f"{stage}.py"
    modules: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "foretwin":
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {node.module} | (named & GRAPH.modules)
    modules |= {found for module in set(modules) for found in GRAPH.find_upstream_modules(module)}
    modules |= {module.rpartition(".")[0] for module in modules if module.count(".") > 1}  # a package's __init__
    paths = set()
    for module in modules - {"foretwin"}:
        path = ROOT / "src" / Path(*module.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        paths.add(str(file.relative_to(ROOT)))
    return paths | {f"pipelines/{stage}.py"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_modules_that_it_reaches(stage):
    listed = {path for path in STAGES[stage]["deps"] if path.endswith(".py")}
    want = reached(stage)
    if stage == "package":  # the Bento holds the service and what it imports
        want |= {str(path.relative_to(ROOT)) for path in served_files(ROOT)} - {"src/foretwin/__init__.py"}
    assert listed == want, f"{stage}.deps: add {sorted(want - listed)}, remove {sorted(listed - want)}"


def test_each_stage_runs_the_script_of_its_name():
    for name, stage in STAGES.items():
        assert stage["cmd"] == f"python pipelines/{name}.py ${{item.twin}}"
        assert stage["matrix"] == {"twin": "${twins}"}
