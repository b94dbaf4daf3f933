"""The chain of stages against the code: DVC does not follow imports, so each stage must name what it reaches."""

import ast
import shlex
from collections.abc import Iterable
from pathlib import Path

import grimp
import pytest
import yaml

from foretwin.project.chain import COPIED
from foretwin.project.entrypoint import KERNELS
from foretwin.serving.packaging.code import served_files

ROOT = Path(__file__).parents[2]
CHAIN = yaml.safe_load((ROOT / "pipelines/chain.yaml").read_text())
STAGES = CHAIN["stages"]
ALWAYS = {name for name, stage in STAGES.items() if stage.get("always_changed")}
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


@pytest.mark.parametrize("stage", sorted(set(STAGES) - ALWAYS))
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
        assert stage["cmd"] == f"${{python}} pipelines/{name}.py ${{twin}}"
        assert stage["wdir"] == "../.."
    assert {path.stem for path in (ROOT / "pipelines").glob("*.py")} == set(STAGES)


def test_the_stages_and_the_benchmark_ask_for_the_same_kernels():
    (python,) = (one["python"] for one in CHAIN["vars"] if isinstance(one, dict))
    command, *words = shlex.split(python)
    assert (command, words[-1]) == ("env", "python")
    assert dict(word.split("=") for word in words[1:-1]) == KERNELS


def test_only_the_stages_that_look_outside_the_project_always_run_and_they_list_no_code():
    assert {"fetch", "publish"} == ALWAYS
    assert not [path for name in ALWAYS for path in STAGES[name]["deps"] if path.startswith(("src/", "pipelines/"))]


def test_the_stages_stand_in_the_order_in_which_they_need_each_other():
    """`dvc repro --single-item data/pump/dvc.yaml` runs them as they stand."""
    made: list[str] = []
    later = [name_of(out) for stage in STAGES.values() for out in outputs(stage)]
    for stage in STAGES.values():
        needed = [path for path in stage["deps"] if any(path.startswith(out) for out in later)]
        assert [path for path in needed if not any(path.startswith(out) for out in made)] == []
        made += [name_of(out) for out in outputs(stage)]


def outputs(stage: dict) -> list:
    return [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]


def name_of(out: str | dict) -> str:
    return out if isinstance(out, str) else next(iter(out))


def test_each_twin_has_a_copy_of_the_shared_chain_and_its_own_name():
    copies = sorted(ROOT.glob("data/*/dvc.yaml"))
    assert copies
    for copy in copies:
        assert copy.read_text() == COPIED + (ROOT / "pipelines/chain.yaml").read_text()
        assert yaml.safe_load((copy.parent / "chain.yaml").read_text()) == {"twin": copy.parent.name}
