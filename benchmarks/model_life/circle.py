"""The life of a model, once around, with real parts on loopback: broker, store, scoring, registry, service.

    python -m benchmarks.model_life.circle [--pumps 60] [--speed 60]

Needs a project whose pump has a champion (`make run`). A fleet comes whose sensors are mounted elsewhere. The monitor
opens the drift case; the pumps wear out, and technicians say so; `foretwin retrain` makes a candidate from what was
learnt; the gate decides; the running service swaps; `foretwin rollback` brings the former champion back. What was
measured on the way goes to reports/circle.json. The store, the champions and the ledger of this folder are changed:
run it in a copy.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow as pa

from benchmarks.model_life.fleet import asked_of, moved_sensors
from foretwin.champion.champion import load_champion
from foretwin.cli.demo.client import asked_all
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.metrics import coverage, rmse
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import check, free_port, running, start_foretwin, wait_for
from foretwin.twin.simulator.sending import ReplayPlan, fleet, replay
from foretwin.wire.tables import ARROW, write_table

ROOT = Path()
LOGS = ROOT / ".foretwin" / "circle"
TWIN = "pump"
SEED, OTHER_SEED = 4100, 4200  # of the fleet that is watched, and of the one that models are measured on
EARLY = 60.0  # h of all lives after which the monitor looks for the first time
OUT = ROOT / "reports" / "circle.json"
PATIENCE = 120.0  # s until all that was sent has been scored


@dataclass
class Site:
    """What runs on loopback: two HTTP services, and the check that nothing has ended by itself."""

    live: str
    scoring: str
    broker: str
    check: Callable[[], None]


def main(pumps: int, speed: float) -> None:
    """Go once around, and write what was measured."""
    LOGS.mkdir(parents=True, exist_ok=True)
    contract = load_champion(ROOT, TWIN).bundle.contract
    ports = {name: free_port() for name in ("live", "scoring")}
    broker, log = Broker(LOGS / "broker").start(), LOGS / "foretwin.log"
    commands = [
        ["ingest", "--mqtt", broker.url],
        ["watch"],
        ["live", "--open", "--port", str(ports["live"])],
        ["serve", "--open", "--port", str(ports["scoring"])],
    ]
    processes = [start_foretwin(command, os.environ, log) for command in commands]
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    site = Site(urls["live"], urls["scoring"], broker.url, lambda: check(processes, log))
    try:
        with running(processes, log):
            for url in urls.values():
                wait_for(lambda url=url: answers(f"{url}/readyz", site), f"answer of {url}", PATIENCE)  # type: ignore[misc]
            report = circle(site, contract, pumps, speed)
    finally:
        broker.stop()
    with fresh_file(OUT) as out:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {OUT}")


def circle(site: Site, contract: Twin, pumps: int, speed: float) -> dict[str, Any]:
    """The whole circle; what was measured, as JSON values."""
    begin = time.monotonic()
    rows = moved_sensors(fleet(contract, ROOT, pumps, SEED))
    known = fleet(contract, ROOT, pumps, OTHER_SEED)
    fleets = {"as trained": known, "moved sensors": moved_sensors(known)}
    first = champion_of(site)
    before = measured(site, fleets, contract)
    drift = watch_early(site, rows[rows["time"] < EARLY], contract, speed)
    send(site, rows[rows["time"] >= EARLY], contract, speed)
    cases = verdicts(site, rows)
    realised = monitor()
    lived = time.monotonic()
    foretwin("retrain", TWIN, "--if-drifted")
    trained = time.monotonic()
    promotion = json.loads((ROOT / "models" / TWIN / "promotion.json").read_text(encoding="utf-8"))
    if not promotion["promoted"]:
        raise ForetwinError(f"the gate refused the candidate: {'; '.join(promotion['reasons'])}")
    second = swapped(site, first["digest"])
    after = measured(site, fleets, contract)
    closed = monitor()
    foretwin("rollback", TWIN, "--reason", "the circle ends where it began")
    third = swapped(site, second["digest"])
    return {
        "pumps": pumps,
        "failed": int(rows["failed"].sum()),
        "drift": drift,
        "cases": cases,
        "realised": realised["truth"],
        "retrain": realised["verdict"],
        "gate": {key: promotion[key] for key in ("promoted", "reasons", "checks")},
        "versions": [found["version"] for found in (first, second, third)],
        "restored": third["digest"] == first["digest"],
        "error": {"before": before, "after": after, "rolled back": measured(site, fleets, contract)},
        "drift after": {key: closed["verdict"][key] for key in ("drifted", "limits_broken")},
        "seconds": {"living": round(lived - begin), "retraining": round(trained - lived), "all": since(begin)},
    }


def since(begin: float) -> int:
    """Whole seconds since this moment of the monotonic clock."""
    return round(time.monotonic() - begin)


def watch_early(site: Site, rows: pd.DataFrame, contract: Twin, speed: float) -> dict[str, Any]:
    """Send the first hours of all lives, and let the monitor look at them; returns the drift case as it was opened."""
    send(site, rows, contract, speed)
    report = monitor()
    opened = [case for case in asked_all(f"{site.live}/v1/cases", twin=TWIN) if case["fault"] == "drift"]
    if not report["verdict"]["drifted"] or len(opened) != 1:
        raise ForetwinError(f"the monitor did not open one drift case but {len(opened)}")
    return {"case": opened[0]["id"], "limits_broken": report["verdict"]["limits_broken"], "drift": report["drift"]}


def send(site: Site, rows: pd.DataFrame, contract: Twin, speed: float) -> None:
    """Replay these readings over MQTT, and wait until the last of each pump is scored."""
    site.check()
    replay(contract, rows, ReplayPlan(site.broker, speed=speed), threading.Event())
    last = rows.groupby("asset")["time"].max().to_dict()

    def scored() -> bool:
        site.check()
        twins = asked_all(f"{site.live}/v1/twins", twin=TWIN)
        reached = {twin["asset"]: (twin["last_score"] or {}).get("time", -1.0) for twin in twins}
        return all(reached.get(name, -1.0) >= moment for name, moment in last.items())

    wait_for(scored, "score of every pump", PATIENCE)


def verdicts(site: Site, rows: pd.DataFrame) -> dict[str, int]:
    """What technicians tell: each pump that failed has ended its run; the answer to its case where it has one."""
    failed = set(rows.loc[rows["failed"], "asset"])
    counts = {"by verdict": 0, "without a case": 0}
    opened: dict[str, int] = {}
    for case in asked_all(f"{site.live}/v1/cases", twin=TWIN, sort="id"):
        if case["state"] != "closed" and case["asset"] in failed:
            opened.setdefault(case["asset"], case["id"])
    for name in sorted(failed):
        if name in opened:
            found = {"verdict": "run_ended", "note": "seen at the exchange"}
            asked = httpx.post(f"{site.live}/v1/cases/{opened[name]}/verdict", json=found)
            counts["by verdict"] += 1
        else:
            asked = httpx.post(f"{site.live}/v1/twins/{name}/maintenance", json={"kind": "run_ended"})
            counts["without a case"] += 1
        asked.raise_for_status()
    return counts


def monitor() -> dict[str, Any]:
    """One look of the monitor, as a user asks for it."""
    foretwin("monitor", TWIN)
    path = ROOT / "reports" / "monitor" / TWIN / "report.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def measured(site: Site, fleets: dict[str, pd.DataFrame], contract: Twin) -> dict[str, dict[str, float]]:
    """By fleet, how far the running service's answers are from the truth, in h, and how often its interval holds it."""
    found = {}
    for name, rows in fleets.items():
        windows, truth = asked_of(rows, contract)
        answer = score(site, windows)
        low, high = answer["rul_low"].to_numpy(), answer["rul_high"].to_numpy()
        error = rmse(answer["rul"].to_numpy(), truth)
        found[name] = {"rmse": round(error, 2), "covered": round(coverage(low, high, truth), 3), "windows": len(truth)}
    return found


