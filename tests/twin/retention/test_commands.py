"""`foretwin retain`, `hold` and `watch` as people run them, and killed at any moment."""

import random
import subprocess
import sys
import time
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
HOURS, WINDOW = 48, TWIN.window.length


@pytest.fixture
def project(tmp_path, store, store_url, monkeypatch):
    """The current folder, whose store holds two days of readings that are forty days old."""
    write_contract(tmp_path, {"readings": 30})
    begin = datetime.now(UTC) - timedelta(days=40)
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
    assert f"archived and dropped: {len(NAMES) * (HOURS - WINDOW - 1)} readings" in said
    assert "nothing was due" in shown("retain")


def test_hold_keeps_an_asset_on_record(project, store):
    assert "is needed" in refusal("hold", "P-1")
    assert "not both" in refusal("hold", "P-1", "--because", "claim", "--release")
    assert "not held" in refusal("hold", "P-1", "--release")
    assert "held" in shown("hold", "P-1", "--because", "claim 4711")
    assert "held already, by ann: claim 4711" in refusal("hold", "P-1", "--because", "again")
    shown("retain")
    with store.read() as connection:
        assert connection.execute(select(func.count()).where(readings.c.asset == 1)).scalar() == HOURS
    assert "claim 4711" in refusal("erase", "P-1", "--yes")
    shown("hold", "P-1", "--release")
    shown("retain")
    assert count(store, readings) == len(NAMES) * (WINDOW + 1)
    told = shown("thread", "P-1")
    assert "hold.placed" in told
    assert "hold.released" in told


def test_watch_says_what_it_will_drop_and_drops_it(project, store, store_url):
    process = start(project, store_url, "watch")
    wait_for(lambda: count(store, readings) == len(NAMES) * (WINDOW + 1), "the end of what was due")
    process.terminate()
    assert process.wait(20) == 0
    assert "readings after 30 days" in (project / "log.txt").read_text()


def test_retain_may_be_killed_at_any_moment(project, store, store_url, tmp_path):
    """Killed over and over, at moments spread over what a whole run takes, it ends where one run would have."""
    find_out(store, TWIN, open_case(store, TWIN, "P-1", "mode.wear", 3), "confirmed", 40)
    before = export_history(store, tmp_path, TWIN, datetime.now(UTC))
    slow = "import foretwin.twin.retention.retain as r; r.READINGS_AT_ONCE, r.PIECE, r.REST = 30, 5, 0.01;"
    code = f"{slow} from foretwin.cli.main import main; main(['retain'])"
    generator, seen = random.Random(1), set()
    for attempt in range(40):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment(project), "FORETWIN_STORE": store_url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if attempt < 6:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
            time.sleep(generator.uniform(0.02, 0.5))
            process.kill()
        process.wait(60)
        process.stdout.close()
        seen.add(count(store, readings))
        again = export_history(store, tmp_path, TWIN, datetime.now(UTC))
        assert again == before
        if process.returncode == 0:
            break
    assert count(store, readings) == len(NAMES) * (WINDOW + 1)
    assert len(seen) > 2, "it was killed in the middle of its work"
    with store.read() as connection:
        assert connection.execute(select(func.sum(archives.c.rows))).scalar() == len(NAMES) * HOURS
