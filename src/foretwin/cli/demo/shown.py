"""Output of the demonstration: the fleet as a table, a line per case, and a conclusion."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.table import Table

from foretwin.cli.project import command_prefix
from foretwin.project.entrypoint import show_progress

console = Console()


@contextmanager
def live_table() -> Iterator[Callable[[Table], None]]:
    """Yield a function that shows a table in place of the last one; where nobody watches it shows nothing."""
    if not show_progress():
        yield lambda _: None
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda current: live.update(current, refresh=True)


def opening(case: dict[str, Any]) -> str:
    """Describe a case that has opened, in one line."""
    when = f"at {case['opened_time']:g} h"
    return f"case {case['id']}: {case['asset']} {when}: {case['fault']}, {case['severity']}"


def table(twins: list[dict[str, Any]], cases: list[dict[str, Any]], rows: pd.DataFrame) -> Table:
    """Lay out the fleet, one line per pump."""
    failed = rows[rows["failed"]].set_index("asset")["time"]
    by_asset = {case["asset"]: case for case in cases if case["state"] != "closed"}
    fleet = Table(title="the fleet")
    for heading in ("pump", "age (h)", "RUL (h)", "90 % interval", "diagnosis", "case", ""):
        fleet.add_column(heading, justify="left" if heading in ("pump", "diagnosis", "case", "") else "right")
    for twin in twins:
        score, case = twin["last_score"], by_asset.get(twin["asset"])
        reading = twin["last_reading"]
        cells = ["", "", "not enough readings yet"]
        if score:
            rul = score["rul"]
            cells = [f"{rul['value']:.0f}", f"{rul['low']:.0f} to {rul['high']:.0f}", score["diagnosis"]["mode"]]
        over = reading and failed.get(twin["asset"]) == reading["time"]
        about = f"{case['id']}, {case['severity']}" if case else ""
        end = "[red]failed[/red]" if over else ""
        fleet.add_row(twin["asset"], f"{reading['time']:g}" if reading else "", *cells, about, end)
    return fleet


def conclusion(cases: list[dict[str, Any]], rows: pd.DataFrame) -> str:
    """Tell how long before each failure its first case had opened, and what to do next."""
    opened: dict[str, float] = {}
    for case in cases:
        opened[case["asset"]] = min(case["opened_time"], opened.get(case["asset"], float("inf")))
    failures = rows[rows["failed"]].set_index("asset")["time"]
    ahead = sorted(time - opened[name] for name, time in failures.items() if name in opened and opened[name] < time)
    lines = [f"{len(ahead)} of {len(failures)} failures had a case before they came"]
    if ahead:
        lines.append(f"{ahead[len(ahead) // 2]:g} h before in the median, {ahead[0]:g} h at the latest")
    if len(ahead) < len(failures):
        lines.append("others waited in the fleet's digest: cases.new_per_hour of the contract opens no more at once")
    first = next((case for case in cases if case["asset"] in failures.index and case["state"] == "open"), None)
    foretwin = f"{command_prefix()}foretwin"
    if first:
        lines += ["", f"What to do about {first['asset']}, and what a technician found:"]
        lines += [f"  {foretwin} case {first['id']}", f"  {foretwin} verdict {first['id']} run_ended"]
    lines += ["What verdicts taught, for the next `dvc repro`:", f"  {foretwin} history pump"]
    return "\n".join(lines)
