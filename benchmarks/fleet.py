"""Watch a fleet: simulated pumps wear out before your eyes, and the living twin keeps up.

    python -m benchmarks.fleet [--pumps 20] [--speed 10] [--port 3100]

Starts a Mosquitto broker on loopback, `foretwin ingest`, `foretwin watch` and `foretwin live`, and replays pumps that
no model has seen, `speed` hours of their lives in a second. The table is what GET /v1/twins answers. Everything is
kept in the project's store, so that the commands shown at the end work on it; a further fleet is the next life of the
same pumps.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.servers import Broker, check, running, start_foretwin
from foretwin.champion.champion import load_champion
from foretwin.project.entrypoint import exit_on_error, show_progress
from foretwin.twin.simulator.sending import Plan, Summary, fleet, replay
from foretwin.twin.store import assets, open_store, store_url

ROOT = Path()
LOGS = ROOT / ".foretwin" / "fleet"
REFRESH = 0.5  # s
console = Console()


def main(pumps: int, speed: float, port: int) -> None:
    """Run until every pump has failed or its study has ended, or until Ctrl-C."""
    contract = load_champion(ROOT, "pump").bundle.contract
    rows = next_lives(fleet(contract, ROOT, pumps))
    LOGS.mkdir(parents=True, exist_ok=True)
    broker = Broker(LOGS / "broker").start()
    stop, log = threading.Event(), LOGS / "foretwin.log"
    commands = [["ingest", "--mqtt", broker.url], ["watch"], ["live", "--open", "--port", str(port)]]
    api = f"http://127.0.0.1:{port}"
    console.print(
        f"{rows['asset'].nunique()} pumps, {speed:g} h of their lives in a second; {api}/v1/twins; logs: {log}"
    )
    summary: list[Summary] = []
    plan = Plan(broker.url, speed=speed)
    sender = threading.Thread(target=lambda: summary.append(replay(contract, rows, plan, stop)), daemon=True)
    processes = [start_foretwin(command, os.environ, log) for command in commands]
    try:
        with running(processes, log):
            wait_until_ready(api, lambda: check(processes, log))
            sender.start()
            follow(api, rows, sender, lambda: check(processes, log))
            console.print(conclusion(cases_of(api, rows), rows))
    finally:
        stop.set()
        broker.stop()


def next_lives(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows, as the run that follows whatever the store knows of these assets."""
    store = open_store(store_url(ROOT, os.environ))
    with store.read() as connection:
        known = assets.find_all(connection, rows["asset"].unique())
    store.close()
    lived = [asset.run + (asset.readings > 0) for asset in known.values()]
    return rows.assign(run=max(lived, default=1))


def wait_until_ready(api: str, check_processes: Any) -> None:
    """Until the HTTP interface answers."""
    for _ in range(200):
        check_processes()
        try:
            ask(f"{api}/readyz")
            return
        except httpx.HTTPError:
            time.sleep(0.1)


def follow(api: str, rows: pd.DataFrame, sender: threading.Thread, check_processes: Any) -> None:
    """Show fleet and new cases until all is sent and scored."""
    told: set[int] = set()
    last = rows.groupby("asset")["time"].max()
    with shown() as show:
        while True:
            check_processes()
            ended = not sender.is_alive()
            twins = asked_all(f"{api}/v1/twins", twin="pump", sort="name")
            mine = [twin for twin in twins if twin["asset"] in last.index]
            cases = cases_of(api, rows)
            for case in cases:
                if case["id"] not in told:
                    told.add(case["id"])
                    console.print(opening(case))
            show(table(mine, cases, rows))
            if ended and all((twin["last_score"] or {}).get("time") == last[twin["asset"]] for twin in mine):
                return
            time.sleep(REFRESH)


