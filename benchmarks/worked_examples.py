"""Type the commands of the worked examples, to the gate's verdict or to `prepare`; writes reports/examples.json.

    python -m benchmarks.worked_examples [--only NAME] [--to STAGE] [--resume]

`FORETWIN_DATASETS` is the folder of the files. Budgets are small: what is shown is the way, not the best figures. Each
example has a project of its own; one that fails is told and leaves the others alone, and `--resume` runs those that the
report does not have.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.training.ensemble import git_state

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
BUDGETS = {"trials: 10": "trials: 1", "windows: 100000": "windows: 2000", "windows: 200000": "windows: 10000"}
BUDGETS |= {"cuts: 20": "cuts: 5", "folds: 5": "folds: 2"}


@dataclass(frozen=True)
class Example:
    """One twin from published files: what is typed for it, and up to which stage it goes."""

    name: str
    title: str
    files: str
    source: str
    shows: str
    to: str
    options: str = ""

    @property
    def patch(self) -> Path | None:
        """Return the edit of its contract; None where it needs none."""
        path = EXAMPLES / f"{self.name}.patch"
        return path if path.exists() else None

    @property
    def edited_lines(self) -> int:
        """Return how many lines the edit writes, or takes away without another in their place."""
        lines = self.patch.read_text(encoding="utf-8").splitlines()[2:] if self.patch else []
        return max(sum(line.startswith(sign) for line in lines) for sign in "+-")

    def commands(self, to: str | None = None) -> dict[str, str]:
        """Return what is typed, by step; `to` is the last stage, the example's own by default."""
        options = f" {self.options}" if self.options else ""
        edit = {"edit": f"patch -p1 < {shlex.quote(str(self.patch))}"} if self.patch else {}
        return {
            "new": f"foretwin new {self.name} $FORETWIN_DATASETS/{self.files}{options}",
            **edit,
            "add": f"foretwin add {self.name}",
            "repro": f"dvc repro data/{self.name}/dvc.yaml:{to or self.to}",
        }


def load_examples() -> dict[str, Example]:
    """Read docs/examples/examples.yaml."""
    content = yaml.safe_load((EXAMPLES / "examples.yaml").read_text(encoding="utf-8"))
    return {name: Example(name, **fields) for name, fields in content.items()}


def start_project(folder: Path) -> None:
    """Begin a project in `folder`, with small budgets."""
    typed("foretwin init .", folder)
    params = folder / "params.yaml"
    text = params.read_text(encoding="utf-8")
    for own, small in BUDGETS.items():
        text = text.replace(own, small)
    params.write_text(text, encoding="utf-8")


def run_example(example: Example, project: Path, to: str | None = None) -> dict[str, Any]:
    """Type an example's commands in the project; return seconds by step, and what was found."""
    seconds = {}
    for step, command in example.commands(to).items():
        begin = time.perf_counter()
        typed(command, project)
        seconds[step] = round(time.perf_counter() - begin, 1)
    return {"edited_lines": example.edited_lines, "seconds": seconds, **_found(project, example.name)}


def typed(command: str, folder: Path) -> None:
    """Run a command as typed in a shell of this environment; ForetwinError with the end of what a failing one said."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ForetwinError(f"{command}: failed: {(done.stderr or done.stdout).strip()[-600:]}")


def _found(project: Path, name: str) -> dict[str, Any]:
    """Return what the stages left: counts of the split, held-out figures, and the verdict with its reasons."""
    splits = json.loads((project / "data" / name / "windows" / "splits.json").read_text(encoding="utf-8"))
    held_out = sum(fold < 0 for fold in splits.values())
    found: dict[str, Any] = {"development": len(splits) - held_out, "held_out": held_out}
    metrics = Paths(project, name).evaluation
    if metrics.exists():
        found["figures"] = _figures(json.loads(metrics.read_text(encoding="utf-8")))
    promotion = project / "models" / name / "promotion.json"
    if promotion.exists():
        told = json.loads(promotion.read_text(encoding="utf-8"))
        found["verdict"] = {"promoted": told["promoted"], "reasons": told["reasons"]}
    return found


def _figures(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the held-out RMSE of the capped RUL, in the clock's unit, and the macro-F1 of each fault axis."""
    said, unit = metrics["network"], metrics["unit"]
    figures = {f"RMSE ({unit})": said["rul"]["clipped"]["rmse"]} if "rul" in said else {}
    return figures | {f"{axis} macro-F1": one["macro_f1"] for axis, one in said.get("fault", {}).items()}


def main(only: list[str], to: str | None, out: Path, resume: bool) -> None:
    """Run the examples one by one; each that ends is in the report, whatever comes of the others."""
    report = json.loads(out.read_text(encoding="utf-8")) if (only or resume) and out.exists() else {"examples": {}}
    report |= {"commit": git_state(ROOT)["commit"], "cores": os.cpu_count()}
    failed = []
    for name, example in load_examples().items():
        if (only and name not in only) or (resume and name in report["examples"]):
            continue
        with tempfile.TemporaryDirectory() as folder:
            start_project(Path(folder))
            try:
                report["examples"][name] = run_example(example, Path(folder), to)
            except ForetwinError as error:
                failed.append(f"{name}: {error}")
                print(failed[-1], file=sys.stderr, flush=True)
                continue
        print(name, json.dumps(report["examples"][name]), flush=True)
        with fresh_file(out) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if failed:
        raise ForetwinError(f"{len(failed)} examples failed: " + "; ".join(failed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], help="name of an example; may be repeated")
    parser.add_argument("--to", help="last stage, such as prepare, for all examples")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "examples.json")
    parser.add_argument("--resume", action="store_true", help="run only what the report does not have")
    given = parser.parse_args()
    with exit_on_error():
        main(given.only, given.to, given.out, given.resume)
