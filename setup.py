"""Put the files of a project, which lie in the repository's root, into the package as the template of `foretwin init`.

Which these are is listed in pyproject.toml, `tool.foretwin.project-files`. An editable install has no copy of them:
`foretwin init` reads the repository itself.
"""

import shutil
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
with (ROOT / "pyproject.toml").open("rb") as file:
    PATTERNS: list[str] = tomllib.load(file)["tool"]["foretwin"]["project-files"]


class BuildWithTemplate(build_py):
    """Build the package, with the project's files under `foretwin/cli/pipeline/template/`."""

    def run(self) -> None:
        """Copy modules, then the template's files, without what an earlier build has left of them."""
        super().run()
        if self.editable_mode:
            return
        shutil.rmtree(self._template, ignore_errors=True)
        for path in self._project_files():
            place = self._template / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, place)

    def get_source_files(self) -> list[str]:
        """List what a source distribution needs."""
        return [*super().get_source_files(), *map(str, self._project_files())]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """List what the build writes."""
        template = [] if self.editable_mode else [str(self._template / path) for path in self._project_files()]
        return [*super().get_outputs(include_bytecode), *template]

    @property
    def _template(self) -> Path:
        return Path(self.build_lib, "foretwin", "cli", "pipeline", "template")

    def _project_files(self) -> list[Path]:
        """The files that match the patterns, relative to the repository's root."""
        found = {path.relative_to(ROOT) for pattern in PATTERNS for path in ROOT.glob(pattern) if path.is_file()}
        return sorted(found)


setup(cmdclass={"build_py": BuildWithTemplate})
