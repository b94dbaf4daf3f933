"""The demonstration's processes: broker, ingest, scoring and HTTP interface, and pumps that send until they fail."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from foretwin.champion.champion import load_champion
from foretwin.cli.demo.client import ask, asked_all, describe
from foretwin.cli.demo.clocks import date_newest
from foretwin.cli.demo.shown import conclusion, console, live_table, opening, table
from foretwin.cli.demo.technician import give_verdicts
from foretwin.cli.project import PROJECT, opened_store, person, stop_on_signals
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import check, running, start_foretwin
from foretwin.twin.simulator.sending import ReplayPlan, fleet, replay
from foretwin.twin.store import assets, open_store, store_url
from foretwin.twin.store.casework import audit

TWIN = "pump"
LOGS = PROJECT / ".foretwin" / "fleet"
REFRESH = 0.5  # s
MONITORED = 120  # s that one look of the monitor may take
SITES, LINES = ("Köln", "Lyon"), 2  # of the plant in which the pumps stand


def watch_fleet(pumps: int, speed: float, port: int, once: bool = False) -> None:
    """Run until every pump has failed or its study has ended, then show the pages until Ctrl-C, unless `once`."""
    contract = load_champion(PROJECT, TWIN).bundle.contract
    broker = Broker(LOGS / "broker").start()
    stop, log = threading.Event(), LOGS / "foretwin.log"
    try:
        rows = next_lives(fleet(contract, PROJECT, pumps))
        commands = [["ingest", "--mqtt", broker.url], ["watch"], ["live", "--open", "--port", str(port)]]
        api = f"http://127.0.0.1:{port}"
        console.print(
            f"{rows['asset'].nunique()} pumps, {speed:g} h of their lives in a second; pages: {api}; logs: {log}"
        )
        plan = ReplayPlan(broker.url, speed=speed)
        sender = threading.Thread(target=replay, args=(contract, rows, plan, stop), daemon=True)
        processes = [start_foretwin(command, os.environ, log) for command in commands]
        with running(processes, log):
            wait_until_ready(api, lambda: check(processes, log))
            tell_places(api, rows)
            sender.start()
            follow_fleet(api, contract, rows, sender, lambda: check(processes, log))
            conclude(api, contract, rows, log)
            if not once:
                stay(api, lambda: check(processes, log))
    finally:
        stop.set()
        broker.stop()


def conclude(api: str, contract: Twin, rows: pd.DataFrame, log: Path) -> None:
    """Give verdicts, let the monitor look, and tell what has been seen."""
    cases = cases_of(api, rows)
    given = give_verdicts(api, contract, cases, rows)
    looked = start_foretwin(["monitor", TWIN], os.environ, log)
    if looked.wait(MONITORED):
        raise ForetwinError(f"foretwin monitor {TWIN}: failed; {log} says why")
    console.print(conclusion(cases_of(api, rows), rows))
    console.print(f"{given} cases have a verdict. Key figures and errors are on the pages:")
    console.print(f"  {api}/key-figures\n  {api}/monitor/{TWIN}", soft_wrap=True)


def stay(api: str, check_processes: Callable[[], None]) -> None:
    """Keep the services up until Ctrl-C."""
    console.print(f"\nThe fleet is at {api} until Ctrl-C.")
    with stop_on_signals() as stop:
        while not stop.wait(REFRESH):
            check_processes()


def next_lives(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the same rows, as the run that follows whatever the store knows of these assets; begin it there."""
    now = datetime.now(UTC)
    store = open_store(store_url(PROJECT, os.environ))
    with store.write() as connection:
        known = assets.find_all(connection, rows["asset"].unique()).values()
        run = max((asset.run + (asset.readings > 0) for asset in known), default=1)
        for asset in known:
            if asset.run == run:
                continue
            assets.begin_run(connection, asset, run)
            audit.record(connection, person(), "run.begun", {"run": run}, now, asset=asset.id)
    store.close()
    return rows.assign(run=run)


def wait_until_ready(api: str, check_processes: Callable[[], None]) -> None:
    """Wait until the HTTP interface answers."""
    for _ in range(200):
        check_processes()
        try:
            ask(f"{api}/readyz")
            return
        except httpx.HTTPError:
            time.sleep(0.1)


def tell_places(api: str, rows: pd.DataFrame) -> None:
    """Say at which site and line each pump stands."""
    for number, name in enumerate(rows["asset"].unique()):
        tags = {"site": SITES[number % len(SITES)], "line": str(number // len(SITES) % LINES + 1)}
        describe(f"{api}/v1/twins/{name}", {"twin": TWIN, "tags": tags})


def follow_fleet(
    api: str, contract: Twin, rows: pd.DataFrame, sender: threading.Thread, check_processes: Callable[[], None]
) -> None:
    """Show fleet and new cases, and keep the pumps' clocks, until all is sent and scored."""
    told: set[int] = set()
    last, begun = rows.groupby("asset")["time"].max(), datetime.now(UTC)
    with live_table() as show, opened_store() as store:
        while True:
            check_processes()
            ended = not sender.is_alive()
            date_newest(store, contract, last.index, begun)
            twins = asked_all(f"{api}/v1/twins", twin=TWIN, sort="name")
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
    """Return the cases of these lives, the oldest first."""
    names, run = set(rows["asset"]), int(rows["run"].iloc[0])
    return [c for c in asked_all(f"{api}/v1/cases", twin=TWIN, sort="id") if c["asset"] in names and c["run"] == run]
