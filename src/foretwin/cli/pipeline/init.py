"""Make a project: `foretwin init`."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import click

MESSAGE = "Foretwin project"


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
def init_command(folder: Path) -> None:
    """Make a project in a new or an empty FOLDER.

    It holds the stages (pipelines/, dvc.yaml), their budgets (params.yaml), the simulated pumps as an example twin
    (data/pump), and what services are made of (serving/); git and DVC are initialised in it.

    \b
      foretwin init plant
      cd plant
      dvc repro
    """
    where = folder.resolve()
    _check(folder, where)
    uncommitted = _make(where)
    click.echo(f"made a project in {folder}: pipelines/, data/pump/, serving/, params.yaml, dvc.yaml")
    if uncommitted:
        click.echo(f"not committed: {uncommitted}")
    click.echo("next:")
    if where != Path.cwd():
        click.echo(f"  cd {folder}")
    click.echo("  dvc repro            # simulates the pumps and builds a model of them; a few minutes")
    click.echo("  foretwin summary     # its figures, and what to try next")


def _check(folder: Path, where: Path) -> None:
    """Refuse a place where no project can be made."""
    from foretwin.errors import BadInput, ForetwinError

    if where.exists() and not where.is_dir():
        raise BadInput("FOLDER", f"{folder} is a file; name a new or an empty folder")
    if where.is_dir() and any(where.iterdir()):
        raise BadInput("FOLDER", f"{folder} is not empty; name a new or an empty folder")
    if shutil.which("git") is None:
        raise ForetwinError("git: not installed; on Debian `apt install git` brings it")


def _make(where: Path) -> str:
    """Make the project in a folder of its own inside the new one, so that it appears whole or not at all.

    Returns why it is not committed, or nothing where it is.
    """
    existed = where.exists()
    where.mkdir(parents=True, exist_ok=True)
    partial = Path(mkdtemp(prefix=".partial-", dir=where))
    finished = []
    try:
        _fill(partial)
        uncommitted = _commit(partial)
        finished = [where / path.name for path in partial.iterdir()]
        for path in finished:
            (partial / path.name).rename(path)
        partial.rmdir()
    except BaseException:
        for path in (partial, *finished):
            _remove(path)
        if not existed:
            where.rmdir()
        raise
    return uncommitted


def _fill(root: Path) -> None:
    """Write the project's files, and make the folder a git repository; `.dvc/` makes it one of DVC."""
    from foretwin.cli.pipeline.project_files import project_files
    from foretwin.errors import ForetwinError

    for path, text in project_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    done = _git(root, "init", "--quiet", "--initial-branch=main")
    if done.returncode:
        raise ForetwinError(f"git: {' '.join(done.stderr.split())}; the project was not made")


def _commit(root: Path) -> str:
    """Commit all files; what stands against it, where git knows nobody to commit as or refuses."""
    if _git(root, "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT").returncode:
        return 'git knows no user.name and user.email; set them, then `git add -A && git commit -m "Foretwin project"`'
    for arguments in (["add", "--all"], ["commit", "--quiet", f"--message={MESSAGE}"]):
        done = _git(root, *arguments)
        if done.returncode:
            return " ".join((done.stderr or done.stdout).split())
    return ""


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in `root`, whatever repository the environment points at."""
    environment = {name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _remove(path: Path) -> None:
    """Remove a file or a folder, where it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
