"""Versions, permissions, disk and clock of the machine."""

import ctypes
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from foretwin import __version__
from foretwin.operations.doctor.finding import DoctorFinding, Installation, Level
from foretwin.project.settings import read_setting
from foretwin.serving.access.keys import keys_path
from foretwin.twin.store.database import parse_store_url, store_url

PYTHON = (3, 11)
OTHERS = stat.S_IRWXG | stat.S_IRWXO
SCARCE, NONE_LEFT = 2**30, 100 * 2**20  # bytes of a disk that are a warning, and a failure
UNSYNCHRONISED = 0x40  # of the kernel's clock status


def check_versions(_: Installation) -> Iterator[DoctorFinding]:
    """Compare Python and the libraries with what this version asks for."""
    if sys.version_info < PYTHON:
        yield DoctorFinding("fail", "versions", f"Python {sys.version.split()[0]}: 3.11 or newer is needed")
    wrong, missing = [], []
    for requirement in map(Requirement, requires("foretwin") or ()):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            missing.append(requirement.name)
            continue
        if not requirement.specifier.contains(there, prereleases=True):
            wrong.append(f"{requirement.name} {there}, not {requirement.specifier}")
    for line in wrong:
        yield DoctorFinding("fail", "versions", f"{line}; install the pins of constraints.txt")
    if missing:
        yield DoctorFinding(
            "warn", "versions", f"not installed: {', '.join(missing)}; what needs them does not run here"
        )
    if not wrong:
        yield DoctorFinding(
            "ok", "versions", f"Foretwin {__version__}, Python {sys.version.split()[0]}, libraries as asked for"
        )


def check_permissions(place: Installation) -> Iterator[DoctorFinding]:
    """Check who may read secrets and states, and that this user may write."""
    exposed = [path for path in _private_files(place) if path.exists() and path.stat().st_mode & OTHERS]
    for path in exposed:
        yield DoctorFinding(
            "fail", "permissions", f"{path}: others on this machine may read or change it; `chmod 600 {path}`"
        )
    closed = [folder for folder in _written_folders(place) if not os.access(folder, os.W_OK | os.X_OK)]
    for folder in closed:
        yield DoctorFinding(
            "fail", "permissions", f"{folder}: this user may not write there; `chown` it, or run as its owner"
        )
    if not exposed and not closed:
        yield DoctorFinding("ok", "permissions", "secrets and store are their owner's alone, and this user may write")


def check_disk(place: Installation) -> Iterator[DoctorFinding]:
    """Check the room where store, archive and champions lie."""
    seen = set()
    for folder in _written_folders(place):
        device = folder.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        room = shutil.disk_usage(folder).free
        level: Level = "fail" if room < NONE_LEFT else "warn" if room < SCARCE else "ok"
        advice = "" if level == "ok" else "; make room, or shorten `retention:` in twin.yaml"
        yield DoctorFinding(level, "disk", f"{room / 2**30:.1f} GB are free at {folder.resolve()}{advice}")


def check_clock(_: Installation) -> Iterator[DoctorFinding]:
    """Check that something keeps the machine's clock right: moments of receipt come from it."""
    buffer = ctypes.create_string_buffer(512)  # struct timex, of which only the status is read
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex") or libc.adjtimex(buffer) < 0:
        yield DoctorFinding("warn", "clock", "cannot be asked whether it is synchronised")
    elif int.from_bytes(buffer.raw[40:44], sys.byteorder) & UNSYNCHRONISED:
        yield DoctorFinding("warn", "clock", "nothing synchronises it; start chrony or systemd-timesyncd")
    else:
        yield DoctorFinding("ok", "clock", "is synchronised")


def _private_files(place: Installation) -> Iterator[Path]:
    yield keys_path(place.root, place.environ)
    if place.env_file:
        yield place.env_file
    store = _store_file(place)
    if store:
        yield from (store, store.with_name(f"{store.name}-wal"))


def _store_file(place: Installation) -> Path | None:
    url = parse_store_url(store_url(place.root, place.environ))
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _written_folders(place: Installation) -> list[Path]:
    folders = [place.root, *(store.parent for store in (_store_file(place),) if store)]
    archive = read_setting("FORETWIN_ARCHIVE", place.environ)
    return [folder for folder in [*folders, *([Path(archive)] if archive else [])] if folder.exists()]
