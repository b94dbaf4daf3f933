"""Champions are swapped in the real service while it is called: no call fails, and every answer is one champion's."""

import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.predictor.bundle import Bundle
from foretwin.project.paths import Paths
from support.registry_project import Project
from support.served import served
from support.tiny_bundle import call_of, environment, random_rows, save_tiny_bundle, tiny_project, tiny_twin

pytest_plugins = ["support.registry_project"]

TWIN = tiny_twin()
ROWS = random_rows(TWIN, {"P-1": 8})
CALL = call_of(TWIN, ROWS)
CALLERS = 4
LAG = 5.0  # seconds after which a champion that was kept must answer: a look a second, loading, a busy machine
SERVED_WITHIN = 15.0  # seconds from a moved alias to the first answer of the champion that it names
PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """One call: when it began and ended, and what it said."""

    begin: float
    end: float
    status: int
    version: str
    rul: float


class Calls:
    """Threads that call the service one call after the other, each on a connection of its own."""

    def __init__(self, url):
        self.answers, self.errors = [], []
        self._url, self._stop = url, threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self):
        try:
            with httpx.Client(base_url=self._url, trust_env=False, timeout=20) as client:
                while not self._stop.is_set():
                    begin = time.monotonic()
                    response = client.post("/v1/score", json=CALL)
                    content = response.json()
                    said = content["model"]["version"], content["scores"][0]["rul"]["value"]
                    self.answers.append(Answer(begin, time.monotonic(), response.status_code, *said))
                    time.sleep(0.005)  # a swap gets on while calls come, not while nothing else does
        except Exception as error:
            self.errors.append(repr(error))

    def wait_for(self, version):
        """Until an answer that began after now is of this version."""
        now = time.monotonic()
        while time.monotonic() < now + PATIENCE:
            if any(answer.begin > now and answer.version == version for answer in self.answers[-50:]):
                return
            assert not self.errors, self.errors
            time.sleep(0.02)
        pytest.fail(f"version {version} did not answer; the last was {self.answers[-1].version}")


def rul_of(bundle):
    return Bundle.load(bundle).score(ROWS)["rul"].item()


@pytest.fixture
def project(tmp_path):
    """A project whose version 3 is kept, and the bundles of versions 4 and 5."""
    tiny_project(tmp_path, TWIN)
    for version in ("4", "5"):
        bundle = tmp_path / "bundles" / version
        bundle.mkdir(parents=True)
        save_tiny_bundle(bundle, TWIN, bias=50 + int(version))
    return tmp_path


def keep(root, version, bundles=None):
    bundle = (bundles or root) / "bundles" / version
    identity = ModelIdentity("foretwin-pump", version, "run", Bundle.load(bundle).digest)
    keep_champion(Paths(root, "pump"), bundle, identity)


def swaps(client, result):
    line = f'foretwin_swaps_total{{result="{result}",twin="pump"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(one.removeprefix(line)) for one in lines if one.startswith(line))


def test_no_call_fails_and_every_answer_is_that_of_a_champion_of_its_moment(project):
    ruls = {"3": rul_of(project / "models" / "pump" / "champion" / "bundle")}
    ruls |= {version: rul_of(project / "bundles" / version) for version in ("4", "5")}
    assert len({round(value) for value in ruls.values()}) == 3, "the versions must differ, or agreement proves nothing"
    moments = [(0.0, "3")]
    with served(project) as service, Calls(service.url) as calls:
        for version in ("4", "5", "4", "5", "4"):
            keep(project, version)
            moments.append((time.monotonic(), version))
            calls.wait_for(version)
        assert swaps(service.client, "swapped") == 5
    assert not calls.errors
    assert {answer.status for answer in calls.answers} == {200}
    assert {answer.version for answer in calls.answers} == {"3", "4", "5"}
    for answer in calls.answers:
        assert answer.rul == pytest.approx(ruls[answer.version], abs=1e-3)
        ends = [*(at for at, _ in moments[1:]), float("inf")]
        kept = {v for (at, v), end in zip(moments, ends, strict=True) if at <= answer.end and end + LAG >= answer.begin}
        assert answer.version in kept, f"version {answer.version} answered, champions of the moment were {kept}"


