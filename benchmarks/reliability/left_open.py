"""Leave a browser open on the console while a fleet is replayed; writes `left_open` of reports/console.json.

    python -m benchmarks.reliability.left_open [MINUTES]

Two pages stay open, that of the fleet and that of a machine, an hour unless told otherwise, and show what comes by
themselves. Every minute garbage is collected and what is left is counted: bytes of JavaScript's heap, nodes of the
document, listeners. `growth` is the median of the last quarter by that of the second: the first is for warming up.
"""

import json
import sys
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.browser import chromium
from benchmarks.render.console import living, message
from foretwin.contract.twin import Twin
from foretwin.errors import ParamsError
from foretwin.project.contracts import load_contracts
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.simulator.fleet import fleet
from foretwin.twin.store import Store, open_store

REPORT = Path("reports/console.json")
MINUTES, PUMPS = 60.0, 20
TICK = 4.0  # s of the clock for an hour of the pumps' lives
COUNTED = {"JSHeapUsedSize": "heap_mb", "Nodes": "nodes", "JSEventListeners": "listeners"}
BOUND = 1.1
LOOKS = """() => { window.looks = 0; document.addEventListener('looked', () => { window.looks += 1 }) }"""


def main(minutes: str = f"{MINUTES:g}") -> None:
    """Replay, count, print, and write the report where it was the whole time."""
    wanted = float(minutes)
    if wanted < 4:
        raise ParamsError("MINUTES: must be at least 4, so that there are quarters to compare")
    contract = load_contracts(Path())["pump"]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        store = open_store(f"sqlite:///{folder}/twins.db")
        try:
            with living(store) as url:
                found = watched(browser, url, replay(store, url, contract), wanted)
        finally:
            store.close()
    found |= {"minutes": wanted, "pumps": PUMPS, "bound": BOUND}
    print(json.dumps(found, indent=1))
    if wanted >= MINUTES:
        report = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
        with fresh_file(REPORT) as out:
            out.write_text(json.dumps(report | {"left_open": found}, indent=1) + "\n", encoding="utf-8")


def replay(store: Store, url: str, contract: Twin) -> "Replay":
    """The fleet at the beginning of its lives, each pump with its first readings."""
    started = Replay(store, url, contract)
    started.step()
    return started


class Replay:
    """Pumps that live an hour with each step, scored as `foretwin watch` does it."""

    def __init__(self, store: Store, url: str, contract: Twin) -> None:
        self._contract, self._watching = contract, Watching(store, Path(), WatchSettings())
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._lives = {str(name): life for name, life in fleet(contract, Path(), PUMPS).groupby("asset")}
        self._hours = count()
        self.first = next(iter(self._lives))

    def step(self) -> None:
        """Send each living pump's next reading, and score."""
        hour = next(self._hours)
        for name, life in self._lives.items():
            rows = life.iloc[hour : hour + 1]
            if len(rows):
                place = f"/v1/twins/{name}/readings?twin=pump"
                self._client.post(place, json=message(self._contract, rows)).raise_for_status()
        score_once(self._watching, lambda: datetime.now(UTC))


def watched(browser: Browser, url: str, life: Replay, minutes: float) -> dict[str, Any]:
    """Count what the pages hold, minute by minute, while the replay goes on."""
    pages = {"fleet": opened(browser, url), "machine": opened(browser, f"{url}/machines/{life.first}")}
    sessions = {name: page.context.new_cdp_session(page) for name, page in pages.items()}
    held: dict[str, dict[str, list[float]]] = {name: {key: [] for key in COUNTED.values()} for name in pages}
    steps = round(minutes * 60 / TICK)
    for step in range(1, steps + 1):
        life.step()
        pages["fleet"].wait_for_timeout(TICK * 1000)
        if step % round(60 / TICK) == 0:
            for name, session in sessions.items():
                for key, value in counted(session).items():
                    held[name][key].append(value)
    return {
        name: {**kept, "looks": pages[name].evaluate("window.looks"), "growth": growth(kept)}
        for name, kept in held.items()
    }


def opened(browser: Browser, url: str) -> Page:
    """A page of its own window, which counts how often it looked again."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB").new_page()
    page.goto(url, wait_until="load")
    page.evaluate(LOOKS)
    return page


def counted(session: CDPSession) -> dict[str, float]:
    """What a page holds once what nobody needs is gone."""
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    found = {key: told[name] for name, key in COUNTED.items()}
    return found | {"heap_mb": round(found["heap_mb"] / 1e6, 2)}


def growth(held: dict[str, list[float]]) -> dict[str, float]:
    """The last quarter by the second, each by its median."""
    quarter = len(held["nodes"]) // 4
    return {
        key: round(median(values[-quarter:]) / median(values[quarter : 2 * quarter]), 2) for key, values in held.items()
    }


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
