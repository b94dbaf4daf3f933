"""Report progress of running commands: changed cases, and totals at the end."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import click

from foretwin.errors import StoreError
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.store import Store, timeline

COUNTED = ("stored", "duplicates", "late", "gaps", "waiting")
REFUSED = ("quarantined", "of these only counted")


@dataclass
class Totals:
    """Counts of readings by kind."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, receipt: Receipt) -> None:
        """Add one transaction's counts."""
        self.counts.update({name: getattr(receipt, name) for name in COUNTED})
        self.counts.update({"quarantined": len(receipt.rejected), "of these only counted": receipt.counted})

    def __str__(self) -> str:
        words = ", ".join(f"{self.counts[name]} {name}" for name in (*COUNTED[1:], *REFUSED) if self.counts[name])
        return f"{self.counts['stored']} readings stored{f' ({words})' if words else ''}"


@dataclass
class CaseNews:
    """Changes of cases in the audit, each reported once; those before the first look are not."""

    after: int | None = None  # the audit's newest entry that was seen
    counts: Counter[str] = field(default_factory=Counter)

    def tell(self, store: Store) -> None:
        """Print a line for each new change; while the store is unavailable, they wait for the next look."""
        try:
            changes = self._read(store)
        except StoreError:  # the scoring loop logs it
            return
        for change in changes:
            self.after = change["id"]
            action = change["action"].partition(".")[2]
            self.counts[action] += 1
            detail = change["detail"]
            who = change["asset_name"] or f"fleet of {change['twin']}"
            because = f" ({detail['because']})" if "because" in detail else ""
            severity = f", {detail['severity']}" if action in ("opened", "escalated") else ""
            click.echo(
                f"{change['at']:%H:%M:%S}  {who}: case {change['case']} {action}: {change['fault']}{severity}{because}"
            )

    def _read(self, store: Store) -> list[dict[str, Any]]:
        with store.read() as connection:
            if self.after is None:
                self.after = timeline.newest_entry(connection)
            return timeline.case_changes(connection, self.after)

    def __str__(self) -> str:
        words = ", ".join(f"{count} {action}" for action, count in self.counts.items())
        return f"ended; cases: {words or 'no change'}"
