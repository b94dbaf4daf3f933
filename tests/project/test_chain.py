"""The copy by which a twin gets its stages."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML
from ruamel.yaml.parser import Parser

from foretwin.errors import ContractError
from foretwin.project.chain import COPIED, copy_and_build, copy_chain, dvc, stage
from support.tiny_bundle import REPOSITORY, tiny_twin


@pytest.fixture
def root(tmp_path) -> Path:
    """A project with a shared chain and a folder for one twin."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/chain.yaml").write_text("stages: {}\n")
    (tmp_path / "data/press").mkdir(parents=True)
    return tmp_path


def test_a_twin_s_dvc_yaml_is_the_shared_chain_with_its_name_beside_it(root):
    assert copy_chain(root, "press")
    assert (root / "data/press/dvc.yaml").read_text() == COPIED + "stages: {}\n"
    assert yaml.safe_load((root / "data/press/chain.yaml").read_text()) == {"twin": "press"}
    assert stage("press", "train") == "data/press/dvc.yaml:train"


def test_copying_again_changes_nothing(root):
    copy_chain(root, "press")
    before = (root / "data/press/chain.yaml").stat().st_mtime_ns
    assert not copy_chain(root, "press")
    assert (root / "data/press/chain.yaml").stat().st_mtime_ns == before


def test_a_chain_of_the_twin_s_own_is_kept(root):
    (root / "data/press/dvc.yaml").write_text("stages: {own: {cmd: 'true'}}\n")
    copy_chain(root, "press")
    assert "own" in (root / "data/press/dvc.yaml").read_text()


def test_a_link_of_before_becomes_a_copy(root):
    (root / "data/press/dvc.yaml").symlink_to("../../pipelines/chain.yaml")
    assert copy_chain(root, "press")
    assert (root / "data/press/dvc.yaml").read_text() == COPIED + "stages: {}\n"
    assert (root / "pipelines/chain.yaml").read_text() == "stages: {}\n"


def test_a_verdict_that_git_ignored_is_in_git_with_the_new_chain_and_the_times_are_not(root):
    ignored = root / "models/press/.gitignore"
    ignored.parent.mkdir(parents=True)
    ignored.write_text("/bundle\n/promotion.json\n/champion\n")
    copy_chain(root, "press")
    assert ignored.read_text() == "/bundle\n/timings.json\n/champion\n"


def test_a_name_without_a_contract_is_refused_and_gets_none(root):
    with pytest.raises(ContractError, match=r"data/press/twin.yaml: no such contract"):
        copy_and_build("press", root)
    assert not (root / "data/press/dvc.yaml").exists()


CHAIN = """
vars:
  - chain.yaml:twin
stages:
  raw:
    wdir: ../..
    cmd: mkdir -p models/${twin} && wc -c < data/${twin}/twin.yaml > models/${twin}/size
    deps: ["data/${twin}/twin.yaml"]
    outs: ["models/${twin}/size"]
  publish:
    wdir: ../..
    cmd: cp models/${twin}/size models/${twin}/published.json
    deps: ["models/${twin}/size"]
    outs: ["models/${twin}/published.json"]
"""


