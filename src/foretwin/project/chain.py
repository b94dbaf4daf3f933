"""A twin's chain of stages: data/<twin>/dvc.yaml, a link to the file that all twins share.

    python -m foretwin.project.chain TWIN

is the stage `chain` of the project's dvc.yaml: it links the chain of a twin that was put on the list in params.yaml by
hand, and builds it, since DVC has read all dvc.yaml of the project by then.
"""

from pathlib import Path

from foretwin.errors import TrainingError
from foretwin.project.dvc import dvc
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths

SHARED = Path("pipelines/chain.yaml")


def stage(twin: str, name: str) -> str:
    """Return DVC's address of one stage of a twin's chain."""
    return f"data/{twin}/dvc.yaml:{name}"


def link_chain(root: Path, twin: str) -> bool:
    """Create data/<twin>/dvc.yaml and chain.yaml, which names the twin, where missing; return whether one was."""
    link, name = Paths(root, twin).data / "dvc.yaml", Paths(root, twin).data / "chain.yaml"
    made = False
    if not name.exists():
        with fresh_file(name) as out:
            out.write_text(f"twin: {twin}\n", encoding="utf-8")
        made = True
    if not link.is_symlink() and not link.exists():
        link.symlink_to(Path("../..") / SHARED)
        made = True
    return made


def link_and_build(twin: str, root: Path = Path()) -> None:
    """Link the chain where it is missing, and build it then."""
    Paths(root, twin).load_contract()
    if not link_chain(root, twin):
        return
    if dvc(root, "repro", "--single-item", f"data/{twin}/dvc.yaml", shown=True).returncode:
        raise TrainingError(f"{twin}: a stage failed, as told above; `dvc repro data/{twin}/dvc.yaml` tries again")


if __name__ == "__main__":
    run_stage(link_and_build)
