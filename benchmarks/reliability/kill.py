"""Kill the living twin's processes under load and count what was lost, for reports/reliability_*.json.

    python -m benchmarks.reliability.kill [KILLS [sqlite|postgresql]]

Simulated pumps are replayed over a real Mosquitto until all of them have failed or their study has ended. Meanwhile
`foretwin ingest` and `foretwin watch` are killed with SIGKILL in turn and started again, and the broker is stopped and
started. In the end every reading whose message the broker acknowledged must be in the store once and as it was sent,
every score must have its reading, and no asset two open cases of one fault. The champion is that of this project.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.reliability.accounts import examine, wait_until_scored
from benchmarks.servers import Postgres
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.training.ensemble import environment
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import check, running, start_foretwin
from foretwin.twin.simulator.sending import ReplayPlan, Summary, fleet, replay
from foretwin.twin.store import open_store

PUMPS = 100
SECONDS_PER_KILL = 2.5  # on average; a process needs about one to start
BROKER_EVERY = 10  # kills
PATIENCE = 600  # s until everything has arrived and has been scored


def main(kills: int, database: str) -> None:
    """Run it on a database of its own, write the figures; ForetwinError where something was lost or stands twice."""
    contract = Paths(Path(), "pump").load_contract()
    rows = fleet(contract, Path(), PUMPS)
    with tempfile.TemporaryDirectory(prefix="foretwin-reliability-") as folder, ExitStack() as ending:
        url = f"sqlite:///{folder}/twins.db"
        if database == "postgresql":
            server = Postgres().start()
            ending.callback(server.remove)
            url = server.new_database("reliability")
        store = open_store(url)
        ending.callback(store.close)
        broker = Broker(Path(folder) / "broker").start()
        ending.callback(broker.stop)
        sent, killed = _disturbed(contract, rows, broker, url, kills)
        found = examine(store, contract, rows)
    report: dict[str, Any] = {"machine": environment(), "database": database, "pumps": PUMPS}
    report |= {"kills": killed, "sent": _told(sent), "found": found}
    out = Path("reports") / f"reliability_{database}.json"
    with fresh_file(out) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    wrong = {name: count for name, count in found.items() if count and name not in ("readings", "scores", "cases")}
    if wrong or sent.refused or sent.unheard:
        raise ForetwinError(f"{out}: not everything that was acknowledged is there once: {wrong}, {_told(sent)}")


def _disturbed(
    contract: Twin, rows: pd.DataFrame, broker: Broker, store_url: str, kills: int
) -> tuple[Summary, dict[str, int]]:
    """Replay the rows while processes are killed; returns what was sent and how often each was killed."""
    stop, summary = threading.Event(), list[Summary]()
    hours = float(rows["time"].max())
    plan = ReplayPlan(broker.url, speed=hours / max(1.0, kills * SECONDS_PER_KILL))
    sender = threading.Thread(target=lambda: summary.append(replay(contract, rows, plan, stop)), daemon=True)
    logs = broker.folder / "foretwin.log"
    told = {**os.environ, "FORETWIN_STORE": store_url, "OMP_NUM_THREADS": "1"}
    commands = {"ingest": ["ingest", "--mqtt", broker.url], "watch": ["watch"]}
    alive = {name: start_foretwin(command, told, logs) for name, command in commands.items()}
    generator, killed = np.random.default_rng(1), Counter[str]()
    sender.start()
    try:
        for number in range(kills):
            time.sleep(generator.uniform(0.1, 2 * SECONDS_PER_KILL - 0.1))
            name = ("ingest", "watch")[number % 2]
            alive[name].kill()
            alive[name].wait()
            killed[name] += 1
            alive[name] = start_foretwin(commands[name], told, logs)
            if number % BROKER_EVERY == BROKER_EVERY - 1:
                broker.stop()
                broker.start()
                killed["broker, stopped and started"] += 1
            print(f"\r{number + 1} of {kills} kills", end="", file=sys.stderr, flush=True)
        sender.join()
        with running(list(alive.values()), logs), closing(open_store(store_url)) as store:
            wait_until_scored(store, len(rows), lambda: check(list(alive.values()), logs), PATIENCE)
    finally:
        stop.set()
        for process in alive.values():
            process.kill()
    return summary[0], dict(killed)


def _told(sent: Summary) -> dict[str, int]:
    return {"messages": sent.messages, "refused": sent.refused, "with nobody listening": sent.unheard}


if __name__ == "__main__":
    with exit_on_error():
        given = sys.argv[1:]
        main(int(given[0]) if given else 50, given[1] if len(given) > 1 else "sqlite")