def score(site: Site, windows: pd.DataFrame) -> pd.DataFrame:
    """The scoring service's answer, in the order of the windows."""
    body = write_table(pa.Table.from_pandas(windows, preserve_index=False), ARROW)
    headers = {"content-type": ARROW, "accept": ARROW}
    answer = httpx.post(f"{site.scoring}/v1/score?twin={TWIN}", content=body, headers=headers, timeout=60)
    answer.raise_for_status()
    scores: pd.DataFrame = pa.ipc.open_stream(answer.content).read_pandas()
    if list(scores["asset"]) != list(windows["asset"].drop_duplicates()):
        raise ForetwinError(f"{site.scoring}: answers in another order than it was asked")
    return scores


def champion_of(site: Site) -> dict[str, str]:
    """Who answers for the pump."""
    models = httpx.get(f"{site.scoring}/v1/models").raise_for_status().json()
    return next(dict(model) for model in models["models"] if model["twin"] == TWIN)


def swapped(site: Site, before: str) -> dict[str, str]:
    """Who answers, once it is another bundle than the one of this digest."""
    wait_for(lambda: champion_of(site)["digest"] != before, "swap", 30)
    return champion_of(site)


def answers(url: str, site: Site) -> bool:
    """Whether somebody answers there."""
    site.check()
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def foretwin(*arguments: str) -> None:
    """Run a command of the product; ForetwinError where it fails."""
    print(f"$ foretwin {' '.join(arguments)}", flush=True)
    if subprocess.run([sys.executable, "-m", "foretwin.cli", *arguments], check=False).returncode:
        raise ForetwinError(f"foretwin {' '.join(arguments)}: failed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pumps", type=int, default=60, help="in the fleet that is watched")
    parser.add_argument("--speed", type=float, default=60, help="hours of their lives in a second")
    given = parser.parse_args()
    with exit_on_error():
        main(given.pumps, given.speed)
