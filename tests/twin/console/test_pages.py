"""What the pages show and do, for whoever works on this machine: a real server, a store with content."""

import hashlib
import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from foretwin.champion import challenger
from foretwin.errors import ParamsError
from foretwin.project.paths import Paths
from foretwin.twin import console
from foretwin.twin.api import twins
from foretwin.twin.api.plant import models
from foretwin.twin.console.german import GERMAN
from foretwin.twin.console.pages import fleet_page
from foretwin.twin.console.pages.administration.access_page import PROGRAMS, ROLE_WORDS
from foretwin.twin.console.pages.administration.retention_page import KINDS
from foretwin.twin.console.pages.data_page import COUNTS
from foretwin.twin.console.pages.happenings import ACTIONS, CLOSINGS, STATES, VERDICTS, WORKS
from foretwin.twin.console.pages.model_pages import DECISIONS
from foretwin.twin.console.pages.new_type_page import MEANINGS, STEPS
from foretwin.twin.console.site import FILES
from foretwin.twin.console.wording import DUE, FAULTS, HEALTH, WARNINGS, Wording, preferred_language, site_zone
from foretwin.twin.monitoring.reports import write
from foretwin.twin.store import open_store
from foretwin.twin.store.casework import events
from foretwin.twin.store.tables import deliveries
from foretwin.wire.asset_names import is_name
from support.described_answers import assert_as_described
from support.live_project import PUMP, live, living_project, message, score
from support.monitored_fleet import live_through, look, machines, monitored_project
from support.small_console import Visitor

pytestmark = pytest.mark.dated

HERE = Path(console.__file__).parent
MOST_ASSETS, MOST_ANSWER = 200_000, 100_000  # bytes of all static files, and of any answer
EVIL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40).map(
    lambda text: f"<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{{{7*7}}}}{text}"
)


