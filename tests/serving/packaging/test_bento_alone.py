"""A Bento far from its project: exported, run as its container runs it, on nothing but the libraries that it pins."""

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import httpx
import numpy as np
import pytest
from packaging.utils import canonicalize_name

from foretwin.predictor.bundle import Bundle
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.twin.simulator.processes import free_port
from support.packed_project import FAN, PUMP, exported, packed
from support.served import wait_until_ready
from support.tiny_bundle import REPOSITORY, call_of, environment, random_rows

LIBRARIES = "src/requirements.txt"
MEMORY = 300e6  # bytes
# Runs before anything else of a process: what the Bento does not pin cannot be imported, nor the project's own code.
FORBID = """
import sys

class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"{name} is not in the Bento's requirements", name=name)

sys.meta_path.insert(0, Forbid())
sys.path[:] = [place for place in sys.path if place != SOURCE]
"""


def forbidden(bento: Path) -> set[str]:
    """The top-level modules of every distribution that is installed here and not pinned by the Bento."""
    pinned = {line.partition("==")[0] for line in (bento / LIBRARIES).read_text().split()}
    allowed, others = set(), set()
    for one in distributions():
        tops = {path.parts[0].removesuffix(".py") for path in one.files or [] if path.suffix == ".py"}
        (allowed if canonicalize_name(one.metadata["Name"]) in pinned else others).update(tops)
    return others - allowed - {"foretwin", "serving", "_virtualenv", ".."}


def test_what_is_not_pinned_cannot_be_imported_in_these_tests(alone):
    _, bento, settings = alone
    for name in ("torch", "mlflow", "lightning", "great_expectations", "bentoml", "sklearn", "click.nothing"):
        command = [sys.executable, "-c", f"import {name}"]
        done = subprocess.run(command, env=settings, cwd=bento / "src", capture_output=True, text=True, check=False)
        assert "ModuleNotFoundError" in done.stderr, name
    command = [sys.executable, "-c", "import foretwin; print(foretwin.__file__)"]
    done = subprocess.run(command, env=settings, cwd=bento / "src", stdout=subprocess.PIPE, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(bento)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The project, its exported Bento, and the environment of its container."""
    root, place = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("machine")
    bento = exported(root, packed(root), place)
    (place / "site").mkdir()
    lists = f"FORBIDDEN = {sorted(forbidden(bento))!r}\nSOURCE = {str(REPOSITORY / 'src')!r}\n"
    (place / "site" / "sitecustomize.py").write_text(lists + FORBID)
    (text,) = re.findall(r"^ENV (.*)$", joined(bento), re.MULTILINE)
    inside = dict(re.findall(r"(FORETWIN_\w+|OMP\w+|PYTHON\w+)=(\S+)", text))
    here = {"FORETWIN_BENTO": str(bento), "FORETWIN_HOST": "127.0.0.1", "FORETWIN_PORT": str(free_port())}
    keys = {"FORETWIN_KEYS": str(place / "keys" / "keys.json"), "PYTHONPATH": str(place / "site")}
    return root, bento, environment(root, **inside | here | keys)


@pytest.fixture(scope="module")
def client(alone):
    """A client, with a key, of the service that the container's entry point starts."""
    _, bento, settings = alone
    token = make_key(Path(settings["FORETWIN_KEYS"]), KeyRequest("tests", ["score"], 1e5), "tests", datetime.now(UTC))
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", joined(bento), re.MULTILINE)
    _, *arguments = json.loads(entry)
    log = bento.parent / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=settings, cwd=bento / "src", stdout=out, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{settings['FORETWIN_PORT']}"
    try:
        with httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {token}"}) as client:
            wait_until_ready(client, process, log)
            client.process = process
            yield client
    finally:
        process.terminate()
        process.wait(30)
    # As a shell expects of a process that was asked to end, after the calls in flight were answered.
    assert process.returncode == -signal.SIGTERM, log.read_text()
    assert "Application shutdown complete" in log.read_text()


def joined(bento: Path) -> str:
    """The Dockerfile with continued lines as one."""
    return re.sub(r"\\\n\s*", "", (bento / "env/docker/Dockerfile").read_text())


def assert_scores(answer, project, twin, rows):
    champion = project / "models" / twin.name / "champion"
    want = Bundle.load(champion / "bundle").score(rows)
    got = [score["faults"]["mode"]["wear"] for score in answer["scores"]]
    np.testing.assert_allclose(got, want["p_mode_wear"], rtol=0, atol=1e-6)
    assert np.ptp(got) > 0.01, "the assets must differ, or agreement proves nothing"
    identity = json.loads((champion / "identity.json").read_text())
    assert {name: answer["model"][name] for name in identity} == identity


@pytest.mark.parametrize("twin", [PUMP, FAN], ids=["pump", "fan"])
def test_it_scores_as_the_champions_of_its_project_do(client, alone, twin):
    rows = random_rows(twin, {"A-1": 12, "A-2": 7})
    answer = client.post("/v1/score", json=call_of(twin, rows)).raise_for_status().json()
    assert_scores(answer, alone[0], twin, rows)


def test_it_asks_for_a_key(client):
    answer = httpx.post(client.base_url.join("/v1/score"), json={}, trust_env=False)
    assert answer.status_code == 401


def test_its_process_is_one_and_small(client):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(client.process.pid)], capture_output=True, check=False)
    assert listed.stdout == b""
    status = Path(f"/proc/{client.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert int(kilobytes) * 1024 < MEMORY


def test_it_writes_nothing_where_it_lies(client, alone):
    bento = alone[1]
    before = contents(bento)
    client.post("/v1/score", json=call_of(PUMP, random_rows(PUMP, {"A-1": 3}))).raise_for_status()
    assert contents(bento) == before
    assert not [path for path in before if "__pycache__" in path]


def contents(folder: Path) -> dict[str, int]:
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in files}


def test_bentoml_serves_the_same_bento(alone, tmp_path):
    root, bento, _ = alone
    port, log = free_port(), tmp_path / "bentoml.log"
    command = [sys.executable, "-m", "bentoml", "serve", str(bento), "--port", str(port)]
    # With a store of its own, which is empty: the models are those of the Bento.
    settings = environment(tmp_path, FORETWIN_ACCESS="open", BENTOML_HOST="127.0.0.1", OMP_NUM_THREADS="1")
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=settings, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT)
    rows = random_rows(PUMP, {"A-1": 12, "A-2": 7})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            wait_until_ready(client, process, log)
            answer = client.post("/v1/score", json=call_of(PUMP, rows)).raise_for_status().json()
    finally:
        process.terminate()
        process.wait(30)
    assert_scores(answer, root, PUMP, rows)
