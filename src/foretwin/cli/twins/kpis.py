"""Show key figures of the fleet: `foretwin kpis`."""

from pathlib import Path

import click

PERIODS = ("month", "week", "day", "all")
MOST_PERIODS = 5  # the last ones, and the whole, are shown; a file holds all


@click.command("kpis")
@click.option("--twin", help="Only this twin's; all that have assets where left out.")
@click.option("--period", default="month", show_default=True, type=click.Choice(PERIODS), help="The last are shown.")
@click.option("--since", metavar="DATE", help="The first day, such as 2026-01-01; that of the first asset if left out.")
@click.option("--until", metavar="DATE", help="The last day; today if left out. Days are UTC.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a .html, .json or .csv as well.")
def kpis_command(twin: str | None, period: str, since: str | None, until: str | None, out: Path | None) -> None:
    """Show the fleet's key figures: failures foreseen, missed and avoided, false alarms, lead time, cost.

    Costs are those that the contract assumes (`costs`). docs/key-figures.md says how each figure is counted.

    \b
      foretwin kpis --twin pump
      foretwin kpis --period week --since 2026-10-01 --out october.html
    """
    from datetime import UTC, datetime

    from foretwin.cli import tables
    from foretwin.cli.project import contract_named, load_project, opened_store
    from foretwin.twin import kpis as figures
    from foretwin.twin.kpis.counts import keep_counts
    from foretwin.twin.kpis.periods import PeriodRequest, read_day
    from foretwin.twin.kpis.shown import columns, rows
    from foretwin.twin.kpis.writing import check_form, write_reports

    contracts, now = load_project(), datetime.now(UTC)
    if twin is not None:
        contract_named(contracts, twin)
    first, last = (None if day is None else read_day(f"--{n}", day) for n, day in (("since", since), ("until", until)))
    asked = PeriodRequest(length=period, since=first, until=last)  # type: ignore[arg-type]
    if out:
        check_form(out)
    with opened_store() as store:
        for name in contracts if twin is None else (twin,):
            keep_counts(store, name)
        with store.read() as connection:
            wanted = figures.reported(connection, contracts, twin)
            reports = [figures.kpis(connection, contract, asked, now) for contract in wanted]
    for report in reports:
        click.echo(f"{report['title']}, {report['since']} to {report['until']}")
        lines = rows(report)[-MOST_PERIODS:]
        down = zip(("", *columns(report)), *lines, strict=True)  # a figure per line: so many do not stand side by side
        tables.show_table(next(down), list(down), "\n".join(report["assumptions"]))
    if not reports:
        click.echo("no asset is known yet; readings make them known")
    if out:
        write_reports(reports, out)
        click.echo(f"wrote {out}")
