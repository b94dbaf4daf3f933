"""The commands of the living twin, from outside: what they print, what they refuse, and how they end."""

import re
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from foretwin.cli.main import COMMANDS
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from support.commands import foretwin, refusal, shown
from support.live_project import PUMP, living_project, score
from support.tiny_bundle import environment, random_rows
from support.webhook_receiver import SECRET, Receiver

FORETWIN = Path(sys.executable).with_name("foretwin")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The current folder: a project with a pump that is close to its end, and a fan."""
    root = living_project(tmp_path / "project")
    monkeypatch.chdir(root)
    monkeypatch.setenv("USER", "ann")
    for name in ("LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    return root


def rows_csv(name="rows.csv", twin=PUMP, value=0.0, **lengths) -> str:
    rows = random_rows(twin, lengths or {"P-1": 4, "P-2": 5})
    rows[list(twin.channel_names)] = value
    rows.to_csv(name, index=False)
    return name


@pytest.fixture
def scored(project) -> Path:
    """The project after four readings of P-1 and five of P-2 were scored: each has a case."""
    shown("ingest", rows_csv(), "--twin", "pump")
    store = open_store("sqlite:///twins.db")
    score(store, project)
    store.close()
    return project


@dataclass
class Running:
    """A command in a process of its own, and the file of what it prints."""

    process: subprocess.Popen
    out: Path

    @property
    def said(self) -> str:
        return self.out.read_text()

    def wait_for(self, words: str) -> str:
        """What it has printed once these words are in it."""

        def there():
            assert words in self.said or self.process.poll() is None, self.said
            return words in self.said

        wait_for(there, words, 40)
        return self.said

    def end(self, how=signal.SIGTERM) -> str:
        """All that it has said; it must end by itself with exit code 0."""
        self.process.send_signal(how)
        assert self.process.wait(20) == 0, self.said
        return self.said


@pytest.fixture
def start(project):
    """Start a command; whatever still runs at the end is killed."""
    running = []

    def run(*arguments: str, **more: str) -> Running:
        env = environment(project, PYTHONUNBUFFERED="1", COLUMNS="300", **more)
        out = project / f"said-{len(running)}.txt"
        with out.open("wb") as file:
            process = subprocess.Popen([FORETWIN, *arguments], stdout=file, stderr=file, cwd=project, env=env)
        running.append(process)
        return Running(process, out)

    yield run
    for process in running:
        process.kill()
        process.wait()


# all of them


def test_every_command_explains_itself_with_an_example():
    for command in COMMANDS:
        told = foretwin(command.name, "--help")
        assert told.exit_code == 0
        assert f"  foretwin {command.name} " in told.output or f"  foretwin {command.name}\n" in told.output


@pytest.mark.parametrize("arguments", [["--help"], ["watch", "--help"], ["replay", "-h"]])
def test_help_imports_nothing_but_click(arguments):
    code = f"import sys\nfrom foretwin.cli.main import main\ntry: main({arguments})\nexcept SystemExit: pass\n"
    code += "print(*{name.partition('.')[0] for name in sys.modules})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint(["sqlalchemy", "pandas", "numpy", "pydantic", "rich", "uvicorn", "paho", "httpx", "yaml"])


@pytest.mark.parametrize("arguments", [["twins"], ["cases"], ["live"], ["watch"], ["ingest", "--mqtt", "mqtt://x"]])
def test_outside_of_a_project_a_command_says_so_and_leaves_nothing(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert "run this from the project's folder" in refusal(*arguments)
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_is_one_line(project, monkeypatch):
    monkeypatch.setenv("FORETWIN_STORE", "mysql://host/x")
    assert "FORETWIN_STORE" in refusal("twins")
    monkeypatch.setenv("FORETWIN_STORE", "postgresql://foretwin:secret@127.0.0.1:1/none")
    assert "secret" not in refusal("twins")


# ingest


def test_files_are_stored_and_the_fleet_is_shown(project):
    assert shown("ingest", rows_csv(), "--twin", "pump") == "9 readings stored"
    assert shown("ingest", "rows.csv", "--twin", "pump") == "0 readings stored (9 duplicates)"
    told = shown("twins")
    assert "P-1" in told
    assert "P-2" in told
    assert "none" in shown("twins", "--twin", "fan")
    assert "is missing; there is fan, pump" in refusal("ingest", "rows.csv")
    assert "press has no contract" in refusal("ingest", "rows.csv", "--twin", "press")
    assert "FILE: is missing" in refusal("ingest")


def test_what_breaks_the_contract_is_in_the_quarantine(project):
    random_rows(PUMP, {"P-1": 3}).assign(c1=[1.0, 5000.0, 1.0]).to_csv("rows.csv", index=False)
    assert shown("ingest", "rows.csv", "--twin", "pump") == "2 readings stored (1 gaps, 1 quarantined)"
    told = shown("quarantine")
    assert "range" in told
    assert "c1" in told
    number = re.search(r"│ (\d+) │ 20", told).group(1)
    assert "is refused again: range" in refusal("quarantine", "--release", number)
    assert "none" in shown("quarantine", "--asset", "P-2")


def test_a_clock_that_jumped_is_released(project):
    rows = random_rows(PUMP, {"P-1": 3}).assign(time=[1.0, 2.0, 5000.0])
    rows.to_csv("rows.csv", index=False)
    assert "1 quarantined" in shown("ingest", "rows.csv", "--twin", "pump")
    number = re.search(r"│ (\d+) │ 20", shown("quarantine")).group(1)
    assert shown("quarantine", "--release", number) == f"released {number}: 1 stored, 0 there already"
    assert shown("quarantine") == "none"
    assert "was released" in refusal("quarantine", "--release", number)


def test_messages_of_a_broker_are_stored_until_it_is_ended(project, start, broker):
    listening = start("ingest", "--mqtt", broker.url)
    listening.wait_for("listening")
    sent = shown("replay", "pump", "--file", pump_rows(), "--mqtt", broker.url, "--rows", "2")
    assert sent.startswith("sent 7 readings in 4 messages")
    assert "nobody subscribes" not in sent
    store = open_store(f"sqlite:///{project}/twins.db")

    def stored():
        with store.read() as connection:
            return connection.exec_driver_sql("SELECT count(*) FROM readings").scalar() == 7

    wait_for(stored, "seven readings in the store")
    store.close()
    assert "7 readings stored" in listening.end(signal.SIGINT)


def test_a_broker_s_password_is_in_no_list_of_processes(project, start, tmp_path, monkeypatch):
    word = "right-4711"
    subprocess.run(["mosquitto_passwd", "-b", "-c", "users", "anna", word], check=True, cwd=tmp_path)
    (tmp_path / "users").chmod(0o700)
    broker = Broker(tmp_path / "broker", (f"password_file {tmp_path}/users",)).start()
    url, known = (broker.url.replace("//", f"//anna{more}@") for more in ("", f":{word}"))
    try:
        for command in (["ingest"], ["replay", "pump", "--file", pump_rows()]):
            told = refusal(*command, "--mqtt", known)
            assert "FORETWIN_MQTT_PASSWORD" in told
            assert word not in told
        listening = start("ingest", "--mqtt", url, FORETWIN_MQTT_PASSWORD=word)
        listening.wait_for("listening")
        assert word.encode() not in Path(f"/proc/{listening.process.pid}/cmdline").read_bytes()
        monkeypatch.setenv("FORETWIN_MQTT_PASSWORD", word)
        assert "sent 7 readings" in shown("replay", "pump", "--file", pump_rows(), "--mqtt", url)
        listening.end(signal.SIGINT)
    finally:
        broker.stop()


def pump_rows() -> str:
    random_rows(PUMP, {"P-1": 4, "P-2": 3}).to_parquet("rows.parquet")
    return "rows.parquet"


# live, watch, replay together


def test_a_replayed_fleet_is_stored_scored_and_told_of(project, start):
    live = start("live", "--open", "--port", "0")
    url = re.search(r"http://\S+:\d+", live.wait_for("Ctrl-C")).group()
    watch = start("watch", "--memory", "16")
    watch.wait_for("watching")
    random_rows(PUMP, {"P-1": 4}).assign(speed=0.0, c1=0.0, c2=0.0).to_parquet("rows.parquet")
    sent = shown("replay", "pump", "--file", "rows.parquet", "--http", url, "--disturb", "duplicates=1", "--seed", "3")
    assert sent.startswith("sent 8 readings in 8 messages, 4 duplicates")
    assert re.search(r"P-1: case \d+ opened: end_of_life, urgent", watch.wait_for("end_of_life"))
    told = httpx.get(f"{url}/v1/twins/P-1", trust_env=False).json()
    assert told["counters"]["readings"] == told["counters"]["duplicates"] == 4
    wait_for(lambda: httpx.get(f"{url}/v1/twins/P-1", trust_env=False).json()["last_score"], "a score")
    assert "ended; cases: 1 opened" in watch.end(signal.SIGINT)
    assert re.search(r"ended after \d+ calls", live.end())


def test_watch_tells_others_of_the_cases(scored, start):
    receiver = Receiver().start()
    watch = start("watch", FORETWIN_WEBHOOKS=receiver.url, FORETWIN_WEBHOOK_SECRET=SECRET)
    opened = "foretwin.case.opened.v1"
    wait_for(lambda: [body["type"] for _, body in receiver.calls].count(opened) == 2, "event of each case")
    assert "ended" in watch.end()
    receiver.stop()


def test_a_target_that_is_none_stops_watch_at_once(project, monkeypatch):
    monkeypatch.setenv("FORETWIN_WEBHOOKS", "ftp://somewhere")
    monkeypatch.setenv("FORETWIN_WEBHOOK_SECRET", SECRET)
    assert "FORETWIN_WEBHOOKS" in refusal("watch")


def test_a_replay_ends_when_it_is_told_to(project, start):
    live = start("live", "--open", "--port", "0")
    url = re.search(r"http://\S+:\d+", live.wait_for("Ctrl-C")).group()
    replay = start("replay", "pump", "--file", pump_rows(), "--http", url, "--speed", "0.5")
    replay.wait_for("Ctrl-C")
    time.sleep(1)
    assert re.search(r"sent \d readings", replay.end())
    live.end()


def test_open_live_is_for_this_machine_alone_and_needs_a_free_port(project, start):
    assert "127.0.0.1" in refusal("live", "--open", "--host", "192.0.2.1")
    live = start("live", "--open", "--port", "0")
    port = re.search(r"http://\S+:(\d+)", live.wait_for("Ctrl-C")).group(1)
    assert f"{port} cannot be used" in refusal("live", "--open", "--port", port)
    live.end(signal.SIGINT)


def test_a_replay_needs_one_target_and_known_disturbances(project):
    assert "--mqtt or --http" in refusal("replay", "pump")
    assert "--mqtt or --http" in refusal("replay", "pump", "--mqtt", "mqtt://x", "--http", "http://x")
    assert "earthquakes" in refusal("replay", "pump", "--http", "http://x", "--disturb", "earthquakes=1")
    assert "press has no contract" in refusal("replay", "press", "--http", "http://x")


# cases


def number_of(asset: str) -> str:
    return re.search(rf"│ (\d+) │ {asset} ", shown("cases")).group(1)


def test_cases_are_listed_shown_acknowledged_and_closed(scored):
    told = shown("cases")
    assert all(word in told for word in ("P-1", "P-2", "end_of_life", "urgent", "open"))
    number = number_of("P-1")
    request = foretwin("case", number).output
    assert "replace it" in request
    assert "P-1" in request
    assert f"case {number} is acknowledged" in shown("acknowledge", number)
    assert "acknowledged" in shown("cases", "--state", "acknowledged")
    told = shown("verdict", number, "part_replaced", "--serial-number", "N-1", "--note", "worn out")
    assert f"case {number} is closed" in told
    assert "part_replaced" in told
    assert "P-1" not in shown("cases", "--state", "open")
    assert "closed (verdict)" in shown("cases", "--asset", "P-1")
    assert "has one since" in refusal("verdict", number, "confirmed")
    assert "99 is not there" in refusal("case", "99")
    thread = shown("thread", "P-1")
    assert all(word in thread for word in ("part_replaced", "actor: ann", "N-1", "worn out", "end_of_life"))


def test_a_verdict_that_is_none_is_a_wrong_call(scored):
    number = number_of("P-1")
    assert foretwin("verdict", number, "perhaps").exit_code == 2
    assert foretwin("verdict", "first", "confirmed").exit_code == 2
    assert "fault" in refusal("verdict", number, "other_fault", "--fault", "mode.rust")
    assert "open" in shown("cases", "--asset", "P-1")


# assets


def test_the_fleet_is_shown_by_remaining_life(scored):
    told = foretwin("twins", "--twin", "pump").output
    assert "mode: " in told
    assert re.search(r"0 \(0 to \d\)|1 \(0 to \d+\)", told)
    assert "none" in shown("twins", "--stale")
    assert "there are more" in shown("twins", "--limit", "1")


def test_the_thread_shows_what_was_known(scored):
    told = shown("thread", "P-1")
    assert "readings" in told
    assert "4 of run 1, time 1 to 4" in told
    assert "foretwin-pump 3; shown: first" in told
    assert "last reading" in shown("thread", "P-1", "--at", "2020-01-01")
    assert "moment" in refusal("thread", "P-1", "--at", "yesterday")
    assert "nobody" in refusal("thread", "nobody")


def test_an_asset_is_exported_and_erased_after_a_question(scored):
    assert shown("export", "P-1", "--out", "P-1.zip") == "wrote P-1.zip"
    assert "readings.parquet" in zipfile.ZipFile("P-1.zip").namelist()
    assert "does not end in .zip" in refusal("export", "P-1", "--out", "P-1.tar")
    assert shown("export", "P-1", "--aas", "--out", "P-1.aasx") == "wrote P-1.aasx"
    assert "aasx/data.json" in zipfile.ZipFile("P-1.aasx").namelist()
    assert "neither in .json nor in .aasx" in refusal("export", "P-1", "--aas", "--out", "P-1.zip")
    assert "nothing was erased" in shown("erase", "P-1", answer="n\n")
    assert "P-1" in shown("twins")
    assert '"actor": "ann"' in shown("erase", "P-1", "--yes")
    assert "P-1" not in shown("twins")
    assert "is not known" in refusal("erase", "P-1", "--yes")


def test_history_is_given_to_training(scored):
    assert "no run with a label" in refusal("history", "pump")
    shown("verdict", number_of("P-2"), "run_ended")
    told = shown("history", "pump")
    assert told.startswith("wrote data/pump/history: 1 runs of 1 assets, 5 rows")
    assert (scored / "data" / "pump" / "history").is_dir()


def test_what_if_needs_a_forward_model_and_options_that_can_be_read(scored):
    assert "degradation model" in refusal("what-if", "P-1", "--option", "slow:speed=1")
    for text in ("slow", "slow:", "slow:speed", "slow:speed=fast", "slow:speed=1/2", "slow:speed=1,speed=2"):
        assert "--option" in refusal("what-if", "P-1", "--option", text)
    assert "does not end in .png" in refusal("what-if", "P-1", "--option", "slow:speed=1", "--out", "a.pdf")
    assert foretwin("what-if", "P-1").exit_code == 2


def test_options_are_read_with_their_courses():
    from foretwin.cli.cases.futures import parse_option

    option = parse_option("weekend: commanded_speed=2400for48/3600,ambient_temperature=20")
    assert option.name == "weekend"
    assert [(one.hours, one.value) for one in option.pieces("commanded_speed")] == [(48, 2400), (1, 3600)]
    assert [one.value for one in option.pieces("ambient_temperature")] == [20]


# deliveries


def test_deliveries_that_were_given_up_are_shown_and_revived(scored):
    from datetime import UTC, datetime

    from foretwin.twin.store.casework import events

    assert shown("deliveries") == "none"
    store = open_store("sqlite:///twins.db")
    with store.write() as connection:
        events.assign(connection, "http://127.0.0.1:1/hook", datetime.now(UTC))
        connection.exec_driver_sql("UPDATE deliveries SET state = 'dead', error = 'refused'")
    store.close()
    told = shown("deliveries")
    assert "foretwin.case.opened.v1" in told
    assert "refused" in told
    assert "wait again" in shown("deliveries", "--revive")
    assert shown("deliveries") == "none"
    assert "foretwin.case.opened.v1" in shown("deliveries", "--state", "waiting")
    with sqlite3.connect("twins.db") as connection:
        connection.execute("UPDATE deliveries SET state = 'unknown'")
    assert "unknown" in shown("deliveries")
    assert "0 deliveries" in shown("deliveries", "--revive")
    assert "0 deliveries" not in shown("deliveries", "--revive", "--state", "unknown")
