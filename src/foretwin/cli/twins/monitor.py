"""Check for drift and realised errors: `foretwin monitor`."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from foretwin.twin.store.casework.cases import Case

UNITS = {"min": 60, "h": 3600, "d": 86400}
Report = dict[str, Any]


@click.command("monitor")
@click.argument("twin")
@click.option("--since", metavar="7d", help="Compare what came in since then: 30min, 12h, 7d.")
@click.option("--readings", type=click.IntRange(1, 20_000), help="Compare so many, the newest.  [default: 500]")
@click.option("--every", type=click.FloatRange(1), metavar="SECONDS", help="Look again and again, until Ctrl-C.")
@click.option("--retrain", is_flag=True, help="Train again where a limit is broken and verdicts have taught something.")
def monitor_command(twin: str, since: str | None, readings: int | None, every: float | None, retrain: bool) -> None:
    """Check for drift, and compare scores with what became true.

    Readings of healthy life are compared with those that the champion was trained on, and its scores with the runs that
    have failed since. A broken limit opens a case of the fleet. Writes reports/monitor/TWIN/: report.html, report.json,
    and metrics.prom for Prometheus.

    \b
      foretwin monitor pump
      foretwin monitor pump --since 12h
      foretwin monitor pump --every 3600 --retrain
    """
    from datetime import UTC, datetime

    from foretwin.cli.project import PROJECT, contract_named, load_project, opened_store, stop_on_signals
    from foretwin.errors import BadInput
    from foretwin.twin.monitoring.reports import folder_of
    from foretwin.twin.monitoring.run import READINGS, MonitorSettings
    from foretwin.twin.monitoring.run import monitor as look

    if since and readings:
        raise BadInput("--since", "and --readings exclude each other")
    contract = contract_named(load_project(), twin)
    settings = MonitorSettings(readings or READINGS, parse_period(since) if since else None)
    with opened_store() as store, stop_on_signals() as stop:

        def once() -> Report:
            report = look(store, PROJECT, contract, settings, datetime.now(UTC))
            show_report(report)
            click.echo(f"wrote {folder_of(PROJECT, twin)}/report.html")
            return report

        def train_again() -> None:
            from foretwin.twin.retraining import retrain as run

            done = run(PROJECT, store, twin, datetime.now(UTC))
            click.echo(f"retrain {twin}: {done.decision}{': ' if done.reasons else ''}{'; '.join(done.reasons)}")

        repeat(once, train_again if retrain else None, every, stop)


def repeat(look: Callable[[], Report], retrain: Callable[[], None] | None, every: float | None, stop: Event) -> None:
    """Run once, or every so many seconds until `stop` is set; retrain where a report asks for it.

    What goes wrong in one of many looks is told, and the next one tries again; a single look raises it.
    """
    from foretwin.errors import ForetwinError

    while not stop.is_set():
        try:
            report = look()
            if retrain is not None and report["verdict"]["retrain"]:
                retrain()
        except ForetwinError as error:
            if every is None:
                raise
            click.echo(str(error), err=True)
        if every is None or stop.wait(every):
            return


def parse_period(text: str) -> timedelta:
    """Parse a duration such as 30min, 12h or 7d; BadInput where it is invalid."""
    from foretwin.errors import BadInput

    found = re.fullmatch(r"(\d{1,5}(?:\.\d+)?)(min|h|d)", text)
    if found is None or float(found[1]) == 0:
        raise BadInput("--since", f"is {text}; a length of time such as 30min, 12h or 7d is needed")
    return timedelta(seconds=float(found[1]) * UNITS[found[2]])


def show_report(report: Report) -> None:
    """Print a report: verdict, broken limits, realised errors, actions."""
    verdict, truth = report["verdict"], report["truth"]
    click.echo(f"{report['twin']}: {verdict['summary']} (champion version {report['champion']['version']})")
    for sentence in (*verdict["limits_broken"], *verdict["signals_broken"]):
        click.echo(f"  {sentence}")
    if truth["failures"]:
        alarms = sum(truth["false_alarms"].values())
        missed = f"{truth['missed_failures']} of them without a case before"
        click.echo(f"  {truth['failures']} scored runs failed, {missed}; {alarms} false alarms")
    for model in truth["models"]:
        click.echo(
            f"  version {model['version']}: RMSE {model['rmse']:.4g} {report['unit']} "
            f"({model['rmse_low']:.4g} to {model['rmse_high']:.4g}) over {model['runs']} runs that failed, "
            f"intervals held {model['coverage']:.0%}"
        )
    if report["case"]:
        click.echo(f"  case {report['case']['case']} {report['case']['done']}")
    if verdict["retrain"]:
        click.echo(f"  {report['unlearnt_runs']} runs have not been learnt from: `foretwin retrain {report['twin']}`")


def fleet_case_text(case: "Case", waiting: "Sequence[Mapping[str, Any]]" = ()) -> str:
    """Render a fleet's case as Markdown: it has no service request; `waiting` is what a digest lists."""
    from foretwin.twin.cases.markdown import escape_markdown

    times = f"opened {case.opened_at:%Y-%m-%d %H:%M} UTC, {case.state}"
    because = f" ({case.closed_because})" if case.closed_because else ""
    lines = [
        f"# Case {case.id}: {case.fault} in the fleet of {case.twin}",
        "",
        f"{case.severity}, {times}{because}",
        "",
    ]
    listed = ("{name}: {fault}, {severity}, waiting since {since:%Y-%m-%d %H:%M} UTC".format(**one) for one in waiting)
    lines += [f"- {escape_markdown(line)}" for line in (*case.evidence.get("sentences", []), *listed)]
    return "\n".join(lines) + "\n"