class Marks(HTMLParser):
    """The tags of a page with what could run a script or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.handlers, self.images, self.text = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self.scripts.append(dict(attrs).get("src"))
        if tag == "img":
            self.images.append(dict(attrs).get("src"))
        self.handlers += [name for name, value in attrs if name.startswith("on") or name == "style"]
        self.handlers += [value for name, value in attrs if (value or "").strip().lower().startswith("javascript:")]

    def handle_data(self, data):
        self.text += data


def marks(page: str) -> Marks:
    found = Marks()
    found.feed(page)
    return found


def assert_harmless(page: str) -> None:
    found = marks(page)
    assert set(found.scripts) <= {f"/static/{name}" for name in FILES if name.endswith(".js")}
    assert set(found.images) <= {"/static/mark.svg"}
    assert found.handlers == []


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return living_project(tmp_path_factory.mktemp("pages") / "project")


@pytest.fixture(scope="module")
def client(root):
    """An open server of two machines with cases, one that was never heard of, and one reading in quarantine."""
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root) as client:
        for name in ("P-1", "P-2", "P-4"):
            client.put(f"/v1/twins/{name}", json={"twin": "pump", "location": "hall 4"}).raise_for_status()
            client.post(f"/v1/twins/{name}/readings", json=message(count=4)).raise_for_status()
        client.put("/v1/twins/P-3", json={"twin": "pump"}).raise_for_status()
        client.post("/v1/twins/P-3/readings?twin=pump", json=message(count=1, value=9e9))
        client.post("/v1/twins/P-3/readings?twin=pump", json=message(count=1, start=-5))
        score(store, root)
        yield client
    store.close()


@pytest.fixture
def visitor(client):
    return Visitor(str(client.base_url))


def case_of(client, asset: str) -> int:
    return client.get(f"/v1/cases?asset={asset}").json()["items"][0]["id"]


def test_the_fleet_shows_each_machine_with_its_life_its_fault_and_its_case(visitor):
    told = visitor.text("/")
    assert "Machines: 4" in told
    assert "3 ✕ Failure" in told
    assert "1 … Check function" in told
    assert re.search(r"P-1 pump · hall 4 ✕ Failure 0.6 h", told)
    assert "▲ Urgent Near the end of its life" in told
    assert '<rect class="reach"' in visitor.see("/")


def test_the_fleet_is_filtered_and_paged(visitor, monkeypatch):
    monkeypatch.setattr(fleet_page, "SHOWN", "2")
    assert "P-2" not in visitor.text("/?search=p-1&twin=&tag=")
    assert "No machine is like that" in visitor.text("/?health=good")
    seen, page = [], "/?sort=name"
    while page:
        told = visitor.see(page)
        seen += re.findall(r'href="/machines/([^"]+)"', told)
        following = re.search(r'rel="next" href="([^"]+)"', told)
        page = following.group(1).replace("&amp;", "&") if following else None
    assert seen == ["P-1", "P-2", "P-3", "P-4"]
    visitor.see("/?sort=nonsense", 422)


def test_a_backlog_is_said_in_red(client, root, visitor, monkeypatch):
    assert "Scoring is behind" not in visitor.text("/")
    client.post("/v1/twins/P-2/readings", json=message(count=1, start=6)).raise_for_status()
    monkeypatch.setattr(twins, "PROMPT", timedelta(0))
    assert "Machines that wait for their score: 1" in visitor.text("/")


def test_a_machine_has_its_life_parts_and_thread(visitor):
    told = visitor.text("/machines/P-1")
    for words in ("Remaining life", "Course of this life", "Parts", "Record work", "Case", "4 readings, up to 4"):
        assert words in told
    assert 'data-series="/machines/P-1/series"' in visitor.see("/machines/P-1")
    series = visitor.client.get("/machines/P-1/series").json()
    assert series["time"] == [1, 2, 3, 4]
    visitor.see("/machines/P-9", 404)


def test_what_the_end_of_life_is_decided_on_is_a_page_and_a_file(client, visitor):
    work = {"kind": "inspection", "note": "<b>worn</b>"}
    client.post("/v1/twins/P-4/maintenance", json=work).raise_for_status()
    assert "/machines/P-4/end-of-life" in visitor.see("/machines/P-4")
    told = visitor.text("/machines/P-4/end-of-life")
    for said in ("Running time 3 h", "from 4 readings", "It was looked at <b>worn</b>", "Materials a tag"):
        assert said in told, said
    assert "<b>worn" not in visitor.see("/machines/P-4/end-of-life")
    file = visitor.client.get("/machines/P-4/end-of-life.json")
    report = client.get("/v1/twins/P-4/end-of-life").json()
    assert file.headers["content-disposition"] == 'attachment; filename="foretwin-end-of-life.json"'
    assert {**file.json(), "at": None} == {**report, "at": None}
    assert "P-none" in visitor.text("/machines/P-none/end-of-life", 404)


def test_a_machine_is_explained_channel_by_channel(visitor, client):
    assert "Explain" in visitor.text("/machines/P-4")
    told = visitor.text("/machines/P-4?why=1")
    assert re.search(r"A healthy machine in the same operation would have [\d.]+ h left", told)
    assert re.search(r"Speed (gives|takes) [\d.]+ h", told)
    assert re.search(r"(Leak|Wear|No fault): \d+% likely", told)
    answer = client.post("/v1/twins/P-4/explain").raise_for_status().json()
    rul = answer["questions"]["rul"]
    assert rul["base"] + sum(rul["contributions"].values()) == pytest.approx(rul["prediction"], abs=1e-6)
    assert rul["prediction"] == pytest.approx(client.get("/v1/twins/P-4").json()["last_score"]["rul"]["value"])
    assert "Explain" not in visitor.text("/machines/P-3"), "it was never scored"
    refused = client.post("/v1/twins/P-3/explain")
    assert (refused.status_code, refused.json()["field"]) == (422, "asset")


def test_a_case_is_taken_on_and_answered_from_its_page(client, visitor):
    number = case_of(client, "P-1")
    page = f"/cases/{number}"
    told = visitor.text(page)
    for words in ("Latest safe date", "Replace it", "somebody takes this case on", "P-1"):
        assert words in told
    assert visitor.send(page, f"{page}/acknowledge").headers["location"] == page
    assert client.get(f"/v1{page}").json()["state"] == "acknowledged"
    assert "Next: the visit" in visitor.text(page)
    wrong = visitor.send(page, f"{page}/verdict", verdict="confirmed", serial_number="S-1", note="kept")
    assert wrong.status_code == 422
    assert "is of a new part" in wrong.text
    assert ">kept</textarea>" in wrong.text, "what was written is not lost"
    done = visitor.send(page, f"{page}/verdict", verdict="part_replaced", serial_number="S-1", note="worn", fault="")
    assert done.status_code == 303
    told = visitor.text(page)
    assert "What was found is kept as a label" in told
    assert "The part was replaced" in told
    machine = client.get("/v1/twins/P-1").json()
    assert (machine["run"], machine["parts"][0]["serial_number"]) == (2, "S-1")
    assert f"Verdict on case {number}: The part was replaced, worn · console" in visitor.text("/machines/P-1")


def test_work_and_failures_are_recorded_without_a_case(client, visitor):
    page = "/machines/P-4"
    assert visitor.send(page, f"{page}/maintenance", kind="inspection", note="oil", part="").status_code == 303
    assert "Work: It was looked at, oil" in visitor.text(page)
    refused = visitor.send(page, f"{page}/maintenance", kind="part_replaced")
    assert refused.status_code == 422
    assert "part" in refused.text
    assert visitor.send(page, f"{page}/maintenance", kind="run_ended").status_code == 303
    assert client.get("/v1/twins/P-4").json()["run"] == 2


def test_quarantine_is_released_or_says_why_not(client, visitor):
    assert "Readings that broke their contract" in visitor.text("/quarantine")
    held = client.get("/v1/quarantine?released=false").json()["items"]
    wrong = next(one for one in held if one["reason"] == "range")
    refused = visitor.send("/quarantine", f"/quarantine/{wrong['id']}/release")
    assert refused.status_code == 409
    assert "refused again" in refused.text


def test_key_figures_and_monitor_stand_in_the_frame(visitor):
    for path in ("/key-figures", "/monitor"):
        page = visitor.see(path)
        assert '<link rel="stylesheet" href="/static/console.css">' in page
        assert "<style" not in page
    assert "Tiny pump" in visitor.text("/key-figures")
    assert "has no report yet" in visitor.text("/monitor/pump", 404)


@pytest.mark.parametrize("language", ["en", "de"])
def test_pages_are_in_the_reader_s_language_and_harmless(client, language):
    visitor = Visitor(str(client.base_url), f"{language}-CH, en;q=0.5")
    number = case_of(client, "P-2")
    more = (
        "/cases?state=open",
        "/calendar",
        "/models",
        "/models/pump",
        "/data",
        "/key-figures",
        "/monitor",
        "/quarantine",
    )
    for path in ("/", "/machines/P-2", "/cases", f"/cases/{number}", *more):
        page = visitor.see(path)
        assert f'<html lang="{language}">' in page
        assert_harmless(page)
        assert len(page.encode()) < MOST_ANSWER
    assert ("Restlebensdauer" in visitor.see("/")) == (language == "de")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.tuples(*[EVIL] * 6), name=EVIL.map(lambda text: text.replace("/", "")).filter(is_name))
@pytest.mark.slow
def test_nothing_that_anybody_writes_becomes_a_mark(client, root, texts, name):
    visitor = Visitor(str(client.base_url))
    place, serial, tag, note, provenance, key = texts
    told = {"twin": "pump", "location": place, "serial_number": serial, "tags": {key: tag}}
    parts = [{"part": place, "serial_number": serial, "provenance": provenance}]
    client.put(path_of(name, "/v1/twins"), json={**told, "parts": parts}).raise_for_status()
    client.post(path_of(name, "/v1/twins", "maintenance"), json={"kind": "inspection", "note": note}).raise_for_status()
    client.post(path_of(name, "/v1/twins", "readings"), json={"time": [1], "channels": {tag: [1.0]}})
    for path in (path_of(name, "/machines"), "/?search=script&sort=name", "/quarantine"):
        page = visitor.see(path)
        assert_harmless(page)
        assert "alert(1)</script>" not in page
    said = marks(visitor.see(path_of(name, "/machines"))).text
    for text in (place, serial, note):
        assert " ".join(text.split()) in " ".join(said.split()), "it is shown as it was written"


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.tuples(*[EVIL] * 4))
@pytest.mark.slow
def test_nothing_that_is_said_of_a_case_becomes_a_mark(client, texts):
    visitor = Visitor(str(client.base_url))
    person, reason, comment, site = texts
    number = case_of(client, "P-2")
    for action, content in (
        ("assign", {"person": person}),
        ("comments", {"text": comment}),
        ("snooze", {"until": "2100-01-01", "reason": reason}),
    ):
        client.post(f"/v1/cases/{number}/{action}", json=content).raise_for_status()
    client.put("/v1/twins/P-2", json={"tags": {"site": site}}).raise_for_status()
    for path in (f"/cases/{number}", "/cases", "/cases?snoozed=true", "/calendar", "/machines/P-2"):
        page = visitor.see(path)
        assert_harmless(page)
        assert "alert(1)</script>" not in page
    assert " ".join(comment.split()) in " ".join(marks(visitor.see(f"/cases/{number}")).text.split())
    client.post(f"/v1/cases/{number}/snooze", json={}).raise_for_status()


def test_a_case_is_planned_and_put_to_rest_from_its_page(client, visitor):
    page = f"/cases/{case_of(client, 'P-2')}"
    refused = visitor.send(page, f"{page}/move", state="planned", planned_for="")
    assert refused.status_code == 422
    assert "say when it is to be done" in refused.text
    assert visitor.send(page, f"{page}/move", state="planned", planned_for="2100-01-01").status_code == 303
    assert visitor.send(page, f"{page}/assign", person="Ines").status_code == 303
    told = visitor.text("/cases")
    assert re.search(r"Planned 1 .* planned for 1 Jan 2100, \d\d:00 later than is safe Ines", told)
    assert visitor.send(page, f"{page}/snooze", until="2000-01-01", reason="x").status_code == 422
    assert visitor.send(page, f"{page}/snooze", until="2100-01-01", reason="no crew").status_code == 303
    assert "This case rests until 1 Jan 2100" in visitor.text(page)
    assert "Planned 0" in visitor.text("/cases")
    assert "no crew" in visitor.text("/cases?snoozed=true")
    visitor.send(page, f"{page}/snooze")
    assert "rests until" not in visitor.text(page).partition("What happened")[0]


def test_the_data_s_quality_is_shown_and_what_nobody_took_is_sent_again(client, root, visitor):
    told = visitor.text("/data")
    assert re.search(r"P-3 pump 0 0 0 0 2 \(100%\) never", told), "the worst is first"
    store = open_store(f"sqlite:///{root}/twins.db")
    with store.write() as connection:
        events.assign(connection, "http://127.0.0.1:9/away", datetime.now(UTC))
        connection.execute(update(deliveries).values(state="dead", attempts=9, is_next=False, error="<b>refused</b>"))
    assert "attempts: 9" in visitor.text("/data")
    assert_harmless(visitor.see("/data"))
    assert visitor.send("/data", "/deliveries/revive").status_code == 303
    assert "Everything was delivered, or is on its way" in visitor.text("/data")
    assert client.get("/v1/deliveries?state=waiting").json()["items"]
    store.close()


def test_a_list_is_a_file_with_the_filters_of_its_page(client, visitor):
    answer = visitor.client.get("/lists/machines.csv?search=P-2")
    assert answer.headers["content-disposition"] == 'attachment; filename="foretwin-machines.csv"'
    assert [line.partition(",")[0] for line in answer.text.splitlines()] == ["asset", "P-2"]
    for name in ("cases", "calendar", "parts", "quarantine", "deliveries"):
        assert visitor.client.get(f"/lists/{name}.csv").status_code == 200
    assert visitor.client.get("/lists/keys.csv").status_code == 404


def path_of(name: str, *parts: str) -> str:
    first, *more = parts
    return "/".join([first, quote(name, safe=""), *more])


def test_hostile_queries_and_forms_are_shown_as_text(client, visitor):
    evil = "<script>alert(1)</script>"
    for path in (f"/?search={evil}", f"/?tag=a={evil}", f"/machines/P-2?set.speed={evil}", f"/cases?asset={evil}"):
        assert_harmless(visitor.client.get(path).text)
    number = case_of(client, "P-2")
    answer = visitor.send(f"/cases/{number}", f"/cases/{number}/verdict", verdict="confirmed", serial_number=evil)
    assert answer.status_code == 422
    assert_harmless(answer.text)


def test_a_machine_without_a_remaining_life_has_its_fault_alone(tmp_path):
    root = living_project(tmp_path / "project")
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with live(store, root) as client:
        client.post("/v1/twins/F-1/readings?twin=fan", json=message(count=4, value=50)).raise_for_status()
        score(store, root)
        visitor = Visitor(str(client.base_url))
        told = visitor.text("/machines/F-1?why=1")
        assert "not scored yet" not in told
        assert "Outside of what the machines of the training showed: speed" in told
        assert re.search(r"Wear: 100% likely, where a healthy machine would have \d+%", told)
        assert visitor.client.get("/machines/F-1/series").json()["rul"] is None
        assert "Wear" in visitor.text(f"/cases/{case_of(client, 'F-1')}")
        assert re.search(r"\b(1 urgent case 0 planned cases|0 urgent cases 1 planned case) ", visitor.text("/"))
    store.close()


def test_what_a_contract_says_is_shown_as_text(tmp_path):
    evil = "<script>alert(1)</script>'\"><img src=x onerror=alert(1)>"
    remedy = PUMP.rul.remedy.model_copy(update={"part": evil, "instruction": evil, "skills": (evil,)})
    channels = {name: one.model_copy(update={"unit": evil}) for name, one in PUMP.channels.items()}
    mode = PUMP.faults["mode"].model_copy(update={"title": evil})
    more = {"title": evil, "channels": channels, "faults": {**PUMP.faults, "mode": mode}}
    twin = PUMP.model_copy(update={**more, "rul": PUMP.rul.model_copy(update={"remedy": remedy})})
    root = living_project(tmp_path / "project", twin)
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    with live(store, root) as client:
        client.post("/v1/twins/P-1/readings?twin=pump", json=message(count=4)).raise_for_status()
        score(store, root)
        visitor = Visitor(str(client.base_url))
        for path in ("/", "/machines/P-1?why=1", "/cases/1", "/key-figures"):
            page = visitor.see(path)
            assert_harmless(page)
            assert evil in marks(page).text or path == "/", path
    store.close()


def test_the_monitor_s_report_stands_in_the_frame(tmp_path):
    root = monitored_project(tmp_path / "project")
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    live_through(store, root, machines(20, 60, seed=3, c1=1.5))
    write(root, look(store, root), "pump")
    with live(store, root) as client:
        visitor = Visitor(str(client.base_url))
        assert 'href="/monitor/pump"' in visitor.see("/monitor")
        page = visitor.see("/monitor/pump")
    store.close()
    assert_harmless(page)
    assert "<style" not in page
    assert "c1 is +1." in page


# models

BAND = {"count": 30, "rmse": 14.8, "bias": 12.0, "coverage": 0.93, "late_side": 0.07}


def test_a_model_is_told_with_its_errors_near_the_end_and_what_is_tried_beside_it(client, root, visitor, monkeypatch):
    paths = Paths(root, "pump")
    digest = client.get("/v1/models/pump").json()["digest"]
    interval = {"bands": {"0 to 8": BAND, "8 to 16": BAND | {"rmse": 10.0}}, "bands_predicted": {"0 to 8": BAND}}
    network = {"rul": {"clipped": {"rmse": 16.0}, "interval": interval}}
    evaluation = {"bundle": digest, "assets": 20, "cuts": 400, "network": network, "baselines": {}}
    paths.evaluation.write_text(json.dumps(evaluation))
    folder = paths.models / "candidate"
    folder.mkdir()
    challenger.Terms("shadow", None, datetime.now(UTC)).write(folder / challenger.TRIAL)
    identity = {"name": "pump", "version": "9", "run": "r", "digest": "c" * 64}
    (folder / "identity.json").write_text(json.dumps(identity))
    compared = {"served": {"version": "1", "digest": digest}, "beside": {"version": "9", "digest": "c" * 64}}
    compared |= {"scores": 120, "assets": 7, "rul_mean": -1.5, "rul_mean_absolute": 2.5, "diagnoses_differ": 0.04}
    compared |= {"realised": {"runs": 3, "scores": 60, "served": 11.0, "beside": 9.0}}
    report = {"looked_at": "2026-11-01T00:00:00+00:00", "shadow": [compared]}
    monkeypatch.setattr(models, "read_report", lambda *_: report)
    told = client.get("/v1/models/pump").raise_for_status().json()
    assert_as_described(client.get("/openapi.json").json(), "GET", "/v1/models/{twin}", told)
    assert [one["band"] for one in told["bands"]["bands"]] == ["0 to 8", "8 to 16"]
    assert told["bands"]["bands_predicted"] == [{"band": "0 to 8", **BAND}]
    assert (told["trial"]["version"], told["trial"]["compared"][0]["scores"]) == ("9", 120)
    page = visitor.text("/models/pump")
    assert "0 – 8 30 14.8 12 93% 7%" in page
    assert "Version 9 is on trial (shadow)" in page
    assert "on 120 scores of 7 machines: remaining lives differ by 2.5 h on average, diagnoses in 4%" in page
    assert "Of 3 lives that have ended since, version 1 was off by 11, version 9 by 9 h." in page
    shutil.rmtree(folder)
    paths.evaluation.write_text(json.dumps(evaluation | {"bundle": "of another one"}))
    told = client.get("/v1/models/pump").json()
    assert (told["trial"], told["bands"]) == (None, {"bands": [], "bands_predicted": []})
    paths.evaluation.unlink()


# words


def test_every_text_has_its_german():
    templates = "\n".join(path.read_text() for path in HERE.glob("templates/*.html"))
    code = "\n".join(path.read_text() for path in HERE.rglob("*.py") if path.parent.name != "german")
    said = set(re.findall(r'\b_\("([^"]+)"', templates)) | set(re.findall(r'\btext\(\s*"([^"]+)"', code))
    said |= {
        *FAULTS.values(),
        *WARNINGS.values(),
        *ACTIONS.values(),
        *CLOSINGS.values(),
        *VERDICTS.values(),
        *WORKS.values(),
    }
    said |= {name for name, _ in HEALTH.values()} | set(re.findall(r'"(\{n\} \w+ ago)"', code))
    said |= {"Fitted", "Removed", "within the hour", "over since a moment ago", *STATES.values()}
    said |= {*DECISIONS.values(), *COUNTS.values(), *STEPS.values(), *MEANINGS.values(), *ROLE_WORDS.values()}
    said |= {*KINDS.values(), *(words for words, _ in PROGRAMS.values())}
    said |= {text for _, *texts in DUE for text in texts}
    assert sorted(said - set(GERMAN)) == []
    assert sorted(set(GERMAN) - said) == [], "words that no page says"
    for english, german in GERMAN.items():
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", german)), english


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "en"), ("de", "de"), ("fr, de-AT;q=0.7, en;q=0.3", "de"), ("en-GB,de;q=0.9", "en"), ("x;q=y, *", "en")],
)
def test_the_language_is_the_one_that_the_browser_likes_best(header, language):
    assert preferred_language(header) == language


def test_moments_are_in_the_zone_of_the_site_with_utc_beside_them():
    words = Wording("en", site_zone({"FORETWIN_ZONE": "Europe/Berlin"}))
    shown = str(words.moment("2026-07-01T22:30:00Z"))
    assert ">2 Jul 2026, 00:30<" in shown
    assert 'title="2026-07-01 22:30 UTC"' in shown
    assert str(words.moment(None)) == "–"
    with pytest.raises(ParamsError, match=r"FORETWIN_ZONE: 'Mars' is no time zone"):
        site_zone({"FORETWIN_ZONE": "Mars"})


def test_numbers_are_written_as_the_language_does():
    english, german = (Wording(language, UTC) for language in ("en", "de"))
    assert [english.number(value) for value in (0, 0.1234, 12.34, 123.4, 12345, None)] == [
        "0", "0.123", "12.3", "123", "12,345", "–"
    ]  # fmt: skip
    assert german.number(12345.6, 7) == "12.345,6"
    assert [english.ago(seconds) for seconds in (3, 61, 7300, 90000, None)] == [
        "just now", "1 min ago", "2 h ago", "1 d ago", "never"
    ]  # fmt: skip


def test_the_files_are_small_and_those_of_others_as_they_were_published():
    assert sum(path.stat().st_size for path in (HERE / "static").iterdir()) < MOST_ASSETS
    noted = (HERE / "static" / "VENDORED").read_text()
    for name in ("uplot.js", "uplot.css"):
        assert hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest() in noted
