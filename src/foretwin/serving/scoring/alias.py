"""The registry's alias `champion`, watched by a service that has no room for MLflow.

Where the alias may have moved, a short-lived process, `foretwin.registry.sync`, keeps the champions that it names
in models/<twin>/champion, from where they are served like any other. Roll-back is the same: the alias is moved back.
"""

import logging
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import orjson

from foretwin.champion.champion import file_stamp, kept_champions
from foretwin.errors import BundleError, ParamsError
from foretwin.serving.scoring.metrics import Metrics

SQLITE = "sqlite:///"
SECONDS = "60"  # between two looks at a registry that is no local file, or that could not be followed
LONGEST = 600.0  # seconds that one look may take: a bundle may come from far away
EVERY_TWIN = "*"

logger = logging.getLogger("foretwin.service")


@dataclass(frozen=True)
class Running:
    """A process, what it writes, and until when it may run."""

    process: subprocess.Popen[bytes]
    lines: IO[bytes]
    complaints: IO[bytes]
    deadline: float

    def close(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        self.lines.close()
        self.complaints.close()


class Alias:
    """When the process is to run, and what became of it; there is never more than one."""

    def __init__(self, root: Path, metrics: Metrics, environ: Mapping[str, str]) -> None:
        """FORETWIN_FOLLOW_SECONDS is the time between looks, 0 for never; ParamsError where it is no such number."""
        self._root, self._metrics, self._environ = root, metrics, dict(environ)
        self._seconds = _seconds(environ.get("FORETWIN_FOLLOW_SECONDS", SECONDS))
        uri = environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{root.resolve() / 'mlflow.db'}"
        self._database = root / uri.removeprefix(SQLITE) if uri.startswith(SQLITE) else None
        self._running: Running | None = None
        self._next: float | None = None if self._database else 0.0  # when to look without any sign of a change
        self._stamps: object = None
        self._named: frozenset[tuple[str, str]] | None = None
        self._told: dict[str, str] = {}
        if self._seconds and find_spec("mlflow") is None:
            logger.info("MLflow is not installed here: champions are followed in models/*/champion alone")
            self._seconds = 0.0

    def look(self) -> None:
        """Start the process if it is due, or take in what it did; never waits for it."""
        if self._running is not None:
            self._take_in(self._running)
        elif self._seconds and self._due():
            self._start()

    def close(self) -> None:
        """End a process that still runs."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def _due(self) -> bool:
        timed = self._next is not None and time.monotonic() >= self._next
        return timed if self._database is None else self._moved(self._database) or timed

    def _moved(self, database: Path) -> bool:
        """Whether the alias of a local store names what it did not name before, and what is not kept yet."""
        stamps = tuple(file_stamp(database.with_name(database.name + ending)) for ending in ("", "-wal"))
        if stamps[0] is None or stamps == self._stamps:
            return False
        self._stamps = stamps
        before, self._named = self._named, _aliased(database)
        if self._named is None:
            return True
        return self._named != before and not self._named <= _kept(self._root)

    def _start(self) -> None:
        command = [sys.executable, "-P", "-m", "foretwin.registry.sync", str(self._root.resolve())]
        lines, complaints = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by Running
        process = subprocess.Popen(
            command, cwd=self._root, env=self._environ, stdin=subprocess.DEVNULL, stdout=lines, stderr=complaints
        )
        self._running = Running(process, lines, complaints, time.monotonic() + LONGEST)

    def _take_in(self, running: Running) -> None:
        code = running.process.poll()
        if code is None and time.monotonic() < running.deadline:
            return
        running.lines.seek(0)
        running.complaints.seek(0)
        changes = [orjson.loads(line) for line in running.lines.read().splitlines()]
        last = running.complaints.read().decode(errors="replace").strip().splitlines()[-1:]
        self.close()
        failed = {change["twin"]: change["error"] for change in changes if "error" in change}
        if code is None:
            failed[EVERY_TWIN] = f"took longer than {LONGEST:g} s"
        elif code != 0 and not failed:
            failed[EVERY_TWIN] = last[0] if last else f"its process ended with {code}"
        self._tell(changes, failed)
        again = self._database is None or failed
        self._next = time.monotonic() + self._seconds if again else None

    def _tell(self, changes: list[dict[str, Any]], failed: dict[str, str]) -> None:
        for change in changes:
            if "error" not in change:
                came = f"version {change['before']}" if change["before"] else "none"
                logger.info("%s: the registry names version %s, kept was %s", change["twin"], change["version"], came)
        for twin, reason in failed.items():
            self._metrics.swapped(twin, "failed")
            if self._told.get(twin) != reason:
                logger.error("%s: the registry could not be followed: %s", twin, reason)
        self._told = failed


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ParamsError(f'FORETWIN_FOLLOW_SECONDS: is "{text[:60]}", a number of seconds is needed, 0 for never')
    return float(text)


def _aliased(database: Path) -> frozenset[tuple[str, str]] | None:
    """Each registered model with the digest of the bundle that its alias names; None where it cannot be told."""
    query = (
        "SELECT a.name, t.value FROM registered_model_aliases AS a LEFT JOIN model_version_tags AS t"
        " ON t.name = a.name AND t.version = a.version AND t.key = 'foretwin.bundle'"
        " WHERE a.alias = 'champion' AND a.name LIKE 'foretwin-%'"
    )
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=1)) as connection:
            return frozenset((str(name), str(digest)) for name, digest in connection.execute(query))
    except sqlite3.Error:  # another version's tables, or busy: MLflow itself will tell
        return None


def _kept(root: Path) -> frozenset[tuple[str, str]]:
    """Each twin's registered model with the digest of the champion that is kept."""
    try:
        return frozenset((f"foretwin-{kept.twin}", kept.identity.digest) for kept in kept_champions(root))
    except BundleError:  # one is damaged: whatever the alias names takes its place
        return frozenset()
