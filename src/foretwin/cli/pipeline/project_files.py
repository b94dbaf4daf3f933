"""The files that a project starts with: those of the installed package, or of the repository in an editable install."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from foretwin.errors import ForetwinError

TEMPLATE = Path(__file__).with_name("template")  # made by the build, see setup.py
REPOSITORY = Path(__file__).parents[4]
REQUIREMENTS = "requirements.txt"

# The repository's stages depend on the code in src/. A project runs installed code, which the version identifies.
SOURCES = re.compile(r"(?:^(?P<indent> *- )(?P<up>(?:\.\./)*)src/foretwin/.*\n)+", re.MULTILINE)
LEADING_COMMENT = re.compile(r"\A(?:#.*\n)+")
COMMENT = f"""\
# One chain of stages for each twin that params.yaml lists. The stages run the installed Foretwin, and depend on its
# version: name another one in {REQUIREMENTS}, install it, and `dvc repro` builds anew.
"""
TWINS = re.compile(r"^twins:\n(?P<names>(?: +- .*\n)+)", re.MULTILINE)


def project_files() -> dict[str, str]:
    """Return the text of each file of a new project, by its path in the project's folder."""
    root = TEMPLATE if TEMPLATE.is_dir() else REPOSITORY
    texts = {path.as_posix(): (root / path).read_text(encoding="utf-8") for path in _paths(root)}
    twins = {PurePosixPath(path).parent.name for path in texts if PurePosixPath(path).match("data/*/twin.yaml")}
    for path, text in texts.items():
        if path == "params.yaml":
            texts[path] = TWINS.sub(lambda listed: _listed(listed["names"], twins), text)
        elif path.endswith(".yaml") and SOURCES.search(text):
            pinned = SOURCES.sub(rf"\g<indent>\g<up>{REQUIREMENTS}\n", text)
            texts[path] = COMMENT + LEADING_COMMENT.sub("", pinned)
    return texts | {REQUIREMENTS: f"foretwin=={version('foretwin')}\n"}


def _paths(root: Path) -> Iterator[Path]:
    """Yield the files' paths relative to `root`."""
    if root == TEMPLATE:
        files = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file())
        yield from (path for path in files if path.suffix != ".pyc")  # an installation compiles the stages
        return
    try:
        settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ForetwinError(f"{TEMPLATE}: not there; install Foretwin again from its wheel") from None
    for pattern in settings["tool"]["foretwin"]["project-files"]:
        yield from (path.relative_to(root) for path in sorted(root.glob(pattern)) if path.is_file())


def _listed(lines: str, twins: set[str]) -> str:
    """Return the list of twins in params.yaml without those that the new project has no contract of."""
    kept = [line for line in lines.splitlines(keepends=True) if line.split("#")[0].strip(" -\n") in twins]
    return "twins:\n" + "".join(kept)
