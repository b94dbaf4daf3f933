"""`foretwin retain`, `hold` and `watch` as people run them, and killed at any moment."""

import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store.archive_tables import archives
from foretwin.twin.store.tables import readings
from foretwin.twin.training_feedback.history import export_history
from support.aging_fleet import NAMES, TWIN, send_hours, write_contract
from support.commands import refusal, shown
from support.small_history import find_out, open_case
from support.stored_readings import count
from support.tiny_bundle import environment

FORETWIN = Path(sys.executable).with_name("foretwin")
HOURS, SPARED, WINDOW = 240, 200, TWIN.window.length


@pytest.fixture
def project(tmp_path, store, store_url, monkeypatch):
    """The current folder, whose store holds ten days of readings that are fifty days old."""
    write_contract(tmp_path, {"readings": 30})
    begin = datetime.now(UTC) - timedelta(days=50)
    send_hours(store, range(HOURS), first=begin)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORETWIN_STORE", store_url)
    monkeypatch.setenv("USER", "ann")
    return tmp_path


def start(project, store_url, *arguments):
    log = (project / "log.txt").open("w")
    env = {**environment(project), "FORETWIN_STORE": store_url}
    return subprocess.Popen([FORETWIN, *arguments], cwd=project, env=env, stdout=log, stderr=subprocess.STDOUT)


def test_retain_says_what_the_terms_are_and_what_it_did(project, store):
    said = shown("retain")
    assert "pump: archived and dropped are readings after 30 days" in said
    assert f"archived and dropped: {len(NAMES) * (HOURS - SPARED - 1)} readings" in said
    assert "nothing was due" in shown("retain")


def test_hold_keeps_an_asset_on_record(project, store):
    assert "is needed" in refusal("hold", "P-1")
    assert "not held" in refusal("hold", "P-1", "--because", "settled", "--release")
    assert "not held" in refusal("hold", "P-1", "--release")
    assert "held" in shown("hold", "P-1", "--because", "claim 4711")
    assert "held already, by ann: claim 4711" in refusal("hold", "P-1", "--because", "again")
    shown("retain")
    with store.read() as connection:
        assert connection.execute(select(func.count()).where(readings.c.asset == 1)).scalar() == HOURS
    assert "claim 4711" in refusal("erase", "P-1", "--yes")
    shown("hold", "P-1", "--release")
    shown("retain")
    assert count(store, readings) == len(NAMES) * (SPARED + 1)
    told = shown("thread", "P-1")
    assert "hold.placed" in told
    assert "hold.released" in told


def test_watch_says_what_it_will_drop_and_drops_it(project, store, store_url):
    process = start(project, store_url, "watch")
    wait_for(lambda: count(store, readings) == len(NAMES) * (SPARED + 1), "the end of what was due")
    process.terminate()
    assert process.wait(20) == 0
    assert "readings after 30 days" in (project / "log.txt").read_text()


KILLED = """
import os, signal, sys
from sqlalchemy import Engine, event
from foretwin.cli.main import main
from foretwin.twin.retention import retain
retain.READINGS_AT_ONCE, retain.PIECE, retain.REST, retain.NEWEST_SPARED = 150, 25, 0, 1
left = int(sys.argv[1])

@event.listens_for(Engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

main(["retain"])
"""


def test_retain_may_be_killed_at_any_moment(project, store, store_url, tmp_path):
    """Killed in the middle of one statement after the other, it ends where one run would have."""
    find_out(store, TWIN, open_case(store, TWIN, "P-1", "mode.wear", 3), "confirmed", 40)
    before = export_history(store, tmp_path, TWIN, datetime.now(UTC))
    generator, ends, left = random.Random(1), [], []
    env = {**environment(project), "FORETWIN_STORE": store_url}
    while len(ends) < 100 and 0 not in ends:
        limit = 10**9 if len(ends) == 6 else generator.randrange(15, 200)
        process = subprocess.run([sys.executable, "-c", KILLED, str(limit)], env=env, capture_output=True, check=False)
        ends.append(process.returncode)
        left.append(count(store, readings))
        assert export_history(store, tmp_path, TWIN, datetime.now(UTC)) == before
    assert ends[:-1] == [-signal.SIGKILL] * (len(ends) - 1)
    assert len(set(left)) > 4, "it was killed in the middle of its work"
    assert left[-1] == len(NAMES) * (WINDOW + 1)
    with store.read() as connection:
        assert connection.execute(select(func.sum(archives.c.rows))).scalar() == len(NAMES) * HOURS
