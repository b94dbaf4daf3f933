"""Measure what a person waits for in a small fleet and in a large one; writes reports/console.json.

    python -m benchmarks.speed.console [--quick]

The first paint of the fleet's page in Chromium, the size of every page, and the query of a page of machines. Both
fleets take turns, and the quickest of several rounds counts. `--quick` compares smaller fleets and writes nothing.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser

from benchmarks.browser import chromium
from benchmarks.render.console import living
from benchmarks.speed.grown_store import fill, mark_scored, names, score_fleet
from foretwin.contract.twin import Twin
from foretwin.project.contracts import load_contracts
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.training.ensemble import environment
from foretwin.twin.store import Store, listing, open_store

PAINTED, LISTED, ROUNDS = (100, 10_000), (1_000, 100_000), 7
QUICK_PAINTED, QUICK_LISTED = (20, 200), (100, 1_000)
BOUND, MOST_BYTES = 1.5, 100_000
REPORT = Path("reports/console.json")
PAINT = "performance.getEntriesByType('paint').find(one => one.name === 'first-contentful-paint').startTime"
PAGES = (
    "/",
    "/cases",
    "/calendar",
    "/models",
    "/key-figures",
    "/monitor",
    "/quarantine",
    "/usage",
    "/machines/P-000001",
)
SORTS = ("name", "urgency")


def main(*arguments: str) -> None:
    """Measure, print, and write the report."""
    is_quick = "--quick" in arguments
    painted, listed = (QUICK_PAINTED, QUICK_LISTED) if is_quick else (PAINTED, LISTED)
    contract = load_contracts(Path())["pump"]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stores = {size: grown(Path(folder), contract, size) for size in sorted({*painted, *listed})}
        for store in stores.values():
            stack.callback(store.close)
        browser = stack.enter_context(chromium())
        urls = {size: stack.enter_context(living(stores[size])) for size in painted}
        paint = alternate({size: partial(first_paint, browser, url) for size, url in urls.items()})
        found = {
            "first_paint_ms": told(paint),
            "bytes": sizes_of(urls[painted[-1]]),
            **{f"list_by_{sort}_ms": told(alternate(queries(stores, listed, sort))) for sort in SORTS},
        }
    machine = environment() | {"cores": str(os.cpu_count()), "load": f"{os.getloadavg()[1]:.1f}"}
    before = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}  # with what others measured
    report = before | {"machine": machine, "rounds": ROUNDS, "bound": BOUND, "most_bytes": MOST_BYTES, **found}
    print(json.dumps(found, indent=1))
    if not is_quick:
        with fresh_file(REPORT) as out:
            out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def grown(folder: Path, contract: Twin, size: int) -> Store:
    """A store of a fleet of this size, each machine with a reading and its score."""
    store, fleet = open_store(f"sqlite:///{folder}/{size}.db"), names(size)
    fill(store, contract, fleet)
    score_fleet(store, contract, size, datetime.now(UTC))
    mark_scored(store, range(1, size + 1))
    return store


def first_paint(browser: Browser, url: str) -> float:
    """Milliseconds until the fleet's page shows something, in a fresh context without a cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url, wait_until="load")
    page.wait_for_function(f"() => {PAINT.removesuffix('.startTime')} !== undefined")
    shown = float(page.evaluate(PAINT))
    context.close()
    return shown


def queries(stores: dict[int, Store], sizes: tuple[int, ...], sort: str) -> dict[int, Callable[[], float]]:
    """By size the milliseconds of the query of one page of machines."""

    def ask(store: Store) -> float:
        page = listing.Page(50, 0, sort, descending=False)
        begin = datetime.now(UTC)
        with store.read() as connection:
            found = listing.list_fleet(connection, page, {}, None, {})
        if len(found) != page.limit:
            raise AssertionError(f"{len(found)} machines on a page of {page.limit}")
        return (datetime.now(UTC) - begin).total_seconds() * 1000

    return {size: partial(ask, stores[size]) for size in sizes}


def alternate(works: dict[int, Callable[[], float]]) -> dict[int, float]:
    """The least of what each work says in several rounds, which take turns."""
    rounds = [{size: work() for size, work in works.items()} for _ in range(ROUNDS)]
    return {size: min(one[size] for one in rounds) for size in works}


def told(found: dict[int, float]) -> dict[str, Any]:
    """How it is reported."""
    small, large = found.values()
    return {"assets": list(found), "ms": [round(small, 2), round(large, 2)], "ratio": round(large / small, 2)}


def sizes_of(url: str) -> dict[str, int]:
    """Bytes of every page, uncompressed."""
    headers = {"accept": "text/html", "accept-encoding": "identity"}
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        return {path: len(client.get(path).raise_for_status().content) for path in PAGES}


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
