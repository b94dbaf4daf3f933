"""A twin's chain of stages: data/<twin>/dvc.yaml, a copy of the file that all twins share; and DVC as a command.

    python -m foretwin.project.chain TWIN

is the stage `chain` of the project's dvc.yaml: it copies the chain of a twin that was put on the list in params.yaml by
hand, and builds it, since DVC has read all dvc.yaml of the project by then. A copy, since DVC does not follow a link
where it reads a commit, as `dvc metrics diff` does.
"""

import os
import subprocess
import sys
from pathlib import Path

from foretwin.errors import TrainingError
from foretwin.project.entrypoint import TELEMETRY_OFF, run_stage
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths

SHARED = Path("pipelines/chain.yaml")
COPIED = f"# A copy of {SHARED}. Edit that file: `dvc repro` copies it again.\n"


def stage(twin: str, name: str) -> str:
    """Return DVC's address of one stage of a twin's chain."""
    return f"data/{twin}/dvc.yaml:{name}"


def copy_chain(root: Path, twin: str) -> bool:
    """Write data/<twin>/dvc.yaml and chain.yaml, which names the twin; return whether one was missing or another.

    A dvc.yaml that does not begin as a copy does is the owner's own, and is kept. TrainingError without a file to copy.
    """
    copy, name = Paths(root, twin).data / "dvc.yaml", Paths(root, twin).data / "chain.yaml"
    wanted = {} if name.exists() else {name: f"twin: {twin}\n"}
    if copy.is_symlink():
        copy.unlink()  # as versions before wrote it
    present = copy.read_text(encoding="utf-8") if copy.exists() else None
    if (present is None or present.startswith(COPIED)) and (text := COPIED + _shared(root)) != present:
        wanted[copy] = text
    if wanted:
        wanted |= _ignored(Paths(root, twin).models / ".gitignore")
    for path, text in wanted.items():
        with fresh_file(path) as out:
            out.write_text(text, encoding="utf-8")
    return bool(wanted)


def _ignored(path: Path) -> dict[Path, str]:
    """Return what git ignores of models/<twin>/ where a version before had the verdict ignored, which is in git now."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return {path: text.replace("/promotion.json\n", "/timings.json\n")} if "/promotion.json\n" in text else {}


def dvc(root: Path, *arguments: str, shown: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `dvc` in the project's folder; its output is in the result, and with `shown` also on the terminal.

    Where it is shown, both of its streams are one, in `stdout`. Stages run by this interpreter's `python`.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = TELEMETRY_OFF | os.environ | {"PATH": path}  # a user's own switch of telemetry wins
    if not shown:
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    said = []
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        for line in running.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            said.append(line)
    return subprocess.CompletedProcess(command, running.returncode, "".join(said), "")


def _shared(root: Path) -> str:
    if not (root / SHARED).exists():
        raise TrainingError(f"{SHARED}: is missing; copy it from a project that `foretwin init` makes")
    return (root / SHARED).read_text(encoding="utf-8")


def copy_and_build(twin: str, root: Path = Path()) -> None:
    """Copy the chain where it is missing or another than before, and build it then.

    TrainingError where a stage fails, and where DVC goes on with a chain that it had read before: run it again.
    """
    known = (Paths(root, twin).data / "dvc.yaml").exists()
    Paths(root, twin).load_contract()
    if not copy_chain(root, twin):
        return
    if known:
        raise TrainingError(f"{SHARED}: has changed, and data/{twin}/dvc.yaml with it now; run `dvc repro` again")
    if dvc(root, "repro", "--single-item", f"data/{twin}/dvc.yaml", shown=True).returncode:
        raise TrainingError(f"{twin}: a stage failed, as told above; `dvc repro data/{twin}/dvc.yaml` tries again")


if __name__ == "__main__":
    run_stage(copy_and_build)
