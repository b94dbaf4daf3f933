"""The pages against the files that they report, and the README's own commands against the Makefile."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.archives import leave_out

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_figures_on_the_pages_are_those_of_the_output_files():
    changed = [
        "git",
        "status",
        "--porcelain",
        "--",
        "reports",
        *(str(path) for path in ROOT.glob("models/*/metrics.json")),
    ]
    if subprocess.run(changed, cwd=ROOT, capture_output=True, text=True, check=False).stdout:
        leave_out("the figures were made anew on this machine and are not committed; `make docs` renders them")
    command = [sys.executable, "-m", "benchmarks.render.docs", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


REPORTS = [path for path in sorted((ROOT / "reports" / "benchmarks").glob("*.json")) if path.suffixes == [".json"]]


@pytest.mark.parametrize("report", REPORTS, ids=lambda path: path.stem)
def test_the_model_of_dvc_repro_is_that_of_the_benchmark_s_first_seed(report):
    metrics = ROOT / "models" / report.stem / "metrics.json"
    assert json.loads(report.read_text())["seeds"][0]["bundle"] == json.loads(metrics.read_text())["bundle"]


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


def test_every_file_that_the_readme_links_to_is_there():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_alone_lists_the_targets():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "serve", "ui", "bench", "lint", "lock"):
        assert f"make {target}" in shown