@pytest.fixture
def project(tmp_path) -> Path:
    """The project's own dvc.yaml over a chain of two small stages, of which one twin has its copy."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/chain.yaml").write_text(CHAIN)
    shutil.copy(REPOSITORY / "dvc.yaml", tmp_path)
    for twin in ("pump", "press", "fan"):
        (tmp_path / "data" / twin).mkdir(parents=True)
        contract = tiny_twin().model_dump(mode="json") | {"name": twin}
        (tmp_path / "data" / twin / "twin.yaml").write_text(yaml.safe_dump(contract))
    (tmp_path / "params.yaml").write_text("twins: [pump]\n")
    copy_chain(tmp_path, "pump")
    assert dvc(tmp_path, "init", "--no-scm", "--quiet").returncode == 0
    return tmp_path


def repro(project: Path, *targets: str, code: int = 0) -> list[str]:
    """The stages that ran."""
    done = dvc(project, "repro", *targets, shown=True)
    assert done.returncode == code, done.stdout
    return re.findall(r"Running stage '(.*)'", done.stdout)


def test_a_repro_builds_what_is_listed_and_nothing_twice(project):
    expected = ["chain@pump", "data/pump/dvc.yaml:publish", "data/pump/dvc.yaml:raw", "twin@pump"]
    assert sorted(repro(project)) == expected
    assert repro(project) == []
    assert not (project / "models/press").exists()
    assert sorted(path.parent.name for path in project.glob("data/*/dvc.lock")) == ["pump"]


def test_a_twin_listed_by_hand_gets_its_chain_and_is_built_by_the_same_repro(project):
    repro(project)
    (project / "params.yaml").write_text("twins: [pump, press]\n")
    assert [name for name in repro(project) if "pump" in name] == []
    assert (project / "models/press/published.json").exists()
    assert repro(project) == []
    contract = project / "data/press/twin.yaml"
    contract.write_text(contract.read_text() + "# looked through\n")
    assert "data/press/dvc.yaml:publish" in repro(project)


def test_a_shared_chain_that_was_edited_is_copied_and_the_next_repro_follows_it(project):
    repro(project)
    shared = project / "pipelines/chain.yaml"
    shared.write_text(shared.read_text().replace("wc -c", "wc -l"))
    done = dvc(project, "repro", shown=True)
    assert done.returncode
    assert "pipelines/chain.yaml: has changed, and data/pump/dvc.yaml with it now; run `dvc repro` again" in done.stdout
    assert "data/pump/dvc.yaml:raw" in repro(project)
    assert repro(project) == []


def test_figures_of_a_commit_are_found(project):
    """`dvc metrics diff` reads the chain of the commit, where DVC would not follow a link."""
    chain = (project / "pipelines/chain.yaml").read_text()
    figures = '    metrics: [{"models/${twin}/size": {cache: false}}]'
    (project / "pipelines/chain.yaml").write_text(chain.replace('    outs: ["models/${twin}/size"]', figures))
    shutil.rmtree(project / ".dvc")
    copy_chain(project, "pump")
    for words in (("init", "-q"), ("config", "user.email", "a@b.example"), ("config", "user.name", "A")):
        subprocess.run(["git", *words], cwd=project, check=True)
    assert dvc(project, "init", "--quiet").returncode == 0
    repro(project)
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    subprocess.run(["git", "commit", "-qm", "Built"], cwd=project, check=True)
    assert dvc(project, "metrics", "diff").stdout.strip() == ""
    size = project / "models/pump/size"
    before = int(size.read_text())
    size.write_text(f"{before + 7}\n")
    told = dvc(project, "metrics", "diff").stdout.split()
    assert told[-3:] == [str(before), str(before + 7), "7"]


def test_a_listed_name_without_a_contract_stops_the_repro_with_its_reason(project):
    (project / "params.yaml").write_text("twins: [mill]\n")
    done = dvc(project, "repro", shown=True)
    assert done.returncode
    assert "data/mill/twin.yaml: no such contract; run `foretwin new NAME FILE`" in done.stdout


def test_one_twin_is_built_without_reading_the_others(project):
    """The others' stages would not even load."""
    copy_chain(project, "fan")
    (project / "data/fan/chain.yaml").write_text("{")
    assert repro(project, code=255) == []
    expected = ["data/pump/dvc.yaml:raw", "data/pump/dvc.yaml:publish"]
    assert repro(project, "--single-item", "data/pump/dvc.yaml") == expected
    assert repro(project, "--single-item", "data/pump/dvc.yaml") == []


def test_the_lock_of_the_layout_before_does_no_harm(project):
    stage_of_then = {"cmd": "python pipelines/forward.py pump", "outs": [{"path": "models/pump/size", "md5": 32 * "0"}]}
    lock = {"schema": "2.0", "stages": {"forward@pump": stage_of_then, "publish@pump": stage_of_then}}
    (project / "dvc.lock").write_text(yaml.safe_dump(lock))
    assert len(repro(project)) == 4
    assert repro(project) == []


def test_dvc_reads_its_files_in_c():
    assert YAML(typ="safe").Parser is not Parser  # the one in Python, which DVC has to take without ruamel.yaml.clib
