"""Make the pictures of the console in docs/pictures: a demonstration's fleet in a real browser, in light and dark.

python -m benchmarks.render.console [FOLDER]    write whole pages there instead, of every page

Needs the champion and the degradation model of the twin `pump`, as `dvc repro` leaves them, and Chromium.
"""

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pandas as pd

from benchmarks.browser import chromium, cut_off
from foretwin.contract.twin import Twin
from foretwin.project.contracts import load_contracts
from foretwin.project.entrypoint import exit_on_error
from foretwin.serving.access.authentication import Guard
from foretwin.twin.api.server import serve_twins
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.simulator.fleet import fleet
from foretwin.twin.store import Store, assets, open_store
from foretwin.twin.store.telemetry.run_clocks import RunClock, keep_clocks

PICTURES = Path("docs/pictures")
PUMPS = 36
EVERY = 8  # h of the pumps' lives between two scores
MOST_HOURS = 900
SHARES = (0.2, 0.35, 0.5, 0.3, 0.6, 0.4, 0.45, 0.75, 0.25, 0.93, 0.55, 0.3)  # of its life that each pump has lived
GAP = range(40, 60)  # h before the end of what was seen of the oldest pumps, in which they sent nothing
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SCHEMES = ("light", "dark")
PARTS = {"failed": "section:has([data-series])"}  # pages of which a part is shown


def main(*arguments: str) -> None:
    """Write console-<page>-<scheme>.png."""
    out = Path(arguments[0]) if arguments else PICTURES
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/twins.db")
        try:
            with living(store) as url:
                failed = live_through(store, url)
                tell_failure(url, failed)
                plan_some(url)
                take_pictures(url, out, failed)
        finally:
            store.close()


@contextmanager
def living(store: Store) -> Iterator[str]:
    """Serve the project's twins from the store, for this machine alone; yields the address."""
    stop, urls, ready = threading.Event(), list[str](), threading.Event()

    def started(url: str) -> None:
        urls.append(url)
        ready.set()

    arguments = (store, Path(), Guard(None), ("127.0.0.1", 0), stop, started)
    server = threading.Thread(target=serve_twins, args=arguments, daemon=True)
    server.start()
    ready.wait(30)
    yield urls[0]
    stop.set()
    server.join(30)


def live_through(store: Store, url: str) -> str:
    """Let the pumps live, each until a point of its own, scored as `foretwin watch` does it; return which failed."""
    contract = load_contracts(Path())["pump"]
    lives = staggered(fleet(contract, Path(), PUMPS))
    watching = Watching(store, Path(), WatchSettings())
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        for number, name in enumerate(lives["asset"].unique()):
            tags = {"site": ("Köln", "Lyon")[number % 2], "line": str(number % 4 + 1)}
            told = {"twin": "pump", "location": f"hall {number % 3 + 1}", "tags": tags}
            client.put(f"/v1/twins/{name}", json=told).raise_for_status()
        date_runs(store, lives)
        for begin in range(0, int(lives["age"].max()) + 1, EVERY):
            part = lives[lives["age"].between(begin, begin + EVERY - 1)]
            for name in part["asset"].unique():
                rows = part[part["asset"] == name]
                client.post(f"/v1/twins/{name}/readings", json=message(contract, rows)).raise_for_status()
            score_once(watching, lambda: datetime.now(UTC))
    return failing(lives)


def failing(rows: pd.DataFrame) -> str:
    """The pump that lives until it fails."""
    return str(rows[rows["failed"]]["asset"].iloc[0])


def staggered(rows: pd.DataFrame) -> pd.DataFrame:
    """Cut each life at a share of its length that differs from pump to pump, so that all end together at `age`.

    One is seen to fail.
    """
    parts = []
    for number, (name, life) in enumerate(rows.groupby("asset")):
        share = 1.0 if name == failing(rows) else SHARES[number % len(SHARES)]
        kept = life.iloc[: max(int(len(life) * share), 20)].tail(MOST_HOURS)
        kept = kept.assign(age=range(MOST_HOURS - len(kept), MOST_HOURS))
        parts.append(kept[~(MOST_HOURS - kept["age"]).isin(GAP)] if share == max(SHARES) else kept)
    return pd.concat(parts)


def message(contract: Twin, rows: pd.DataFrame) -> dict[str, object]:
    """The readings of one pump as the HTTP interface takes them."""
    names = contract.channel_names
    return {"time": rows["time"].tolist(), "channels": {name: rows[name].tolist() for name in names}}


