"""A project whose champions are packaged, and its Bento as another machine gets it."""

import shutil
import subprocess
import sys
from pathlib import Path

from support.tiny_bundle import environment, tiny_project, tiny_twin

PUMP = tiny_twin("pump", channels=4, length=20)
FAN = tiny_twin("fan", rul=False)


def bentoml(root: Path, *arguments: str) -> str:
    """What a command of BentoML prints for that project's store; each is a process, for BentoML reads where once."""
    command = [sys.executable, "-m", "bentoml", *arguments]
    done = subprocess.run(command, env=environment(root), cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def packed(root: Path) -> str:
    """Fill the folder with a project of two twins and package it; returns the Bento's tag."""
    tiny_project(root, PUMP, FAN)
    script = "from pathlib import Path; from foretwin.serving.packaging import bento; print(bento.ensure(Path()))"
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, env=environment(root), cwd=root, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def exported(root: Path, tag: str, folder: Path) -> Path:
    """The Bento as `bentoml export` writes it, unpacked: code, models, Dockerfile."""
    bentoml(root, "export", tag, str(folder / "foretwin.bento"))
    shutil.unpack_archive(folder / "foretwin.bento", folder / "bento", "tar")
    return folder / "bento"
