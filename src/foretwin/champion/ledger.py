"""Ledger of the decisions about a twin's champions: one JSON line each, with time, actor and reasons.

Lines of models/<twin>/ledger.jsonl are only ever appended. Each holds the SHA-256 of the line before it, so that a
changed or removed line is detected; the file is not the output of a stage, and belongs in version control.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from filelock import lock_descriptor

from foretwin.errors import RegistryError
from foretwin.project.digests import text_digest

Action = Literal["promoted", "refused", "forced", "rolled_back"]
FIRST = "0" * 64  # previous digest in the first line


@dataclass(frozen=True)
class LedgerEntry:
    """A decision of the ledger. Versions are those of the registry; `bundle` is the digest of the decided version."""

    at: datetime  # with its time zone
    action: Action
    version: str
    bundle: str
    run: str
    champion_before: str | None  # version
    champion: str | None  # version, after the decision
    reasons: tuple[str, ...]  # sentences of the gate
    actor: str
    reason: str | None = None  # given by a person, for a forced promotion or a roll-back

    def line(self, previous: str) -> str:
        """Format the entry as the line after the one with this digest."""
        content = {**asdict(self), "at": self.at.astimezone(UTC).isoformat(timespec="seconds")}
        return json.dumps({**content, "previous": previous}, ensure_ascii=False)

    @classmethod
    def of(cls, content: dict[str, object]) -> Self:
        """Build the entry from a line's JSON."""
        values = {name: content[name] for name in cls.__dataclass_fields__}
        at, reasons = datetime.fromisoformat(str(values["at"])), values["reasons"]
        if not isinstance(reasons, list):
            raise TypeError("reasons are no list")
        return cls(**{**values, "at": at, "reasons": tuple(map(str, reasons))})  # type: ignore[arg-type]  # checked by use


def read(path: Path) -> list[LedgerEntry]:
    """Read the decisions, the oldest first; RegistryError names the first altered line."""
    return _read(path, _lines(path))


def taken_back(entries: Sequence[LedgerEntry]) -> dict[str, LedgerEntry]:
    """Return version -> its roll-back, for versions that have not been champion again since."""
    left: dict[str, LedgerEntry] = {}
    for entry in entries:
        if entry.action == "rolled_back":
            left[entry.version] = entry
        if entry.action != "refused":
            left.pop(entry.champion or "", None)
    return left


def append(path: Path, entry: LedgerEntry) -> None:
    """Append a decision; RegistryError, and nothing is written, where an earlier line was altered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        lock_descriptor(file.fileno())
        file.seek(0)  # where others cannot read a locked file, its own reader can
        lines = file.read().splitlines()
        _read(path, lines)
        file.write(entry.line(text_digest(lines[-1]) if lines else FIRST) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _read(path: Path, lines: Sequence[str]) -> list[LedgerEntry]:
    entries, previous = [], FIRST
    for number, line in enumerate(lines, 1):
        try:
            content = dict(json.loads(line))
            entries.append(LedgerEntry.of(content))
        except (ValueError, TypeError, KeyError) as error:
            raise RegistryError(f"{path}:{number}: not a decision: {error}; bring the file back as it was") from None
        if content.get("previous") != previous:
            raise RegistryError(f"{path}:{number}: does not follow the line before it: one was changed or taken out")
        previous = text_digest(line)
    return entries
