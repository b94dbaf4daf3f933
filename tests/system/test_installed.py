"""The product without a clone: a wheel, an environment outside of the repository, and a project of `foretwin init`."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pandas as pd
import pytest

from foretwin.twin.simulator.processes import free_port, started
from support.clone import CANDIDATES, ROOT, learn_wear_in_few_rounds, own_machine, run

pytestmark = pytest.mark.timeout(600)

SMALL = {
    "folds: 5": "folds: 2",
    "cuts: 20": "cuts: 5",
    "trials: 10": "trials: 1",
    "windows: 100000": "windows: 3000",
    "windows: 200000": "windows: 6000",
    "must_beat: [constant, linear]": "must_beat: []",
    "misses: [0.1, 2]": "misses: [0, 9]",
    f"[{CANDIDATES}]": "[network, linear]",
    f"[{CANDIDATES}, physics_ridge]": "[network, linear]",
}
UNSET = "press: {prepare: {}, tune: {}, train: {}}"
PRESS = "press: {prepare: {}, tune: {}, train: {windows: 20000}}"
NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
SOMEBODY = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Installed:
    """An environment that holds the wheel and sees the libraries of the one that runs the tests, but no repository."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bin = folder / "bin"

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "TMPDIR", "LANG")}
        return kept | {
            "PATH": f"{self.bin}:/usr/bin:/bin:/usr/sbin",
            "CI": "true",
            "OMP_NUM_THREADS": "1",
            **NOBODY,
            **SOMEBODY,
            **more,
        }

    def run(self, command: str, cwd: Path, code: int = 0, **more: str) -> str:
        """What a shell command prints that ends with this code."""
        environment = self.environment(**more)
        done = subprocess.run(
            command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the repository's files, built without the network in a copy of them."""
    source = tmp_path_factory.mktemp("source")
    for name in filter(None, run("git ls-files --cached --others --exclude-standard", ROOT).split("\n")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "reports/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    run(f"{sys.executable} -m pip wheel -q --no-deps --no-index --no-build-isolation -w dist .", source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def test_the_wheel_holds_every_page_and_every_file_of_the_pages(wheel):
    package = ROOT / "src" / "foretwin"
    wanted = [path for kind in ("templates", "static") for path in package.rglob(f"{kind}/*") if path.is_file()]
    assert any(path.name == "charts.js" for path in wanted)
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert [str(path) for path in wanted if f"foretwin/{path.relative_to(package)}" not in held] == []


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Installed:
    """The wheel in an environment of its own."""
    folder = tmp_path_factory.mktemp("installed")
    run(f"{sys.executable} -m venv --without-pip {folder}", folder)
    run(f"{sys.executable} -m pip --python {folder}/bin/python install -q --no-deps --no-index {wheel}", folder)
    libraries = [path for path in sys.path if Path(path).name == "site-packages"]
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "libraries.pth").write_text("\n".join(libraries) + "\n")
    dvc = folder / "bin" / "dvc"
    dvc.write_text(f"#!{folder}/bin/python\nimport sys\nfrom dvc.cli import main\nsys.exit(main())\n")
    dvc.chmod(0o755)
    return Installed(folder)


@pytest.fixture(scope="module")
def made(installed, tmp_path_factory) -> tuple[Path, str]:
    """A project as `foretwin init` leaves it, and what it said."""
    folder = tmp_path_factory.mktemp("made") / "plant"
    return folder, installed.run("foretwin init plant", folder.parent)


@pytest.fixture(scope="module")
def built(installed, made, tmp_path_factory) -> Path:
    """A project in which `dvc repro` has built a few pumps, with a small budget."""
    folder = tmp_path_factory.mktemp("built") / "plant"
    shutil.copytree(made[0], folder, symlinks=True)
    params, contract = folder / "params.yaml", folder / "data" / "pump" / "twin.yaml"
    text = params.read_text()
    for before, after in SMALL.items():
        assert before in text
        text = text.replace(before, after)
    params.write_text(text)
    contract.write_text(contract.read_text().replace("assets: 120", "assets: 20"))
    learn_wear_in_few_rounds(folder)
    installed.run("dvc repro", folder)
    return folder


def test_the_environment_runs_the_installed_package(installed, made):
    place = installed.run("python -c 'import foretwin; print(foretwin.__file__)'", made[0]).strip()
    assert Path(place).is_relative_to(installed.folder)


def test_a_new_project_is_committed_and_the_next_commands_are_told(installed, made):
    folder, said = made
    assert re.findall(r"^  (.*?)(?:  +#.*)?$", said, re.MULTILINE) == ["cd plant", "dvc repro", "foretwin summary"]
    assert installed.run("git status --short", folder) == ""
    assert installed.run("git log --format=%s", folder) == "Foretwin project\n"
    for setting in ("core.analytics false", "core.check_update false", "core.site_cache_dir .foretwin/.site-cache"):
        name, value = setting.split()
        assert installed.run(f"dvc config {name}", folder).strip() == value


def test_a_new_project_depends_on_the_version_instead_of_code_that_it_has_not(made):
    texts = {path: path.read_text() for path in made[0].rglob("*.yaml")}
    assert not [path for path, text in texts.items() if "src/foretwin" in text]
    assert any("- requirements.txt" in text for text in texts.values())
    assert (made[0] / "requirements.txt").read_text().startswith("foretwin==")


def test_without_an_identity_the_project_is_made_and_says_that_it_is_not_committed(installed, tmp_path):
    nobody = dict.fromkeys(SOMEBODY, "")
    said = installed.run("foretwin init plant", tmp_path, **nobody)
    assert "not committed: git knows no user.name and user.email" in said
    assert "?? dvc.yaml" in installed.run("git status --short", tmp_path / "plant")


def test_dvc_repro_builds_a_champion_that_scores_a_file(installed, built):
    shown = installed.run("foretwin summary", built)
    assert "foretwin-pump version 1: this network" in " ".join(shown.split())
    assert "foretwin demo" in shown
    installed.run("foretwin score data/pump/windows/test.parquet --twin pump --out scores.csv", built)
    assert pd.read_csv(built / "scores.csv")["rul"].notna().all()


def test_a_newer_version_of_the_package_builds_anew(installed, built):
    requirements = built / "requirements.txt"
    before = requirements.read_text()
    requirements.write_text("foretwin==99\n")
    try:
        status = installed.run("dvc status", built)
    finally:
        requirements.write_text(before)
    assert "requirements.txt" in status


@contextmanager
def serving(installed: Installed, project: Path) -> Iterator[str]:
    """The address of `foretwin serve`, which sees nothing of the environment of the tests."""
    port = free_port()
    command = ["env", "-i", *(f"{key}={value}" for key, value in installed.environment().items())]
    command += [str(installed.bin / "foretwin"), "serve", "--open", "--port", str(port)]
    process = started(command, project / "service.log", cwd=project)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, project / "service.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def wait_until_ready(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(480):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            httpx.get(f"{address}/readyz", timeout=1).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.25)
    raise AssertionError(log.read_text()[-2000:])


def score_of(address: str, twin: str, asset: dict[str, object]) -> dict:
    """The service's answer about one asset."""
    answer = httpx.post(f"{address}/v1/score", json={"twin": twin, "assets": [asset]}, timeout=30)
    assert answer.status_code == 200, answer.text
    (score,) = answer.json()["scores"]
    return score


def test_the_service_answers_a_scoring_call(installed, built):
    rows = pd.read_parquet(built / "data/pump/windows/test.parquet")
    pump = rows[rows["asset"] == rows["asset"].iloc[-1]]
    channels = {name: pump[name].astype(float).tolist() for name in pump.columns[3 : pump.columns.get_loc("rul")]}
    asset = {"asset": pump["asset"].iloc[0], "time": pump["time"].tolist(), "channels": channels}
    with serving(installed, built) as address:
        score = score_of(address, "pump", asset)
    assert score["rul"]["low"] <= score["rul"]["value"] <= score["rul"]["high"]
    assert (built / "models/pump/package.json").exists()
    assert f"foretwin:{json.loads((built / 'models/pump/package.json').read_text())['bento'].partition(':')[2]}" in (
        installed.run("foretwin bento", built)
    )


def test_a_machine_of_ones_own_becomes_a_served_twin_in_the_readme_s_steps(installed, built, tmp_path):
    source = own_machine(tmp_path / "press.csv")
    assert "wrote data/press/twin.yaml" in installed.run(f"foretwin new press {source}", built)
    assert "params.yaml lists pump, press" in installed.run("foretwin add press", built)
    params = built / "params.yaml"
    assert params.read_text().count(UNSET) == 1
    params.write_text(params.read_text().replace(UNSET, PRESS))
    shown = installed.run("dvc repro", built)
    assert "validate press" in shown
    assert "Running stage 'data/pump/dvc.yaml:train'" not in shown
    metrics = json.loads((built / "models/press/metrics.json").read_text())
    assert metrics["network"]["rul"]["clipped"]["rmse"] < 15, "hours: half of what the lives' ends differ by"
    installed.run(f"foretwin score {source} --twin press --out press.csv", built)
    scores = pd.read_csv(built / "press.csv")
    assert len(scores) == 24
    assert scores["rul"].mean() < 20, "every press of the file is scored at the moment of its failure"

    new = pd.read_csv(source).query("machine == 'press-03'").tail(41)
    columns = {"oil_temp": "Oil temp [°C]", "force": "Force (kN)", "vibration": "Vibration [mm/s]"}
    channels = {channel: new[column].tolist() for channel, column in columns.items()}
    with serving(installed, built) as address:
        score = score_of(address, "press", {"asset": "press-03", "time": new["hour"].tolist(), "channels": channels})
    batch = scores.set_index("asset").loc["press-03"]
    assert score["rul"]["value"] == pytest.approx(batch["rul"], abs=1e-4)
