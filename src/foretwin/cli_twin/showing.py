"""Commands that show: the fleet, an asset's thread, cases, the quarantine, deliveries."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foretwin.contract import Twin
    from foretwin.twin.store import Store

MOST_SHOWN = 50


@click.command()
@click.option("--twin", help="Only this twin's assets.")
@click.option("--stale", is_flag=True, help="Only those that have been silent for too long.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def twins(twin: str | None, stale: bool, limit: int) -> None:
    """Show the fleet, the shortest remaining life first.

    Times are UTC; a life is shown with its interval.

    \b
      foretwin twins --twin pump
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin import tables
    from foretwin.cli_twin.project import contract_named, load_project, opened_store
    from foretwin.twin.store import listing
    from foretwin.twin.watch.staleness import heard_since, is_stale

    contracts, now = load_project(), datetime.now(UTC)
    filters = {"twin": contract_named(contracts, twin).name} if twin else {}
    with opened_store() as store, store.read() as connection:
        page = listing.Page(limit + 1, 0, "rul_low", descending=False)
        rows = listing.fleet(connection, page, filters, stale or None, heard_since(contracts, now))
    shown = []
    for row in rows[:limit]:
        score = row["score"] or {}
        silent = row["twin"] in contracts and is_stale(contracts[row["twin"]], row["received_at"], now)
        left = tables.life(score.get("rul"), score.get("rul_low"), score.get("rul_high"))
        diagnosis = tables.diagnosis(score.get("diagnosis", {}))
        silence = (now - row["received_at"]).total_seconds() if row["received_at"] else None
        heard = tables.age(silence) + (" (stale)" if silent else "")
        shown.append((row["name"], row["twin"], row["run"], row["time"], left, diagnosis, row["open_cases"], heard))
    columns = ("asset", "twin", "run", "time", "remaining life", "diagnosis", "cases", "last heard")
    tables.show(columns, shown, "there are more; --limit shows them" if len(rows) > limit else "")


@click.command()
@click.argument("asset")
@click.option("--at", metavar="MOMENT", help="What was known then, and what had happened: 2026-11-21T12:00, in UTC.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many entries.")
def thread(asset: str, at: str | None, limit: int) -> None:
    """Show what happened to an asset, the newest last.

    Readings per hour, scores that changed, cases, verdicts, maintenance, parts, and what else people did.

    \b
      foretwin thread P-017 --at 2026-11-21T12:00
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin import tables
    from foretwin.cli_twin.project import contract_named, load_project, moment, opened_store
    from foretwin.twin.records.thread import state
    from foretwin.twin.records.thread import thread as timeline
    from foretwin.twin.store import assets

    contracts, then = load_project(), moment(at)
    with opened_store() as store, store.read() as connection:
        found = assets.find(connection, asset)
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
        tables.show(("known", "then"), [(name, tables.told(value)) for name, value in facts.items()])
    shown = []
    for entry in entries:
        when, kind, action = entry.pop("at"), entry.pop("kind"), entry.pop("action", "")
        shown.append((when, f"{kind} {action}".strip(), tables.entry(kind, entry)))
    tables.show(("at (UTC)", "what", "details"), shown)


@click.command()
@click.option("--state", type=click.Choice(["open", "acknowledged", "closed"]), help="Only those in this state.")
@click.option("--twin", help="Only this twin's.")
@click.option("--asset", help="Only this asset's.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def cases(state: str | None, twin: str | None, asset: str | None, limit: int) -> None:
    """List the cases, the newest first.

    \b
      foretwin cases --state open
      foretwin case 12                   what to do about one of them
    """
    from foretwin.cli_twin import tables
    from foretwin.cli_twin.project import load_project, opened_store
    from foretwin.twin.store import listing

    load_project()
    filters = {name: value for name, value in (("state", state), ("twin", twin), ("asset", asset)) if value}
    with opened_store() as store, store.read() as connection:
        rows = listing.list_cases(connection, listing.Page(limit + 1, 0, "opened_at", descending=True), filters)
    shown = [
        (
            row["id"],
            row["asset_name"] or f"fleet of {row['twin']}",
            row["fault"],
            row["severity"],
            row["state"] + (f" ({row['closed_because']})" if row["closed_because"] else ""),
            row["opened_at"],
            tables.life(row["rul"], row["rul_low"], row["rul_high"]),
        )
        for row in rows[:limit]
    ]
    columns = ("case", "asset", "fault", "severity", "state", "opened (UTC)", "remaining life")
    tables.show(columns, shown, "there are more; --limit shows them" if len(rows) > limit else "")


@click.command()
@click.argument("number", type=int)
def case(number: int) -> None:
    """Show the service request of a case.

    Fault, remaining life, part, instruction, skills, and until when it is to be done.

    \b
      foretwin case 12
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin.monitoring import fleet_case_text
    from foretwin.cli_twin.project import contract_named, load_project, opened_store
    from foretwin.twin.casework.service_request import as_text, service_request
    from foretwin.twin.store import cases as stored

    contracts = load_project()
    with opened_store() as store, store.read() as connection:
        found = stored.find(connection, number)
        if found.asset is None:
            click.echo(fleet_case_text(found), nl=False)
            return
        request = service_request(connection, contract_named(contracts, found.twin), found, datetime.now(UTC))
    click.echo(as_text(request), nl=False)


