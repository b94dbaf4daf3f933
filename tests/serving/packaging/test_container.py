"""The Dockerfile that `bentoml containerize` builds, as far as it can be tried without an engine."""

import json
import re
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest

from support.packed_project import exported, packed
from support.tiny_bundle import environment

HADOLINT = Path(sys.executable).parent / "hadolint"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    return root, packed(root)


@pytest.fixture(scope="module")
def dockerfile(project):
    """What BentoML gives to the engine; it renders it in the folder of temporary files, and in no other works."""
    root, tag = project
    script = "import sys; from bentoml.container import get_containerfile; get_containerfile(sys.argv[1], sys.argv[2])"
    path = root / "Dockerfile"
    subprocess.run([sys.executable, "-c", script, tag, str(path)], env=environment(root), cwd=gettempdir(), check=True)
    return path


@pytest.fixture(scope="module")
def instructions(dockerfile):
    """Instruction and its text, in order, with continued lines joined."""
    text = re.sub(r"\\\n\s*", "", dockerfile.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def the(instructions, name):
    return [text for instruction, text in instructions if instruction == name]


def test_the_dockerfile_has_no_fault_that_a_linter_knows(dockerfile):
    done = subprocess.run([HADOLINT, "--no-color", dockerfile], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_finds_a_fault(dockerfile, tmp_path):
    (tmp_path / "Dockerfile").write_text(re.sub("USER .*", "USER root", dockerfile.read_text()))
    assert subprocess.run([HADOLINT, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode != 0


def test_the_image_is_slim_and_runs_one_server_that_is_not_root(instructions):
    assert [text.split()[0] for text in the(instructions, "FROM")] == ["python:3.11-slim"] * 2
    assert the(instructions, "ENTRYPOINT") == ['["python", "-m", "foretwin.serving"]']
    (user,) = the(instructions, "USER")
    assert all(int(number) > 0 for number in user.split(":"))


def test_nothing_is_installed_but_what_the_bento_pins(instructions):
    installed = [text for text in the(instructions, "RUN") if "install" in text]
    assert len(installed) == 1
    assert installed[0].endswith("pip install --no-cache-dir --requirement /requirements.txt")


def test_an_exported_bento_is_a_context_with_the_same_dockerfile(project, dockerfile, tmp_path):
    folder = exported(*project, tmp_path)
    instructions = dockerfile.read_text().strip()
    assert (folder / "env/docker/Dockerfile").read_text().strip() == instructions
    assert (folder / "models").is_dir()


def test_what_the_image_copies_and_where_it_works_is_in_the_bento(project, instructions, tmp_path):
    folder = exported(*project, tmp_path)
    first, libraries, everything = the(instructions, "COPY")
    assert (folder / first.split()[0]).is_file()
    assert libraries.startswith("--from=libraries ")
    assert everything == ". /bento"
    (work,) = the(instructions, "WORKDIR")
    assert (folder / Path(work).relative_to("/bento") / "foretwin/serving/__main__.py").is_file()


def test_the_image_says_where_the_service_finds_what_it_needs(instructions):
    settings = dict(re.findall(r"(\w+)=(\S+)", the(instructions, "ENV")[0]))
    assert settings["FORETWIN_BENTO"] == "/bento"
    assert settings["FORETWIN_HOST"] == "0.0.0.0"  # noqa: S104 - of the container
    assert the(instructions, "EXPOSE") == [settings["FORETWIN_PORT"]]
    assert "FORETWIN_ACCESS" not in settings
    assert json.loads(the(instructions, "ENTRYPOINT")[0])[0] == "python"
    assert settings["PATH"].startswith("/opt/foretwin/bin:")
