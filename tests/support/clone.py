"""The project as its users meet it: a clone, its commands run by a shell as the README says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from support.tiny_bundle import shipped_params

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CANDIDATES = "network, gradient_boosting, extra_trees, random_fourier_ridge, linear"  # as shipped, of any twin
BUDGETS = {  # of the shipped parameters, and of the clone that tests build
    "folds: 5": "folds: 3",
    "cuts: 20": "cuts: 10",
    "trials: 10": "trials: 2",
    "windows: 100000": "windows: 20000",
    "windows: 200000": "windows: 60000",
    f"[{CANDIDATES}]": "[network, random_fourier_ridge]",
    f"[{CANDIDATES}, physics_ridge]": "[network, random_fourier_ridge]",
}
FLEET = ("assets: 120", "assets: 64")  # the shipped fleet, and that of the clone


def clean_environment() -> dict[str, str]:
    """The environment without settings of the product and its tools, as after activating the virtual environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "BENTOML", "FORETWIN"))}
    return kept | {"PATH": f"{BIN}:{kept['PATH']}", "CI": "true", "DVC_NO_ANALYTICS": "1"}


def run(command, cwd, code=0):
    """Run a shell command the way the README says, and return what it printed."""
    done = subprocess.run(
        command, shell=True, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def small_params() -> str:
    """The shipped params.yaml with budgets of a third and less, in which models are good enough to pass the gate."""
    text = shipped_params()
    for budget, less in BUDGETS.items():
        assert text.count(budget) == 1, budget
        text = text.replace(budget, less)
    return text


def learn_wear_in_few_rounds(project: Path) -> None:
    """Bound the fit of the degradation model, as `BUDGETS` bound training: all its rounds take a quarter of a build."""
    stage, last = project / "pipelines" / "degradation.py", "    run_stage(main)\n"
    text = stage.read_text()
    assert text.count(last) == 1
    fewer = "    from foretwin.physics.pump import learning\n\n    learning.SPREADS, learning.ROUNDS = (0.1,), 2\n"
    stage.write_text(text.replace(last, fewer + last))


def build_clone(folder: Path) -> None:
    """A copy of the project's own files, as a clone has them, with the default twin built by `dvc repro` in small."""
    listed = run("git ls-files --cached --others --exclude-standard", ROOT).split("\n")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name, follow_symlinks=False)
    (folder / "params.yaml").write_text(small_params())
    contract = folder / "data" / "pump" / "twin.yaml"
    assert contract.read_text().count(FLEET[0]) == 1
    contract.write_text(contract.read_text().replace(*FLEET))
    learn_wear_in_few_rounds(folder)
    commit = "git add -A && git commit -qm"
    run("git init -q && git config user.name test && git config user.email test@example.org", folder)
    run(f"{commit} start", folder)
    run("dvc repro", folder)
    run(f"{commit} built", folder)


def own_machine(path: Path) -> Path:
    """A CSV as a user might have it: presses that heat up ever faster, with the row of each failure marked."""
    generator = np.random.default_rng(5)
    rows = []
    for number in range(24):
        life = int(generator.integers(90, 200))
        hours = np.arange(life)
        wear = (hours / life) ** 3
        frame = pd.DataFrame({"machine": f"press-{number:02d}", "hour": hours})
        frame["Oil temp [°C]"] = 45 + 30 * wear + generator.normal(0, 1, life)
        frame["Force (kN)"] = 800 - 90 * wear**2 + generator.normal(0, 6, life)
        frame["Vibration [mm/s]"] = 2 * np.exp(1.2 * wear) + generator.normal(0, 0.1, life)
        rows.append(frame.assign(failure=(hours == life - 1).astype(int)))
    pd.concat(rows).to_csv(path, index=False)
    return path
