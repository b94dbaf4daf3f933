"""Measure `dvc repro` where nothing has changed, as multiples of `dvc --version`; writes reports/bench_repro.json.

    python -m benchmarks.speed.repro

Everything is run in a copy of the project in which DVC takes what is on disk for what its stages made. The first part
is about the shipped twins, of which the pumps at least have been built here, the second about synthetic ones: how much
those cost that are on the list, those that are not, and building one by itself.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import yaml

from foretwin.project.chain import copy_chain
from foretwin.project.entrypoint import TELEMETRY_OFF, exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.params import OF_ONE_TWIN
from foretwin.training.ensemble import environment

SHIPPED = ("pump", "cmapss-fd001", "cmapss-fd002", "cmapss-fd003", "cmapss-fd004", "hydraulic")
SYNTHETIC = 100  # linked at most
TIMES = 5
FILES = (
    "src",
    "pipelines",
    "serving",
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
    "mlflow.db",
    "mlartifacts",
)


def dvc(root: Path, *arguments: str) -> float:
    """Seconds that a command of DVC takes; CalledProcessError, with its output shown, where it fails."""
    begin = time.perf_counter()
    done = subprocess.run(
        [Path(sys.executable).parent / "dvc", *arguments],
        cwd=root,
        env=os.environ | TELEMETRY_OFF,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
        done.check_returncode()
    return seconds


def measure(root: Path, *arguments: str) -> dict[str, float]:
    """Medians, in turn with `dvc --version`: seconds of both, and their ratio."""
    dvc(root, *arguments)  # looks at each file once, which later runs remember
    pairs = [(dvc(root, *arguments), dvc(root, "--version")) for _ in range(TIMES)]
    ours, version = (median(column) for column in zip(*pairs, strict=True))
    return {"seconds": round(ours, 2), "version_seconds": round(version, 3), "ratio": round(ours / version, 1)}


def project(root: Path, twins: tuple[str, ...]) -> None:
    """A copy of this project with these twins on its list, all of them as DVC has them built."""
    for name in FILES:
        source = Path(name)
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, root / name)
    for twin in twins:
        built = twin if _is_built(twin) else SHIPPED[0]
        for folder in ("data", "models"):
            shutil.copytree(f"{folder}/{built}", root / folder / twin, symlinks=True)
        for name in ("twin.yaml", "dvc.lock", "chain.yaml"):
            _rename(root / "data" / twin / name, built, twin)
        copy_chain(root, twin)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    dvc(root, "init", "--quiet")
    listed(root, twins)
    dvc(root, "commit", "--force", "--quiet", *(f"data/{twin}/dvc.yaml" for twin in twins))
    dvc(root, "repro", "--quiet")


def _is_built(twin: str) -> bool:
    return Path(f"models/{twin}/package.json").exists()


def _rename(path: Path, built: str, twin: str) -> None:
    """Make a file of one twin that of another."""
    text = path.read_text().replace(f"/{built}/", f"/{twin}/").replace(f"name: {built}", f"name: {twin}")
    path.write_text(text.replace(f"twin: {built}", f"twin: {twin}"))


def listed(root: Path, twins: tuple[str, ...]) -> None:
    """Put these twins on the list of params.yaml, and no other."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    own: dict[str, dict[str, dict[str, object]]] = {twin: {section: {} for section in OF_ONE_TWIN} for twin in twins}
    (root / "params.yaml").write_text(yaml.safe_dump(params | {"twins": list(twins)} | own))


def synthetic(root: Path, numbers: range, linked: bool) -> None:
    """Further twins as copies of the pumps' contract and records, of which DVC reads those that are linked."""
    for number in numbers:
        folder = root / f"data/synthetic-{number:04d}"
        folder.mkdir()
        for name in ("twin.yaml", "dvc.lock"):
            shutil.copy(root / "data/pump" / name, folder / name)
            _rename(folder / name, SHIPPED[0], folder.name)
        if linked:
            copy_chain(root, folder.name)


def shipped() -> dict[str, object]:
    """The pumps alone on the list, and all shipped twins; those that are not built here are copies of the pumps."""
    twins = SHIPPED
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        project(root, twins)
        everything = measure(root, "repro")
        for twin in twins[1:]:
            (root / f"data/{twin}/dvc.yaml").unlink()
        listed(root, twins[:1])
        one = measure(root, "repro")
        locks = sum(path.stat().st_size for path in (root / "dvc.lock", *root.glob("data/*/dvc.lock")))
    further = {key: (everything[key] - one[key]) / max(len(twins) - 1, 1) for key in ("seconds", "ratio")}
    return {
        "pump": one,
        f"twins_{len(twins)}": everything,
        "per_further_twin": {key: round(value, 2) for key, value in further.items()},
        "copies_of_the_pumps": [twin for twin in twins if not _is_built(twin)],
        "lock_bytes": locks,
    }


def many() -> dict[str, object]:
    """What twins beside the pumps cost: 900 that are not linked, and some that are."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        project(root, SHIPPED[:1])
        result: dict[str, object] = {"alone": measure(root, "repro")}
        synthetic(root, range(SYNTHETIC, 1000), linked=False)
        result["beside_900_not_linked"] = measure(root, "repro")
        synthetic(root, range(SYNTHETIC), linked=True)
        seconds, version = dvc(root, "repro"), dvc(root, "--version")
        once = {
            "seconds": round(seconds, 2),
            "version_seconds": round(version, 3),
            "ratio": round(seconds / version, 1),
        }
        result[f"beside_{SYNTHETIC}_linked_but_not_listed"] = once
        result["itself_alone"] = measure(root, "repro", "--single-item", "data/pump/dvc.yaml")
    return result


def main(out: Path = Path("reports/bench_repro.json")) -> None:
    """Measure everything and write the figures."""
    result = {
        "machine": environment() | {"cores": str(os.cpu_count())},
        "nothing_changed": shipped(),
        "synthetic": many(),
    }
    with fresh_file(out) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    with exit_on_error():
        main()
