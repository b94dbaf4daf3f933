"""A pump whose tags come singly, connections of a project, and a listener to them in a thread of the test's own."""

import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from sqlalchemy import select

from foretwin.contract.twin import Twin
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connections.connections_file import FILE, load_connections
from foretwin.twin.connectors.listening import Listening, listen
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets
from foretwin.twin.store.tables import quarantine
from foretwin.twin.store.telemetry import history
from support.tiny_bundle import tiny_twin

QUICK = Backoff(0.05, 0.5)


def tagged_twin(*names: str, wait: float = 1.0) -> Twin:
    """A pump with these channels of degC, and a clock of seconds, whose values hold until the next."""
    channels = {n: {"unit": "degC", "role": "sensor", "min": -1e6, "max": 1e6, "grid": {"take": "last"}} for n in names}
    clock = {"unit": "s", "step": 1, "wait": wait, "longest_gap": 100_000}
    return Twin.model_validate(tiny_twin().model_dump() | {"channels": channels, "clock": clock})


def written_connections(folder: Path, text: str, *twins: Twin):
    """The connections of a file with this text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(text)
    return load_connections(folder / FILE, {twin.name: twin for twin in twins})


@contextmanager
def listening_to(store, twin, peers, connected: bool = True):
    """Listen to the connections; gives their state, and ends without an error of theirs."""
    stop, errors, state = threading.Event(), [], Listening()

    def run():
        try:
            listen(store, {twin.name: twin}, peers, stop, None, QUICK, state)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        if connected:
            wait_for(lambda: state.is_connected or errors, "connections", 60)
        yield state
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
        assert errors == []


def stored_rows(store, twin: Twin, asset: str) -> pd.DataFrame:
    """The readings of a machine: run, time and channels, in order; empty where it is not known."""
    with store.read() as connection:
        found = assets.find_all(connection, [asset])
        parts = [*history.all_readings(connection, twin.name, twin.channel_names, found[asset].id)] if found else []
    columns = ["run", "time", *twin.channel_names]
    return pd.concat([part[columns] for part in parts]) if parts else pd.DataFrame(columns=columns)


def set_aside(store) -> list[tuple[str, str]]:
    """Field and reason of each message in quarantine, with its detail."""
    with store.read() as connection:
        columns = quarantine.c.field, quarantine.c.reason, quarantine.c.detail
        return [tuple(row) for row in connection.execute(select(*columns))]


def soon(condition, what: str, seconds: float = 60) -> float:
    """Wait for something; the seconds that it took."""
    begin = time.monotonic()
    wait_for(condition, what, seconds)
    return time.monotonic() - begin