def tamper(champion):
    (champion / "bundle" / "network.onnx").write_bytes(b"another network")


def answer_otherwise(champion):
    """As if this processor, or this onnxruntime, computed something else."""
    shutil.copy(champion.parent / "golden-of-3" / "scores.parquet", champion / "golden" / "scores.parquet")


@pytest.mark.parametrize("damage", [tamper, answer_otherwise])
def test_an_unsound_champion_is_refused_and_the_old_one_answers_on(project, damage):
    champion = project / "models" / "pump" / "champion"
    keep(project / "elsewhere", "4", project)
    damaged = project / "elsewhere" / "models" / "pump" / "champion"
    shutil.copytree(champion / "golden", damaged.with_name("golden-of-3"))
    damage(damaged)
    with served(project) as service, Calls(service.url) as calls:
        champion.rename(champion.with_name("before"))
        damaged.rename(champion)
        deadline = time.monotonic() + PATIENCE
        while swaps(service.client, "refused") == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert swaps(service.client, "refused") == 1
        calls.wait_for("3")
        assert service.client.get("/readyz").status_code == 200
        keep(project, "5")
        calls.wait_for("5")
    assert not calls.errors
    assert {answer.status for answer in calls.answers} == {200}
    assert "4" not in {answer.version for answer in calls.answers}
    assert "version 3 remains active" in service.log.read_text()


@contextmanager
def following(root):
    """`foretwin follow --every 1` in a project."""
    with (root / "follow.log").open("wb") as out:
        command = [sys.executable, "-m", "foretwin.cli", "follow", "--every", "1"]
        process = subprocess.Popen(command, cwd=root, env=environment(root), stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0, (root / "follow.log").read_text()


def test_an_alias_that_somebody_moves_is_served_within_seconds_and_no_call_fails(promoted: Project):
    """Promotion and roll-back by MLflow's client alone; `promote` itself needs nobody to follow."""
    with served(promoted.root) as service, Calls(service.url) as calls:
        calls.wait_for("1")
        promoted.train(2, 8)
        promoted.promote()
        calls.wait_for("2")
        with following(promoted.root):
            wait_for_start(promoted.root / "follow.log")
            for version in ("1", "2"):
                begin = time.monotonic()
                promoted.client.set_registered_model_alias("foretwin-pump", "champion", version)
                calls.wait_for(version)
                assert time.monotonic() - begin < SERVED_WITHIN
        assert swaps(service.client, "swapped") == 3
        assert swaps(service.client, "failed") == 0
    assert not calls.errors
    assert {answer.status for answer in calls.answers} == {200}
    ruls = {answer.version: round(answer.rul, 3) for answer in calls.answers}
    assert {(answer.version, round(answer.rul, 3)) for answer in calls.answers} == set(ruls.items())
    assert ruls["1"] != ruls["2"]


def wait_for_start(log):
    deadline = time.monotonic() + PATIENCE
    while "following the registry" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_a_bento_alone_serves_what_was_packaged(project):
    script = "from pathlib import Path; from foretwin.serving.packaging import bento; print(bento.build(Path()).folder)"
    built = subprocess.run(  # of its own, since BentoML reads its home once per process
        [sys.executable, "-c", script],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
        check=True,
    )
    bento = built.stdout.strip()
    want = rul_of(project / "models" / "pump" / "champion" / "bundle")
    keep(project, "4")
    with served(project, FORETWIN_PROJECT="", FORETWIN_BENTO=bento) as service:
        answer = service.client.post("/v1/score", json=CALL).raise_for_status().json()
        assert answer["model"]["version"] == "3"
        assert answer["scores"][0]["rul"]["value"] == pytest.approx(want, abs=1e-3)
        assert service.client.post("/v1/score", json={**CALL, "twin": "fan"}).status_code == 404
