"""Show the timeline of an asset: `foretwin thread`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    pass

MOST_SHOWN = 50


@click.command("thread")
@click.argument("asset")
@click.option("--at", metavar="MOMENT", help="What was known then, and what had happened: 2026-11-21T12:00, in UTC.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many entries.")
def thread_command(asset: str, at: str | None, limit: int) -> None:
    """Show the timeline of an asset, the newest last.

    Readings per hour, scores that changed, cases, verdicts, maintenance, parts, and what else people did.

    \b
      foretwin thread P-017 --at 2026-11-21T12:00
    """
    from datetime import UTC, datetime

    from foretwin.cli import tables
    from foretwin.cli.project import contract_named, load_project, moment_option, opened_store
    from foretwin.twin.store import assets
    from foretwin.twin.timeline import state
    from foretwin.twin.timeline import thread as timeline

    contracts, then = load_project(), moment_option(at)
    with opened_store() as store, store.read() as connection:
        found = assets.find_asset(connection, asset)
        contract = contract_named(contracts, found.twin)
        known = state(connection, contract, found, then, datetime.now(UTC)) if then else None
        entries = timeline(connection, contract, found, None, then, limit)
    if known:
        score = known["score"]
        facts = {
            "at": then,
            "last reading": known["reading"],
            "stale": known["stale"],
            "remaining life": tables.life(score.rul, score.rul_low, score.rul_high) if score else None,
            "diagnosis": score.diagnosis if score else None,
            "parts": "; ".join(part.part for part in known["parts"]),
            "open cases": "; ".join(f"{one['case']}: {one['fault']}, {one['state']}" for one in known["open_cases"]),
        }
        tables.show_table(("known", "then"), [(name, tables.told(value)) for name, value in facts.items()])
    shown = []
    for entry in entries:
        when, kind, action = entry.pop("at"), entry.pop("kind"), entry.pop("action", "")
        shown.append((when, f"{kind} {action}".strip(), tables.entry(kind, entry)))
    tables.show_table(("at (UTC)", "what", "details"), shown)