def date_runs(store: Store, lives: pd.DataFrame) -> None:
    """Say when each pump began to run, so that what was seen of it ends now: only then has anything a date."""
    now = datetime.now(UTC).timestamp()
    ends = lives.groupby("asset")["time"].max()
    with store.write() as connection:
        known = assets.find_all(connection, list(ends.index))
        clocks = [
            RunClock(
                known[name].id,
                1,
                is_calendar=True,
                zero=(now - end * 3600) * 1e6,
                last=now * 1e6,
                ended=None,
                label=None,
            )
            for name, end in zip(map(str, ends.index), ends, strict=True)
        ]
        keep_clocks(connection, clocks)


def tell_failure(url: str, asset: str) -> None:
    """Say of the pump's first case that the pump has failed."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        cases = client.get(f"/v1/cases?asset={asset}&sort=id").raise_for_status().json()["items"]
        number = next(one["id"] for one in cases if one["state"] != "closed")
        client.post(f"/v1/cases/{number}/verdict", json={"verdict": "run_ended"}).raise_for_status()


def plan_some(url: str) -> None:
    """Do with some of the cases what a planner does in a morning."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        listed = client.get("/v1/cases?sort=latest_safe_date").raise_for_status().json()["items"]
        day = timedelta(days=1)
        for number, case in enumerate(one for one in listed if one["asset"] and one["state"] != "closed"):
            steps: list[tuple[str, dict[str, str]]] = [("acknowledge", {})] if number % 4 else []
            if number % 4 == 2:
                steps += [("move", {"state": "planned", "planned_for": (datetime.now(UTC) + day).isoformat()})]
                steps += [("assign", {"person": "Ines"}), ("comments", {"text": "Crane is booked for the morning."})]
            if number % 4 == 3:
                steps += [("move", {"state": "waiting_for_part"}), ("assign", {"person": "Tomás"})]
            if number == 5:
                steps = [
                    ("snooze", {"until": (datetime.now(UTC) + 2 * day).isoformat(), "reason": "line 2 stands still"})
                ]
            if number == 6:
                steps += [
                    ("verdict", {"verdict": "part_replaced", "serial_number": "TB-2291", "note": "pitting on the race"})
                ]
            for step, content in steps:
                client.post(f"/v1/cases/{case['id']}/{step}", json=content).raise_for_status()


def take_pictures(url: str, out: Path, failed: str) -> None:
    """Look at every page as a planner does, at a case as a technician does on a phone, and at a life that is over."""
    worst = httpx.get(f"{url}/v1/cases?state=planned&sort=rul_low&limit=1", trust_env=False).json()["items"][0]
    pages = {
        "fleet": ("/", DESK),
        "machine": (f"/machines/{worst['asset']}", DESK),
        "failed": (f"/machines/{failed}?run=1", DESK),
        "board": ("/cases", DESK),
        "case": (f"/cases/{worst['id']}", PHONE),
        "calendar": ("/calendar", DESK),
    }
    if out != PICTURES:
        pages |= {
            "case-desk": (f"/cases/{worst['id']}", DESK),
            "board-phone": ("/cases", PHONE),
            "calendar-phone": ("/calendar", PHONE),
            "list": ("/cases?state=closed", DESK),
            "why": (f"/machines/{worst['asset']}?why=1", DESK),
            "model": ("/models/pump", DESK),
            "models": ("/models", DESK),
            "key-figures": ("/key-figures", DESK),
            "quarantine": ("/quarantine", DESK),
            "data": ("/data", DESK),
        }
    with chromium() as browser:
        for scheme in SCHEMES:
            for name, (path, size) in pages.items():
                context = cut_off(browser, [], viewport=size, color_scheme=scheme, locale="en-GB")
                page = context.new_page()
                page.goto(url + path, wait_until="load")  # it is never idle: events come
                if path.startswith("/machines/"):
                    page.locator("[data-channels] canvas").last.wait_for()  # of whose charts each is drawn at once
                elif path.startswith("/cases/"):
                    page.locator("[data-rul] canvas").wait_for()
                picture = out / f"console-{name}-{scheme}.png"
                if name in PARTS:
                    page.locator(PARTS[name]).screenshot(path=picture)
                else:
                    page.screenshot(path=picture, full_page=out != PICTURES)
                context.close()


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
