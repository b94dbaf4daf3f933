"""Report progress of running commands: changed cases, and totals at the end."""

from collections import Counter
from dataclasses import dataclass, field

import click

from foretwin.twin.ingest.ingest import Receipt
from foretwin.twin.store import Store, timeline

COUNTED = ("stored", "duplicates", "late", "gaps")


@dataclass
class Totals:
    """Counts of readings by kind."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, receipt: Receipt) -> None:
        """Add one transaction's counts."""
        self.counts.update({name: getattr(receipt, name) for name in COUNTED})
        self.counts["quarantined"] += len(receipt.rejected)

    def __str__(self) -> str:
        words = ", ".join(f"{self.counts[name]} {name}" for name in (*COUNTED[1:], "quarantined") if self.counts[name])
        return f"{self.counts['stored']} readings stored{f' ({words})' if words else ''}"


@dataclass
class CaseNews:
    """Changes of cases in the audit after the entry `after`, each reported once."""

    after: int
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def from_now(cls, store: Store) -> "CaseNews":
        """Report only changes from now on."""
        with store.read() as connection:
            return cls(timeline.newest_entry(connection))

    def tell(self, store: Store) -> None:
        """Print a line for each new change."""
        with store.read() as connection:
            changes = timeline.case_changes(connection, self.after)
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

    def __str__(self) -> str:
        words = ", ".join(f"{count} {action}" for action, count in self.counts.items())
        return f"ended; cases: {words or 'no change'}"