def cases_of(api: str, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The cases of these lives, the oldest first."""
    names, run = set(rows["asset"]), int(rows["run"].iloc[0])
    return [c for c in asked_all(f"{api}/v1/cases", twin="pump", sort="id") if c["asset"] in names and c["run"] == run]


def opening(case: dict[str, Any]) -> str:
    """A line about a case that has opened."""
    when = f"at {case['opened_time']:g} h"
    return f"case {case['id']}: {case['asset']} {when}: {case['fault']}, {case['severity']}"


def table(twins: list[dict[str, Any]], cases: list[dict[str, Any]], rows: pd.DataFrame) -> Table:
    """The fleet, one line per pump."""
    failed = rows[rows["failed"]].set_index("asset")["time"]
    by_asset = {case["asset"]: case for case in cases if case["state"] != "closed"}
    shown_table = Table(title="the fleet")
    for heading in ("pump", "age (h)", "RUL (h)", "90 % interval", "diagnosis", "case", ""):
        shown_table.add_column(heading, justify="left" if heading in ("pump", "diagnosis", "case", "") else "right")
    for twin in twins:
        score, case = twin["last_score"], by_asset.get(twin["asset"])
        reading = twin["last_reading"]
        cells = ["", "", "not enough readings yet"]
        if score:
            rul = score["rul"]
            cells = [f"{rul['value']:.0f}", f"{rul['low']:.0f} to {rul['high']:.0f}", score["diagnosis"]["mode"]]
        over = reading and failed.get(twin["asset"]) == reading["time"]
        told = f"{case['id']}, {case['severity']}" if case else ""
        end = "[red]failed[/red]" if over else ""
        shown_table.add_row(twin["asset"], f"{reading['time']:g}" if reading else "", *cells, told, end)
    return shown_table


def conclusion(cases: list[dict[str, Any]], rows: pd.DataFrame) -> str:
    """How long before each failure its first case had opened, and what to do next."""
    opened: dict[str, float] = {}
    for case in cases:
        opened[case["asset"]] = min(case["opened_time"], opened.get(case["asset"], float("inf")))
    failures = rows[rows["failed"]].set_index("asset")["time"]
    ahead = sorted(time_ - opened[name] for name, time_ in failures.items() if name in opened and opened[name] < time_)
    lines = [f"{len(ahead)} of {len(failures)} failures had a case before they came"]
    if ahead:
        lines.append(f"{ahead[len(ahead) // 2]:g} h before in the median, {ahead[0]:g} h at the latest")
    if len(ahead) < len(failures):
        lines.append("others waited in the fleet's digest: cases.new_per_hour of the contract opens no more at once")
    first = next((case for case in cases if case["asset"] in failures.index and case["state"] == "open"), None)
    if first:
        lines += ["", f"What to do about {first['asset']}, and what a technician found:"]
        lines += [f"  .venv/bin/foretwin case {first['id']}", f"  .venv/bin/foretwin verdict {first['id']} run_ended"]
    lines += ["What verdicts taught, for the next `dvc repro`:", "  .venv/bin/foretwin history pump"]
    return "\n".join(lines)


@contextmanager
def shown() -> Iterator[Any]:
    """A function that shows a table in place of the last one; where nobody watches it shows nothing."""
    if not show_progress():
        yield lambda _: None
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda current: live.update(current, refresh=True)


def asked_all(url: str, **query: Any) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    page = ask(url, limit=1000, **query)
    items: list[dict[str, Any]] = page["items"]
    while page["next"]:
        page = ask(urljoin(url, page["next"]))
        items += page["items"]
    return items


def ask(url: str, **query: Any) -> Any:
    """What a GET answers."""
    return httpx.get(url, params=query or None, timeout=10).raise_for_status().json()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pumps", type=int, default=20)
    parser.add_argument("--speed", type=float, default=10, help="hours of the pumps' lives in a second")
    parser.add_argument("--port", type=int, default=3100, help="of the HTTP interface")
    given = parser.parse_args()
    with exit_on_error():
        main(given.pumps, given.speed, given.port)
