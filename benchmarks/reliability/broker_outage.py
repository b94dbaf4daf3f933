"""Let `foretwin ingest` be away from its broker for a while, and count what was lost, for reports/connectors.json.

    python -m benchmarks.reliability.broker_outage [SECONDS]

Mosquitto has the configuration of serving/mosquitto/; ten machines, each with a certificate of its own, send together
`RATE` readings a second meanwhile, and the broker is stopped and started once. Then `foretwin ingest` comes back: every
reading that the broker has acknowledged must be stored once.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from benchmarks.reliability.connector_kills import keep_figures
from benchmarks.reliability.shipped_broker import ShippedBroker
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.mqtt.session import Session, connect_broker
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import Store, open_store
from foretwin.twin.store.tables import quarantine, readings

RATE = 200  # readings a second of all machines
MACHINES = 10
QUICK = Backoff(0.05, 0.5)
DRAIN = 600  # s that storing what was kept may take


def main(seconds: int) -> None:
    """Run it, write the figures; ForetwinError where a reading was lost or stands twice."""
    with tempfile.TemporaryDirectory(prefix="foretwin-broker-") as folder:
        found = _away(Path(folder), seconds)
    keep_figures("mqtt", {"outage": found})
    if found["lost"] or found["doubled"]:
        raise ForetwinError(f"{found['lost']} readings were lost, {found['doubled']} stand twice or were set aside")


def _contract() -> Twin:
    channel = {"unit": "degC", "role": "sensor", "min": -1e6, "max": 1e6}
    remedy = {"part": "none", "instruction": "none", "lead_time": 1}
    content = {"name": "pump", "title": "Pump", "source": {"kind": "store"}, "clock": {"unit": "s", "step": 1}}
    content |= {"channels": {"flow": channel, "speed": channel}, "health": {"remedy": remedy}, "window": {"length": 8}}
    return Twin.model_validate(content)


def _away(folder: Path, seconds: int) -> dict[str, Any]:
    (folder / "data/pump").mkdir(parents=True)
    (folder / "data/pump/twin.yaml").write_text(_contract().model_dump_json())
    broker, names = ShippedBroker(folder / "broker"), [f"P-{number:03d}" for number in range(MACHINES)]
    broker.issue("broker", "IP:127.0.0.1")
    for name in ("foretwin", *names):
        broker.issue(name)
    broker.start()
    ingest = _ingest(folder, broker)
    try:
        wait_for(lambda: "listening" in (folder / "ingest.log").read_text(), "ingest to listen", 300)
        ingest.terminate()
        ingest.wait()
        sessions = [connect_broker(broker.url(n, broker.machines), n, threading.Event(), None, QUICK) for n in names]
        sent, took = _send(broker, dict(zip(names, sessions, strict=True)), seconds)
        begin = time.monotonic()
        ingest = _ingest(folder, broker)
        with closing(open_store(f"sqlite:///{folder}/twins.db")) as store:
            while _count(store, readings) < sent and time.monotonic() - begin < DRAIN:
                time.sleep(0.5)
            drained = time.monotonic() - begin
            time.sleep(2)  # for what might come twice
            stored, aside = _count(store, readings), _count(store, quarantine)
        told = {"outage_seconds": round(took, 1), "rate": round(sent / took, 1), "seconds_to_drain": round(drained, 1)}
        return {"sent": sent, "lost": sent - min(stored, sent), "doubled": max(stored - sent, 0) + aside, **told}
    finally:
        ingest.kill()
        ingest.wait()
        broker.stop()


def _ingest(folder: Path, broker: ShippedBroker) -> "subprocess.Popen[bytes]":
    command = [str(Path(sys.executable).with_name("foretwin")), "ingest", broker.url("foretwin", broker.ours)]
    with (folder / "ingest.log").open("ab") as out:
        return subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)


def _send(broker: ShippedBroker, machines: dict[str, Session], seconds: int) -> tuple[int, float]:
    """Send at the rate, over one restart of the broker; return how many were acknowledged, and in how many seconds."""
    answers: list[Future[bool]] = []
    begin, second, restarted = time.monotonic(), 0, False
    while time.monotonic() - begin < seconds:
        for name, session in machines.items():
            for part in range(RATE // MACHINES):
                body = {"run": 1, "time": second * (RATE // MACHINES) + part, "channels": {"flow": 1.0, "speed": 2.0}}
                answers.append(session.publish(f"foretwin/pump/{name}/readings", json.dumps(body).encode()))
        second += 1
        if not restarted and second > seconds / 2:
            broker.stop()
            broker.start()
            restarted = True
        time.sleep(max(0.0, begin + second - time.monotonic()))
    took = time.monotonic() - begin
    kept = [one.result(60) for one in answers]
    for session in machines.values():
        session.close()
    if not all(kept):
        raise ForetwinError("the broker keeps no session for `foretwin ingest`: nobody would have had the readings")
    return len(kept), took


def _count(store: Store, table: Any) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
