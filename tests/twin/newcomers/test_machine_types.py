"""A machine type from an uploaded file, through its page: looked at, corrected, or refused; one at a time."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest
from filelock import FileLock

from foretwin.contract.twin import load_twin
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import ROLES, KeyRequest, make_key
from foretwin.twin.newcomers.job import FOLDER, LARGEST, LOST, Job, keep_job, read_job
from foretwin.twin.simulator.processes import wait_for
from foretwin.twin.store import open_store
from support.described_answers import assert_as_described
from support.live_project import assert_problem, live, living_project
from support.small_console import Visitor

pytestmark = pytest.mark.dated

EVIL = "<img src=x onerror=alert(1)>'{{7*7}}"
JOB, CSV = "/v1/machine-types/job", {"content-type": "text/csv"}


def table(machines: int = 8, hours: int = 60) -> bytes:
    """A file in which every machine fails after its last hour."""
    rng, lines = np.random.default_rng(1), [f"machine;hour;load;vibration;failed;shift;{EVIL}"]
    for machine in range(machines):
        for hour in range(hours + machine):
            last = hour == hours + machine - 1
            words = f"{last:d};{'abc'[hour % 3]};{EVIL}"
            wear = 1 + hour / 60 + rng.normal(0, 0.05)
            lines.append(f"M{machine};{hour};{60 + 20 * (hour % 3)};{wear:.3f};{words}")
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return living_project(tmp_path_factory.mktemp("types") / "project")


@pytest.fixture(scope="module")
def client(root):
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root) as client:
        yield client
    store.close()


@pytest.fixture
def visitor(client):
    return Visitor(str(client.base_url))


def upload(visitor, name: str, content: bytes):
    token = re.search(r'name="token" value="(\w+)"', visitor.see("/machine-types")).group(1)
    files = {"file": ("press.csv", content, "application/vnd.ms-excel")}
    return visitor.client.post("/machine-types/upload", data={"token": token, "name": name}, files=files)


def ended(client) -> dict:
    wait_for(lambda: client.get(JOB).json()["job"]["step"] not in ("looking", "building"), "end of the job", 300)
    return client.get(JOB).raise_for_status().json()


def test_a_file_becomes_a_draft_that_a_person_corrects(client, visitor, root):
    assert upload(visitor, "press", table()).status_code == 303
    assert "being looked at" in visitor.text("/machine-types")
    told = ended(client)
    assert told["job"]["step"] == "drafted", told["log"]
    assert "failure: a life ends on each row where 'failed' is true: 8 lives" in " ".join(told["log"].split())
    meanings = {one["name"]: one["meaning"] for one in told["columns"]}
    wanted = {"machine": "asset", "hour": "time", "vibration": "channel vibration", "failed": "failure"}
    assert meanings | wanted == meanings
    assert_as_described(client.get("/openapi.json").json(), "GET", JOB, told)
    seen = visitor.see("/machine-types")
    assert 'name="role.vibration"' in seen
    assert 'name="role.shift"' not in seen, "words have neither role nor unit"
    assert "&lt;img src=x onerror=alert(1)&gt;&#39;{{7*7}}" in seen
    assert "<img src=x" not in seen
    assert_problem(
        client.post("/v1/machine-types/draft", json={"title": "P", "unit": "h", "source": {}}), 422, "source"
    )
    taken = {one["name"]: one["called"] for one in told["columns"]}
    channels = {"load": "channel", "vibration": "channel", "shift": "channel", EVIL: "left_out"}
    assert taken == {"machine": "asset", "hour": "time", "failed": "failure", **channels}
    same = {f"meaning.{name}": called for name, called in taken.items()}
    visitor.send("/machine-types", "/machine-types/columns", **same | {"meaning.hour": "left_out"})
    told = ended(client)
    assert (told["job"]["step"], {one["name"]: one["called"] for one in told["columns"]}) == ("drafted", taken)
    assert "no column seems to hold the time" in told["job"]["message"], "the draft before it stays"
    visitor.send(
        "/machine-types", "/machine-types/columns", **same | {"meaning.hour": "time", f"meaning.{EVIL}": "label"}
    )
    told = ended(client)
    assert told["job"]["columns"] == {"hour": "time", EVIL: "label"}
    assert (told["job"]["message"], "is a label, as was said" in told["log"]) == ("", True)
    form = {"title": "Eccentric <press>", "unit": "h", "part": "bearing", "lead_time": "24", "instruction": "swap it"}
    channels = {"keep.vibration": "on", "role.vibration": "sensor", "unit.vibration": "mm/s"}
    channels |= {f"channel.{name}": "" for name in ("vibration", "load", "shift")} | {"keep.shift": "on"}
    channels |= {"min.vibration": "0", "max.vibration": "50", "role.load": "setting", "unit.load": "%"}
    path = root / "data/press/twin.yaml"
    before = path.read_text()
    wrong = visitor.send("/machine-types", "/machine-types/draft", **form, **channels | {"max.vibration": "-3"})
    assert (wrong.status_code, path.read_text()) == (422, before), "a contract that is none is not kept"
    assert "channels.vibration" in wrong.text
    assert visitor.send("/machine-types", "/machine-types/draft", **form, **channels).status_code == 303
    twin = load_twin(path)
    assert (twin.title, twin.clock.unit, twin.rul.remedy.lead_time) == ("Eccentric <press>", "h", 24)
    assert list(twin.channels) == ["vibration", "shift"], "what is not ticked is left out"
    assert twin.channels["shift"].categories == ("a", "b", "c")
    assert (twin.channels["vibration"].unit, twin.channels["vibration"].max) == ("mm/s", 50)
    assert (twin.source.path, "# guessed" in path.read_text()) == ("upload.csv", True)
    assert "Eccentric &lt;press&gt;" in visitor.see("/machine-types")


def test_training_that_fails_says_why_and_the_next_begins_again(client, visitor, root):
    if read_job(root) is None:
        upload(visitor, "press", table())
        ended(client)
    (root / "params.yaml").unlink(missing_ok=True)
    assert visitor.send("/machine-types", "/machine-types/build").status_code == 303
    told = ended(client)
    assert told["job"]["step"] == "failed"
    assert "params.yaml" in told["job"]["message"]
    assert "did not come to an end" in visitor.text("/machine-types")
    assert (root / "data/press/twin.yaml").exists(), "what a person corrected is kept"
    assert "name: press is there already" in visitor_text(upload(visitor, "press", table()))
    assert upload(visitor, "notes", b"a,b\nx,y\n").status_code == 303
    told = ended(client)
    assert (told["job"]["step"], (root / "data/notes").exists()) == ("failed", False)
    assert told["job"]["message"].startswith("error:")
    client.post("/v1/machine-types/discard", json={}).raise_for_status()
    assert client.get(JOB).json()["job"] is None


def visitor_text(answer) -> str:
    return re.sub(r"<[^>]+>", "", answer.text)


def test_names_and_sizes_are_bounded_and_one_is_made_at_a_time(client, root):
    for name in ("", "../press", "Press", "a/b", "-a", "x" * 41, "http://a"):
        answer = client.post("/v1/machine-types/upload", params={"name": name}, content=b"a", headers=CSV)
        assert_problem(answer, 422, "name")
    url = "/v1/machine-types/upload?name=mill"
    assert_problem(client.post(url, content=b"", headers=CSV), 422, "file")
    assert client.post(url, content=b"a" * (LARGEST + 1), headers=CSV).status_code in (413, 422)
    assert not (root / "data/mill").exists()
    assert_problem(client.post("/v1/machine-types/build", json={}), 409, "job")
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    keep_job(root, Job("mill", "building", "ann", datetime.now(UTC).isoformat()))
    with FileLock(root / FOLDER / "lock"):
        assert_problem(client.post(url, content=table(), headers=CSV), 409, "job")
        assert client.get(JOB).json()["job"]["step"] == "building"
    assert client.get(JOB).json()["job"]["message"] == LOST, "its process is gone"


def test_only_administrators_of_the_whole_plant_add_machine_types(tmp_path):
    root = living_project(tmp_path / "project")
    path, now = root / "keys.json", datetime.now(UTC)
    keys = {role: make_key(path, KeyRequest(role, ROLES[role], 1e6), "ann", now) for role in ("engineer", "viewer")}
    keys["acme"] = make_key(path, KeyRequest("acme", ROLES["administrator"], 1e6, owners=["acme"]), "ann", now)
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(path)) as client:
        for name, key in keys.items():
            client.headers["authorization"] = f"Bearer {key}"
            answer = client.post("/v1/machine-types/upload?name=mill", content=table(), headers=CSV)
            assert answer.status_code == 403, name
            assert client.get(JOB).status_code == (403 if name == "acme" else 200)
    store.close()
    assert not (root / "data/mill").exists()