@click.command()
@click.option("--release", metavar="ID", type=int, help="Send this one again, with the check of its clock off.")
@click.option("--asset", help="Only this asset's.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def quarantine(release: int | None, asset: str | None, limit: int) -> None:
    """List what was not stored, and why; or release it.

    \b
      foretwin quarantine
      foretwin quarantine --release 7
    """
    from foretwin.cli_twin import tables
    from foretwin.cli_twin.project import load_project, opened_store
    from foretwin.twin.store import listing

    contracts = load_project()
    with opened_store() as store:
        if release is not None:
            _release(store, contracts, release)
            return
        with store.read() as connection:
            page = listing.Page(limit + 1, 0, "received_at", descending=True)
            rows = listing.list_quarantine(connection, page, {"asset": asset} if asset else {}, released=False)
    names = ("id", "received_at", "via", "twin", "asset", "reason", "field", "detail")
    shown = [tuple(row[name] for name in names) for row in rows[:limit]]
    tables.show(names, shown, "there are more; --limit shows them" if len(rows) > limit else "")


def _release(store: "Store", contracts: "dict[str, Twin]", number: int) -> None:
    from datetime import UTC, datetime

    from foretwin.cli_twin.project import person
    from foretwin.errors import BadInput
    from foretwin.twin.intake.ingest import release

    receipt = release(store, contracts, number, person(), datetime.now(UTC))
    if receipt.rejected:
        again = receipt.rejected[0]
        raise BadInput("--release", f"{number} is refused again: {again.reason}: {again.field} {again.detail}")
    click.echo(f"released {number}: {receipt.stored} stored, {receipt.duplicates} there already")


@click.command()
@click.option("--state", default="dead", show_default=True, type=click.Choice(["waiting", "delivered", "dead"]))
@click.option("--revive", is_flag=True, help="Have those that were given up sent again.")
@click.option("--limit", default=MOST_SHOWN, show_default=True, type=click.IntRange(1), help="How many.")
def deliveries(state: str, revive: bool, limit: int) -> None:
    """List the events that could not be delivered.

    \b
      foretwin deliveries
      foretwin deliveries --revive       `foretwin watch` sends them again
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin import tables
    from foretwin.cli_twin.project import load_project, opened_store
    from foretwin.twin.store import events, listing

    load_project()
    with opened_store() as store:
        if revive:
            with store.write() as connection:
                count = events.revive(connection, None, datetime.now(UTC))
            click.echo(f"{count} deliveries wait again; `foretwin watch` sends them")
            return
        with store.read() as connection:
            page = listing.Page(limit + 1, 0, "due_at", descending=True)
            rows = listing.list_deliveries(connection, page, {"state": state})
    names = ("at", "type", "subject", "target", "attempts", "error")
    shown = [tuple(row[name] for name in names) for row in rows[:limit]]
    tables.show(names, shown, "there are more; --limit shows them" if len(rows) > limit else "")
