"""Collect the installed libraries that the scoring service needs, with their versions and licences.

A Bento pins all of them, so that an image which is built in a year holds what its bill of materials says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from foretwin.errors import RegistryError

# What the served modules import, or load by name (httptools and uvloop, which uvicorn takes where they are there).
REQUIREMENTS = (
    "cryptography",
    "filelock",
    "httptools",
    "numpy",
    "onnxruntime",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation-asgi",
    "opentelemetry-sdk",
    "orjson",
    "pandas",
    "prometheus-client",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "starlette",
    "uvicorn",
    "uvloop",
)


@dataclass(frozen=True)
class Library:
    """One installed distribution: canonical name, licence, names of its requirements."""

    name: str
    version: str
    licence: str | None
    spdx: bool  # whether `licence` is an SPDX expression
    needs: tuple[str, ...]


def closure(names: Iterable[str] = REQUIREMENTS) -> list[Library]:
    """Return these libraries and all their requirements on this platform, by name; RegistryError for a missing one."""
    waiting, found = [Requirement(name) for name in names], dict[tuple[str, frozenset[str]], Library]()
    while waiting:
        requirement = waiting.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in found:
            continue
        try:
            installed = distribution(requirement.name)
        except PackageNotFoundError:
            raise RegistryError(f"{requirement.name}: is not installed; run `make setup` again") from None
        needed = _needs(installed, requirement.extras)
        licence, spdx = _licence(installed)
        found[key] = Library(key[0], installed.version, licence, spdx, tuple(sorted(map(_name, needed))))
        waiting.extend(needed)
    return _by_name(found.values())


def pinned(libraries: Iterable[Library]) -> str:
    """Return the text of a requirements file."""
    return "".join(f"{library.name}=={library.version}\n" for library in libraries)


def _by_name(found: Iterable[Library]) -> list[Library]:
    """Merge requirements by name: one asked for with and without extras needs the sum of both."""
    merged = dict[str, Library]()
    for one in found:
        needs = {*one.needs, *(merged[one.name].needs if one.name in merged else ())}
        merged[one.name] = Library(one.name, one.version, one.licence, one.spdx, tuple(sorted(needs)))
    return [merged[name] for name in sorted(merged)]


def _needs(installed: Distribution, extras: set[str]) -> list[Requirement]:
    """Return a distribution's requirements on this platform, with these extras."""
    chosen = [{"extra": extra} for extra in ("", *extras)]
    every = map(Requirement, installed.requires or [])
    return [one for one in every if not one.marker or any(one.marker.evaluate(extra) for extra in chosen)]


def _name(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def _licence(installed: Distribution) -> tuple[str | None, bool]:
    """Return the licence, and whether it is an SPDX expression, which the older field need not be."""
    said = installed.metadata.json
    if "license_expression" in said:
        return str(said["license_expression"]), True
    named = str(said.get("license", "")).strip().split("\n")[0]
    return named or None, False
