"""One table of verdicts: each kind of input through each door gets what the docs say of it."""

import json
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from foretwin.project.loops import Backoff
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.listening import listen
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import assets, open_store, tables
from foretwin.twin.store.scoring import scores
from support.commands import foretwin
from support.door_cases import (
    BEGIN,
    CASES,
    DOORS,
    END,
    INGESTION,
    NIGHT,
    NONE,
    OLDEST,
    REFUSED,
    SET_ASIDE,
    TAKEN,
    TWIN,
    WARNED,
    Case,
    table,
)
from support.live_project import live, living_project, score
from support.served import served

PAGE = Path(__file__).parents[2] / "docs" / "living-twin.md"
QUICK = Backoff(0.05, 0.5)


def name_of(case: Case, door: str) -> str:
    """The machine of this case at this door."""
    return f"{'ABCDEFG'[DOORS.index(door)]}{CASES.index(case)}"


def as_file(case: Case, door: str, folder: Path) -> Path:
    """Its rows as a file, of the twin's own columns or the canonical ones; Parquet where units are said."""
    rows = case.rows(name_of(case, door))
    if "OWN" in door:
        at = (NIGHT + pd.to_timedelta(np.round(rows["time"] * 3.6e9), unit="us")).dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        rows = rows.assign(time=at).rename(columns={"asset": "machine", "time": "at", "speed": "Speed [bar]"})
    path = folder / f"{name_of(case, door)}.{'parquet' if case.units else 'csv'}"
    if not case.units:
        rows.to_csv(path, index=False)
        return path
    held, units = pa.Table.from_pandas(rows, preserve_index=False), dict(case.units)
    fields = [
        field.with_metadata({"unit": units[field.name]}) if field.name in units else field for field in held.schema
    ]
    pq.write_table(held.cast(pa.schema(fields)), path)
    return path


def as_messages(case: Case, door: str) -> list[tuple[str, dict]]:
    """Its rows as messages, one for each stretch of rows of one machine; lists of values as JSON has them."""
    found = []
    for name, rows in case.rows(name_of(case, door)).groupby("asset", sort=False):
        channels = {channel: rows[channel].tolist() for channel in TWIN.channel_names}
        said = {"units": dict(case.units)} if case.units else {}
        found.append((str(name), {"time": rows["time"].tolist(), "channels": channels} | said))
    return found


def of_answer(code: int, warnings: list[str]) -> str:
    if code:
        return REFUSED
    return WARNED if [one for one in warnings if not one.startswith(("short_history", "rul_at_cap"))] else TAKEN


class Doors:
    """A project with a champion, its services, broker and store."""

    def __init__(self, root: Path, service, client, mouth, store):
        self.root, self.service, self.client, self.mouth, self.store = root, service, client, mouth, store

    def send(self, case: Case, door: str) -> str | None:
        """Through the door; the verdict where it is given at once."""
        match door:
            case "score FILE" | "score OWN FILE":
                out = self.root / "scores.csv"
                done = foretwin("score", str(as_file(case, door, self.root)), "--twin", "press", "--out", str(out))
                found = pd.read_csv(out, keep_default_na=False)["warnings"].str.cat() if done.exit_code == 0 else ""
                return of_answer(done.exit_code, [found] if found else [])
            case "POST /v1/score":
                return self._ask(case, door)
            case "ingest FILE" | "ingest OWN FILE":
                done = foretwin("ingest", str(as_file(case, door, self.root)), "--twin", "press")
                return REFUSED if done.exit_code else None
            case "POST .../readings":
                for name, message in as_messages(case, door):
                    answer = self.client.post(f"/v1/twins/{name}/readings?twin=press", json=message)
                    assert answer.status_code in (200, 202, 422), answer.text
            case _:
                for name, message in as_messages(case, door):
                    self.mouth.publish(f"foretwin/press/{name}/readings", json.dumps(message).encode())
        return None

    def _ask(self, case: Case, door: str) -> str:
        messages = as_messages(case, door)
        call = {"twin": "press", "assets": [{"asset": name} | message for name, message in messages]}
        for asset in call["assets"]:
            call |= {"units": asset.pop("units")} if "units" in asset else {}
        answer = self.service.client.post("/v1/score", json=call)
        assert answer.status_code in (200, 422), answer.text
        found = answer.json().get("scores", [])
        return of_answer(answer.status_code != 200, [one for score in found for one in score["warnings"]])

    def stored(self, case: Case, door: str) -> str:
        """What became of what was ingested, once the loop has scored it."""
        names = case.rows(name_of(case, door))["asset"].unique().tolist()
        with self.store.read() as connection:
            aside = select(tables.quarantine.c.id).where(tables.quarantine.c.asset.in_(names))
            if connection.execute(aside).first():
                return SET_ASIDE
            asset = assets.find_asset(connection, names[0])
            last = scores.last(connection, asset.id)
        return of_answer(last is None, last.warnings if last else [])


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """(what, door) -> the verdict, of all cases through all doors."""
    base = tmp_path_factory.mktemp("doors")
    root = living_project(base / "project", TWIN)
    (root / "models" / "press" / "champion" / "drift.json").write_text(json.dumps({"oldest": OLDEST}))
    (base / "broker").mkdir()
    broker, url = Broker(base / "broker").start(), f"sqlite:///{base}/twins.db"
    store, stop = open_store(url), threading.Event()
    ear = threading.Thread(
        target=listen, args=(store, {"press": TWIN}, [plain_peer(broker.url)], stop, lambda _: None, QUICK)
    )
    ear.start()
    mouth = connect_broker(broker.url, "mouth", threading.Event(), None, QUICK)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("FORETWIN_STORE", url)
    monkeypatch.chdir(root)
    found = {}
    try:
        with served(root) as service, live(store, root) as client:
            doors = Doors(root, service, client, mouth, store)
            sent = [(case, door) for case in CASES for door in DOORS if case.verdict(door) != NONE]
            for case, door in sent:
                found[case.what, door] = doors.send(case, door)
            wait_for(lambda: heard(store, sent), "all messages over MQTT", 60)
            score(store, root)
            for case, door in sent:
                if door in INGESTION and found[case.what, door] is None:
                    found[case.what, door] = doors.stored(case, door)
        yield found
    finally:
        monkeypatch.undo()
        stop.set()
        ear.join(20)
        mouth.close()
        store.close()
        broker.stop()


def heard(store, sent: list[tuple[Case, str]]) -> bool:
    """Whether all that was sent over MQTT has come in, as reading or into quarantine."""
    names = {name for case, door in sent if door == "MQTT" for name, _ in as_messages(case, door)}
    with store.read() as connection:
        stored = assets.find_all(connection, names).keys()
        aside = select(tables.quarantine.c.asset).where(tables.quarantine.c.asset.in_(names))
        return names <= stored | set(connection.execute(aside).scalars())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what.replace(" ", "-"))
def test_each_kind_of_input_gets_its_verdict_at_each_door(verdicts, case, door):
    assert verdicts.get((case.what, door), NONE) == case.verdict(door)


def test_the_table_in_the_docs_is_that_of_the_cases():
    text = PAGE.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() == table()
